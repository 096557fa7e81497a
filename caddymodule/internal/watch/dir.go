package watch

// kind of a directory entry. Only regular files and directories matter.
type kind uint8

const (
	other kind = iota
	regular
	directory
)

// identity tells one file or directory from all others that exist at the time, and by
// when it was made from those before it: file systems like to give the number of what was
// removed to what is made next. born is 0 where the file system does not tell.
type identity struct {
	dev, ino uint64
	born     int64 // in nanoseconds since 1970
}

// fileState is what changes when a file does. Times are in nanoseconds since
// 1970; ctime is 0 where the system does not tell it.
type fileState struct {
	identity
	kind         kind
	size         int64
	mtime, ctime int64
}

func isDot(name []byte) bool {
	return string(name) == "." || string(name) == ".."
}

// join appends a path below a root to the root's.
func join(root, rel string) string {
	if root == "/" {
		return root + rel
	}
	return root + "/" + rel
}

// joinRel is join for paths below a root.
func joinRel(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
