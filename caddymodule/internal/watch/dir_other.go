//go:build !linux

package watch

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// direntBuffer: os.File has its own.
const direntBuffer = 0

// dir is an open directory. Its identity, and that of files, is unknown here:
// a root that is replaced is compared by its content, and a change is what
// changes size or time of change.
type dir struct {
	file *os.File
	path string
}

func openDir(path string) (dir, error) {
	info, err := os.Lstat(path)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("opening directory %s: %w", path, errNotDir)
	}
	if err != nil {
		return dir{}, err
	}
	file, err := os.Open(path)
	if err != nil {
		return dir{}, err
	}
	opened, err := file.Stat()
	if err == nil && !os.SameFile(info, opened) {
		err = fmt.Errorf("opening directory %s: %w", path, errNotDir)
	}
	if err != nil {
		return dir{}, errors.Join(err, file.Close())
	}
	return dir{file: file, path: path}, nil
}

var errNotDir = errors.New("not a directory")

// RootAt is the directory at a root's path, which may be a symbolic link.
func RootAt(path string) (DirID, error) {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = errNotDir
	}
	if err != nil {
		return DirID{}, fmt.Errorf("looking at media root %s: %w", path, err)
	}
	return DirID{}, nil
}

// IsMountPoint is unknown here.
func IsMountPoint(string) bool { return false }

func (d dir) close() { _ = d.file.Close() } // nothing was written, so nothing can be lost

func (d dir) identity() (identity, error) { return identity{}, nil }

// list calls each for every entry.
func (d dir) list(_ []byte, each func(name []byte, k kind)) error {
	for {
		entries, err := d.file.ReadDir(256)
		for _, e := range entries {
			each([]byte(e.Name()), kindOfMode(e.Type()))
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("listing directory %s: %w", d.path, err)
		}
	}
}

// stat looks at an entry without following it.
func (d dir) stat(name []byte) (fileState, error) {
	info, err := os.Lstat(filepath.Join(d.path, string(name)))
	if err != nil {
		return fileState{}, err
	}
	return fileState{
		kind:  kindOfMode(info.Mode()),
		size:  info.Size(),
		mtime: info.ModTime().UnixNano(),
	}, nil
}

func kindOfMode(mode fs.FileMode) kind {
	switch {
	case mode.IsRegular():
		return regular
	case mode.IsDir():
		return directory
	default:
		return other
	}
}

// isGone tells that a name does not stand for a file or directory (any more).
func isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir)
}

// isShortage: not told apart from other errors here.
func isShortage(error) bool { return false }
