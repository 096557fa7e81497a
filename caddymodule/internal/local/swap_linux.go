package local

import (
	"errors"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

const openForLook = os.O_RDONLY | unix.O_NONBLOCK | unix.O_NOFOLLOW

// exchange swaps two files of a directory.
func exchange(root *os.Root, dir, a, b string) error {
	d, err := root.Open(name(dir))
	if err != nil {
		return err
	}
	defer d.Close()
	_, err = withFd(d, func(fd int) (int, error) {
		return 0, unix.Renameat2(fd, a, fd, b, unix.RENAME_EXCHANGE)
	})
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP) {
		return exchangeByThree(root, path.Join(dir, a), path.Join(dir, b))
	}
	if err != nil {
		return &os.LinkError{Op: "exchange", Old: path.Join(dir, a), New: path.Join(dir, b), Err: err}
	}
	return nil
}

// renameNew renames a file within its directory to a name that is free.
func renameNew(root *os.Root, from, to string) error {
	d, err := root.Open(name(path.Dir(from)))
	if err != nil {
		return err
	}
	defer d.Close()
	_, err = withFd(d, func(fd int) (int, error) {
		return 0, unix.Renameat2(fd, path.Base(from), fd, path.Base(to), unix.RENAME_NOREPLACE)
	})
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP) {
		return linkNew(root, from, to)
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// removeDir removes an empty directory, and nothing else: os.Root.Remove would
// take a file that the app has just put under its name.
func removeDir(root *os.Root, rel string) error {
	d, err := root.Open(name(path.Dir(rel)))
	if err != nil {
		return err
	}
	defer d.Close()
	_, err = withFd(d, func(fd int) (int, error) {
		return 0, unix.Unlinkat(fd, path.Base(rel), unix.AT_REMOVEDIR)
	})
	if err != nil {
		return &os.PathError{Op: "rmdir", Path: rel, Err: err}
	}
	return nil
}
