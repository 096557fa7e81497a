package local

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// HasHole reports whether a part of an open file was never written, or not written down
// before the disk lost its power: it reads as NULs. Where the file system does not tell,
// there is none.
func HasHole(f *os.File) bool {
	info, err := f.Stat()
	if err != nil {
		return false
	}
	at, err := f.Seek(0, unix.SEEK_HOLE)
	if err != nil {
		return false
	}
	_, err = f.Seek(0, io.SeekStart)
	return err == nil && at < info.Size()
}
