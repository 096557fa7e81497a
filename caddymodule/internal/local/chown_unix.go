//go:build unix

package local

import (
	"io/fs"
	"os"
	"syscall"
)

// chownLike gives f the owner and group of what info describes.
func chownLike(f *os.File, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return f.Chown(int(st.Uid), int(st.Gid))
}
