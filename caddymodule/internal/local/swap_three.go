package local

import (
	"errors"
	"os"
	"path"
	"syscall"
	"time"
)

// exchangeByThree swaps two files by three renames, where the kernel or the
// file system knows no better. Between the first two nobody is at b.
func exchangeByThree(root *os.Root, a, b string) error {
	third := path.Join(path.Dir(a), asideName(time.Now()))
	if err := root.Rename(b, third); err != nil {
		return err
	}
	if err := root.Link(a, b); err != nil {
		// The app has put a file there: nothing was exchanged, and the file that
		// is aside lost its name to it.
		return errors.Join(&StrandedError{Rel: third}, err)
	}
	return root.Rename(third, a)
}

// linkNew renames a file to a name that is free, by two steps.
func linkNew(root *os.Root, from, to string) error {
	if err := root.Link(from, to); err != nil {
		return err
	}
	return removeFile(root, from)
}

func isNotEmpty(err error) bool {
	return errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST)
}
