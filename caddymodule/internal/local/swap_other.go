//go:build !linux

package local

import (
	"os"
	"path"
	"syscall"
)

const openForLook = os.O_RDONLY | syscall.O_NONBLOCK

func exchange(root *os.Root, dir, a, b string) error {
	return exchangeByThree(root, path.Join(dir, a), path.Join(dir, b))
}

func renameNew(root *os.Root, from, to string) error { return linkNew(root, from, to) }

// removeDir looks before it removes: os.Root has no call that would leave a file
// alone which is there by now.
func removeDir(root *os.Root, rel string) error {
	info, err := root.Lstat(rel)
	if err == nil && !info.IsDir() {
		return &os.PathError{Op: "rmdir", Path: rel, Err: syscall.ENOTDIR}
	}
	if err != nil {
		return err
	}
	return root.Remove(rel)
}
