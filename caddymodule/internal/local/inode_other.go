//go:build !unix

package local

import "io/fs"

// FileID tells one file from all others that exist at the time.
type FileID struct{ Dev, Ino uint64 }

// Inode returns which file info describes and how many names it has. ok is
// false where the system does not tell.
func Inode(fs.FileInfo) (id FileID, names uint64, ok bool) { return FileID{}, 0, false }
