package dir

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"syscall"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// placeTries bounds how often a file is put into a directory that others keep
// removing because it is empty.
const placeTries = 100

// place moves the file from to the name to, making the directories above it
// again if a delete just removed them for being empty.
func place(root *os.Root, from, to string, dirMode fs.FileMode, put func(from, to string) error) error {
	for try := 1; ; try++ {
		err := makeParents(root, to, dirMode)
		if err != nil {
			return err
		}
		err = put(from, to)
		if !errors.Is(err, fs.ErrNotExist) || try == placeTries {
			return refuseName(err)
		}
		if _, gone := root.Lstat(from); gone != nil {
			return err
		}
	}
}

// refuseName tells a name that the file system cannot hold from other failures
// of a rename or link.
func refuseName(err error) error {
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EISDIR) {
		return fmt.Errorf("%w: %w", bucket.ErrRefused, err)
	}
	return err
}

// makeParents makes the directories above name that are missing, and their
// names durable. One that another writer has just made is left to it: file
// systems with a journal, and NFS, never write a directory's content before
// its name.
func makeParents(root *os.Root, name string, mode fs.FileMode) error {
	dir := path.Dir(name)
	if info, err := root.Lstat(dir); err == nil && info.IsDir() {
		return nil
	}
	for i := 0; i <= len(dir); i++ {
		if i < len(dir) && dir[i] != '/' {
			continue
		}
		if err := makeDir(root, dir[:i], mode); err != nil {
			return err
		}
	}
	return nil
}

func makeDir(root *os.Root, dir string, mode fs.FileMode) error {
	err := root.Mkdir(dir, mode)
	switch {
	case err == nil:
		// Again, because the umask may have taken something away.
		if err := root.Chmod(dir, mode); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return ignoreAbsent(syncDir(root, path.Dir(dir)))
	case errors.Is(err, syscall.ENOTDIR):
		return belowObject(dir)
	case errors.Is(err, fs.ErrNotExist):
		return nil // a parent was removed again: place sees to it
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	info, err := root.Stat(dir)
	if err == nil && !info.IsDir() {
		return belowObject(dir)
	}
	return ignoreAbsent(err)
}

func belowObject(dir string) error {
	return fmt.Errorf("%w: %s is an object, and none can be below it in a directory", bucket.ErrRefused, dir)
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// temp is a file in .tmp, named by the time it was begun and locked while it
// is written, so that removeTemps can tell the dead from the living.
type temp struct {
	name string
	file *os.File
}

func newTemp(root *os.Root) (*temp, error) {
	name := path.Join(dirTemp, strconv.FormatInt(time.Now().UnixNano(), 10)+"-"+rand.Text())
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		// Someone cleaned up too much.
		if err := makeLayout(root); err != nil {
			return nil, err
		}
		f, err = root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		return nil, err
	}
	// Without locks its age alone protects it.
	if _, err := tryLock(f); err != nil && !errors.Is(err, errNoLocks) {
		_ = f.Close()
		return nil, errors.Join(err, root.Remove(name))
	}
	return &temp{name: name, file: f}, nil
}

// discard closes the file and removes it, if it has not been renamed.
func (t *temp) discard(root *os.Root) {
	_ = t.file.Close()
	_ = root.Remove(t.name)
}

// takeFrom gives a file a name that exists, if what has the name is no object: a
// symlink, a FIFO or an empty directory, which somebody put there.
func takeFrom(root *os.Root, from, to string) error {
	info, err := root.Lstat(to)
	switch {
	case err != nil:
		return bucket.ErrExists // it was there
	case info.Mode().IsRegular():
		return bucket.ErrExists
	case info.IsDir():
		err = removeDir(root, to)
	default:
		err = root.Remove(to)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: something else has its name: %w", bucket.ErrRefused, err)
	}
	if err := root.Link(from, to); err != nil {
		return bucket.ErrExists // of another writer, by now
	}
	return nil
}

// link returns a function that gives the file the name to unless that exists.
func (t *temp) link(root *os.Root) func(from, to string) error {
	return func(from, to string) error {
		err := root.Link(from, to)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, fs.ErrExist) && linkCount(t.file) == 2:
			// NFS repeated a request whose answer was lost.
			return nil
		case errors.Is(err, fs.ErrExist):
			return takeFrom(root, from, to)
		case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOTSUP), errors.Is(err, syscall.ENOSYS):
			// No hard links here (FAT, some FUSE): the lock alone must do.
			return root.Rename(from, to)
		}
		return err
	}
}
