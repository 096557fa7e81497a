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

func beingWritten(*os.File) bool { return false }
