//go:build unix

package local

import (
	"io/fs"
	"syscall"
)

// FileID tells one file from all others that exist at the time.
type FileID struct{ Dev, Ino uint64 }

// Inode returns which file info describes and how many names it has. ok is
// false where the system does not tell.
func Inode(info fs.FileInfo) (id FileID, names uint64, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return FileID{}, 0, false
	}
	return FileID{Dev: uint64(st.Dev), Ino: uint64(st.Ino)}, uint64(st.Nlink), true //nolint:unconvert // of other types on some systems
}
