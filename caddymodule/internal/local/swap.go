package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"
)

// ErrKept: the file that was to go has content that is not to be lost, or is
// being written. It is where it was.
var ErrKept = errors.New("the file on disk has changed")

// StrandedError says that a file that was to go has content that is not to be
// lost, and that its name was taken by another one meanwhile. It is at Rel.
type StrandedError struct{ Rel string }

func (e *StrandedError) Error() string {
	return "content of a file that was replaced meanwhile is at " + e.Rel
}

// Expendable reports whether a file may go: its content is kept elsewhere. It
// is asked when the file has no name any more that anyone knows.
type Expendable func(old *os.File, info fs.FileInfo) bool

// Replace puts a file at rel as Place does, in place of what is there, in one
// step where the kernel has one (Linux: RENAME_EXCHANGE); else the name is
// free for a moment. The new file gets owner and mode of the old one. What was
// there goes only if expendable says so and no process has it open for
// writing; else it comes back: ErrKept, or a *StrandedError if that was not
// possible. A writer is only seen on Linux, if this process owns the file or
// is privileged; elsewhere what is written through a descriptor that was
// opened before is lost, as it would be when an app replaces a file.
// fs.ErrNotExist if there is nothing at rel.
func (t *Tree) Replace(rel string, p Placement, expendable Expendable) error {
	return t.put(rel, func(root *os.Root) error {
		old, err := root.Lstat(name(rel))
		if err != nil {
			return err
		}
		if !old.Mode().IsRegular() {
			return &fs.PathError{Op: "replace", Path: rel, Err: ErrNotRegular}
		}
		dir := path.Dir(rel)
		temp := path.Join(dir, tempName(time.Now()))
		if err := writeAside(root, temp, dir, old, p); err != nil {
			return errors.Join(err, removeFile(root, temp))
		}
		ours, err := root.Lstat(temp)
		if err != nil {
			return err
		}
		// From here on the file aside may hold what the app wrote.
		aside := path.Join(dir, asideName(time.Now()))
		if err := root.Rename(temp, aside); err != nil {
			return errors.Join(err, removeFile(root, temp))
		}
		if err := exchange(root, dir, path.Base(aside), path.Base(rel)); err != nil {
			return errors.Join(err, removeFile(root, aside))
		}
		return finishReplace(root, rel, aside, ours, expendable)
	})
}

// finishReplace drops what was swapped out, or swaps it back.
func finishReplace(root *os.Root, rel, aside string, ours fs.FileInfo, expendable Expendable) error {
	dir := path.Dir(rel)
	if mayGo(root, aside, expendable) {
		return errors.Join(removeFile(root, aside), syncDirIfThere(root, dir))
	}
	err := exchange(root, dir, path.Base(aside), path.Base(rel))
	if errors.Is(err, fs.ErrNotExist) {
		return putBack(root, rel, aside) // the app removed the new one already
	}
	if err != nil {
		return errors.Join(&StrandedError{Rel: aside}, err)
	}
	if !mayGo(root, aside, func(_ *os.File, now fs.FileInfo) bool { return sameState(ours, now) }) {
		return &StrandedError{Rel: aside}
	}
	return errors.Join(ErrKept, removeFile(root, aside))
}

// Remove removes the file at rel if expendable says so and no process has it
// open for writing (see Replace); else it comes back. What is not there is
// removed already.
func (t *Tree) Remove(rel string, expendable Expendable) error {
	return t.do(func(root *os.Root) error {
		info, err := root.Lstat(name(rel))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return &fs.PathError{Op: "remove", Path: rel, Err: ErrNotRegular}
		}
		dir := path.Dir(rel)
		aside := path.Join(dir, asideName(time.Now()))
		if err := root.Rename(name(rel), aside); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		if mayGo(root, aside, expendable) {
			return errors.Join(removeFile(root, aside), syncDirIfThere(root, dir))
		}
		return putBack(root, rel, aside)
	})
}

// putBack gives the file aside its name again, unless that is taken.
func putBack(root *os.Root, rel, aside string) error {
	if err := renameNew(root, aside, name(rel)); err != nil {
		return errors.Join(&StrandedError{Rel: aside}, err)
	}
	return ErrKept
}

// mayGo reports whether the file aside may go.
func mayGo(root *os.Root, aside string, expendable Expendable) bool {
	f, err := root.OpenFile(aside, openForLook, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	if writersOf(f) == Writers {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular() && expendable(f, info)
}

// syncDirIfThere makes a removal durable; a directory that went meanwhile has
// nothing in it that could come back.
func syncDirIfThere(root *os.Root, dir string) error {
	if err := syncDir(root, dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func sameState(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

const asideSuffix = ".aside"

// asideName is a name under which the app's own file lies for a moment.
func asideName(now time.Time) string {
	return strings.TrimSuffix(tempName(now), tempSuffix) + asideSuffix
}

// Stranded reports whether rel is a file that Replace or Remove had put aside
// before t: it may hold the only copy of what an app wrote.
func Stranded(rel string, t time.Time) bool { return namedBefore(rel, asideSuffix, t) }

// RemoveEmptyDirs removes the directory at rel and those below it, as far as
// there are no files in them and nothing in them changed since before: who has
// just made a directory is about to put something there. The root stays. It
// reports whether there is nothing at rel any more.
func (t *Tree) RemoveEmptyDirs(rel string, before time.Time) (gone bool, err error) {
	if rel == "" {
		return false, nil
	}
	info, err := t.StatDir(rel)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return true, nil
	}
	if err != nil || info.ModTime().After(before) {
		return false, err
	}
	names, err := t.sortedNames(rel)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist), nil
	}
	for _, n := range names {
		dir, isDir := strings.CutSuffix(n, "/")
		if !isDir {
			return false, nil
		}
		if gone, err := t.RemoveEmptyDirs(path.Join(rel, dir), before); !gone || err != nil {
			return false, err
		}
	}
	err = t.do(func(root *os.Root) error { return removeDir(root, rel) })
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return true, nil
	case isNotEmpty(err):
		return false, nil
	}
	return false, fmt.Errorf("removing directory %s: %w", rel, err)
}
