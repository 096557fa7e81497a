package local

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

func fgetxattr(f *os.File, attr string, buf []byte) (int, error) {
	return withFd(f, func(fd int) (int, error) { return unix.Fgetxattr(fd, attr, buf) })
}

func fsetxattr(f *os.File, attr string, value []byte) error {
	_, err := withFd(f, func(fd int) (int, error) { return 0, unix.Fsetxattr(fd, attr, value, 0) })
	return attrError(err)
}

func fremovexattr(f *os.File, attr string) error {
	_, err := withFd(f, func(fd int) (int, error) { return 0, unix.Fremovexattr(fd, attr) })
	if errors.Is(err, unix.ENODATA) {
		return nil
	}
	return attrError(err)
}

// withFd runs a system call on f without making its descriptor blocking, as
// f.Fd would.
func withFd(f *os.File, call func(fd int) (int, error)) (n int, err error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	if cerr := conn.Control(func(fd uintptr) { n, err = call(int(fd)) }); cerr != nil {
		return 0, cerr
	}
	return n, err
}

func attrError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES),
		errors.Is(err, unix.EROFS), errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("%w: %w", ErrNoAttributes, err)
	}
	return fmt.Errorf("setting an extended attribute: %w", err)
}
