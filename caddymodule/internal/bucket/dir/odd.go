package dir

import (
	"io/fs"
	"os"
	"strings"
)

// What others put among the store's own files may be anything. It is no record and
// no lock, and gives way as soon as one is to be written.

// openDirectory opens the directory at name, and nothing else: fs.ErrNotExist. An
// open of what took its place could wait for ever (a FIFO).
func openDirectory(root *os.Root, name string) (*os.Root, error) {
	info, err := root.Lstat(name)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, err
	}
	return root.OpenRoot(name)
}

// makeWay removes what is in the place of one of the store's own files, or of a
// directory above it, and reports whether there was anything. The directories at the
// top stay: an admin may have put them elsewhere.
//
// Two writers may do so at once, and one remove what the other has just put right.
// Whoever can bring them to that can remove the files as well.
func makeWay(root *os.Root, name string) (made bool, err error) {
	for i := range len(name) + 1 {
		at, top := name[:i], !strings.Contains(name[:i], "/")
		if top || i < len(name) && name[i] != '/' {
			continue
		}
		info, err := root.Lstat(at)
		if isAbsent(err) {
			return made, nil
		}
		if err != nil {
			return made, err
		}
		if i < len(name) && info.IsDir() || i == len(name) && info.Mode().IsRegular() {
			continue
		}
		if err := root.RemoveAll(at); err != nil {
			return made, err
		}
		made = true
	}
	return made, nil
}
