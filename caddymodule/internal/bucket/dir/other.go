//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package dir

import (
	"io/fs"
	"os"
	"syscall"
)

const openNonblock = 0

// tryLock has nothing to lock with: writers of one process exclude each other,
// those of several do not, and Probe says so.
func tryLock(*os.File) (bool, error) { return false, errNoLocks }

// mayWrite is unknown.
func mayWrite(string) error { return nil }

// inode is unknown: size and time alone tell files apart here.
func inode(fs.FileInfo) uint64 { return 0 }

func linkCount(*os.File) uint64 { return 0 }

// syncDir does nothing: these systems have no such call.
func syncDir(*os.Root, string) error { return nil }

// removeDir removes an empty directory. These systems have no call that would
// leave a file alone which is there by now.
func removeDir(root *os.Root, name string) error {
	info, err := root.Lstat(name)
	if err == nil && !info.IsDir() {
		return &fs.PathError{Op: "rmdir", Path: name, Err: syscall.ENOTDIR}
	}
	if err != nil {
		return err
	}
	return root.Remove(name)
}
