package local

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// writersOf asks the kernel for a read lease (fcntl(2), F_SETLEASE), which it
// grants only if no process has the file open for writing, through whichever of
// its names, and gives it back at once: who opens the file for writing meanwhile
// waits for that moment. The SIGIO that this process then gets is ignored by
// Go's runtime.
func writersOf(f *os.File) Writing {
	err := lease(f, unix.F_RDLCK)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return Writers
	case err != nil:
		return Untold
	}
	_ = lease(f, unix.F_UNLCK) // it ends with the descriptor at the latest
	return NoWriters
}

func lease(f *os.File, kind int) error {
	_, err := withFd(f, func(fd int) (int, error) {
		return unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, kind)
	})
	return err
}
