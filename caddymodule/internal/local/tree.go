package local

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// ErrNotRegular: the path is a directory, symlink, socket or device.
var ErrNotRegular = errors.New("not a regular file")

// Tree is a directory tree. The directory may appear, vanish and be replaced
// while the Tree is in use: every call that finds it missing looks again.
type Tree struct {
	dir string

	mu   sync.RWMutex
	root *os.Root

	// making is held while directories are made: another that is to be like
	// one of them must not find it without its owner and mode.
	making sync.Mutex
}

// NewTree returns the tree at dir, an absolute path. It does no I/O.
func NewTree(dir string) *Tree { return &Tree{dir: dir} }

// Dir returns the path of the tree.
func (t *Tree) Dir() string { return t.dir }

// Reopen makes the next call look the directory up again by its path, for a
// directory that was replaced.
func (t *Tree) Reopen() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.root != nil {
		_ = t.root.Close() // opened for look-ups only: nothing to lose
		t.root = nil
	}
}

// Close releases the directory.
func (t *Tree) Close() error {
	t.Reopen()
	return nil
}

// open returns the directory, opening it if need be.
func (t *Tree) open() (*os.Root, error) {
	t.mu.RLock()
	root := t.root
	t.mu.RUnlock()
	if root != nil {
		return root, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.root != nil {
		return t.root, nil
	}
	root, err := os.OpenRoot(t.dir)
	if err != nil {
		return nil, fmt.Errorf("opening media root: %w", err)
	}
	t.root = root
	return root, nil
}

// do runs f on the directory, once more if it was closed by Reopen meanwhile.
func (t *Tree) do(f func(*os.Root) error) error {
	for try := 0; ; try++ {
		root, err := t.open()
		if err != nil {
			return err
		}
		err = f(root)
		if try == 0 && errors.Is(err, os.ErrClosed) {
			continue
		}
		return err
	}
}

// name is what os.Root calls rel.
func name(rel string) string {
	if rel == "" {
		return "."
	}
	return rel
}

// Stat describes the regular file at rel without following a symlink.
// fs.ErrNotExist if there is none, ErrNotRegular if it is something else.
func (t *Tree) Stat(rel string) (fs.FileInfo, error) {
	info, err := t.lstat(rel)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "stat", Path: rel, Err: ErrNotRegular}
	}
	return info, nil
}

// StatDir describes the directory at rel ("" is the root).
func (t *Tree) StatDir(rel string) (fs.FileInfo, error) {
	info, err := t.lstat(rel)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &fs.PathError{Op: "stat", Path: rel, Err: syscall.ENOTDIR}
	}
	return info, nil
}

func (t *Tree) lstat(rel string) (info fs.FileInfo, err error) {
	err = t.do(func(r *os.Root) error {
		info, err = r.Lstat(name(rel))
		return err
	})
	// A file where a directory was expected means that nothing is there.
	if errors.Is(err, syscall.ENOTDIR) {
		return nil, &fs.PathError{Op: "stat", Path: rel, Err: fs.ErrNotExist}
	}
	return info, err
}

// Open opens the regular file at rel for reading. It never blocks on a FIFO.
// Like os.Root it would follow a symlink that leads to a file of the tree, if
// one is put there between the two calls; the result is a file of the tree.
func (t *Tree) Open(rel string) (f *os.File, err error) {
	if _, err := t.Stat(rel); err != nil {
		return nil, err
	}
	err = t.do(func(r *os.Root) error {
		f, err = r.OpenFile(name(rel), os.O_RDONLY|syscall.O_NONBLOCK, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: rel, Err: ErrNotRegular}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// ReadSmall returns the content of the file at rel, at most limit bytes of it.
func (t *Tree) ReadSmall(rel string, limit int) ([]byte, error) {
	f, err := t.Open(rel)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(limit)))
}

// openDir opens the directory at rel.
func (t *Tree) openDir(rel string) (f *os.File, err error) {
	err = t.do(func(r *os.Root) error {
		f, err = r.OpenFile(name(rel), os.O_RDONLY|syscall.O_NONBLOCK, 0)
		return err
	})
	return f, err
}

// Visit is called by Walk for each directory (rel of the root is "") before
// what is in it, and for each regular file. A skipped directory is not entered.
type Visit struct {
	// Dir is called for each directory; false skips it. May be nil.
	Dir func(rel string) bool
	// File is called for each regular file with its info.
	File func(rel string, info fs.FileInfo) error
	// Other is called for what is neither, such as a symlink. May be nil.
	Other func(rel string, mode fs.FileMode)
	// Err is called for a directory that cannot be read; the walk goes on.
	Err func(rel string, err error)
}

// Walk visits the tree below rel in ascending order of the bytes of the whole
// paths (so "a-b" comes before "a/b", as in a bucket's listing). It holds the
// names of one directory per level, never more. What appears or vanishes
// meanwhile may or may not be seen. An error of v.File ends it.
func (t *Tree) Walk(rel string, v Visit) error {
	if v.Dir != nil && !v.Dir(rel) {
		return nil
	}
	names, err := t.sortedNames(rel)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) && v.Err != nil {
			v.Err(rel, err)
		}
		return nil
	}
	for _, n := range names {
		child, isDir := strings.CutSuffix(n, "/")
		child = path.Join(rel, child)
		if isDir {
			if err := t.Walk(child, v); err != nil {
				return err
			}
			continue
		}
		if err := t.visitFile(child, v); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tree) visitFile(rel string, v Visit) error {
	info, err := t.lstat(rel)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		if v.Err != nil {
			v.Err(rel, err)
		}
		return nil
	case info.Mode().IsRegular():
		return v.File(rel, info)
	case v.Other != nil:
		v.Other(rel, info.Mode())
	}
	return nil
}

// sortedNames returns the names in a directory, those of directories with a
// slash at the end, so that their order is that of the whole paths.
func (t *Tree) sortedNames(rel string) ([]string, error) {
	d, err := t.openDir(rel)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	entries, err := d.ReadDir(-1)
	if err != nil {
		return nil, fmt.Errorf("reading directory %s: %w", rel, err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
		if e.IsDir() {
			names[i] += "/"
		}
	}
	slices.Sort(names)
	return names, nil
}
