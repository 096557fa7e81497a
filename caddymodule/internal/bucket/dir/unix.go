//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package dir

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"syscall"

	"golang.org/x/sys/unix"
)

// openNonblock keeps an open of a FIFO, put into the bucket by someone, from
// waiting for a writer.
const openNonblock = syscall.O_NONBLOCK

// tryLock takes an exclusive lock on f and reports whether it got it. The
// kernel drops it when f is closed or the process ends in whatever way.
//
// flock, because it belongs to the open file and so also holds between two
// stores in one process; Linux carries it to NFS servers as a byte-range lock.
func tryLock(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, syscall.EWOULDBLOCK), errors.Is(err, syscall.EINTR):
		return false, nil
	case errors.Is(err, syscall.ENOLCK), errors.Is(err, syscall.ENOTSUP), errors.Is(err, syscall.ENOSYS):
		return false, errNoLocks
	}
	return false, os.NewSyscallError("flock", err)
}

// mayWrite returns why no file can be made in a directory, or nil.
func mayWrite(dir string) error {
	err := unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the next Put makes it
	}
	return os.NewSyscallError("faccessat", err)
}

func inode(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Ino) //nolint:unconvert // of other types on some systems
	}
	return 0
}

// linkCount returns how many names f has.
func linkCount(f *os.File) uint64 {
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Nlink) //nolint:unconvert // of other types on some systems
	}
	return 0
}

// syncDir makes what happened to the names in a directory durable.
func syncDir(root *os.Root, name string) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	err = f.Sync()
	// Some network and FUSE file systems do not know fsync of a directory;
	// they have nothing that it could do.
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}

// removeDir removes an empty directory, and nothing else: os.Root.Remove would
// take an object that a Put has just placed under its name.
func removeDir(root *os.Root, name string) error {
	parent, err := root.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer parent.Close()
	if err := unix.Unlinkat(int(parent.Fd()), path.Base(name), unix.AT_REMOVEDIR); err != nil {
		return &fs.PathError{Op: "rmdir", Path: name, Err: err}
	}
	return nil
}
