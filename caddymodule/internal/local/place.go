package local

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// ErrName: no file may have this name, because a web server might execute it or
// use it as configuration, or because not all file systems read it alike.
var ErrName = errors.New("no name of a media file")

// Placement is a file to be put on disk.
type Placement struct {
	// Content yields exactly Size bytes.
	Content io.Reader
	Size    int64
	// ModTime the file gets; zero: now.
	ModTime time.Time
	// Mark, if not nil, is asked once the content is written, before the file
	// gets its name; an error of it ends the placing.
	Mark func(f *os.File, info fs.FileInfo) (Mark, error)
	// Marked: without its mark the file must not be there.
	Marked bool
}

// Place puts a file at rel, wholly or not at all, even if the machine fails
// while it does. It never replaces anything: fs.ErrExist if there is something
// at rel. The file, and directories made for it, get owner, group and mode like
// the directory they are made in, as far as this process may do that.
func (t *Tree) Place(rel string, p Placement) error {
	return t.put(rel, func(root *os.Root) error {
		if _, err := root.Lstat(name(rel)); err == nil {
			return &fs.PathError{Op: "place", Path: rel, Err: fs.ErrExist}
		}
		dir := path.Dir(rel)
		if err := t.makeDirs(root, dir); err != nil {
			return fmt.Errorf("making directory %s: %w", dir, err)
		}
		temp := path.Join(dir, tempName(time.Now()))
		if err := writeAside(root, temp, dir, nil, p); err != nil {
			return errors.Join(err, removeFile(root, temp))
		}
		// A link fails where a rename would replace what the app put there
		// meanwhile.
		err := root.Link(temp, name(rel))
		return errors.Join(err, removeFile(root, temp), syncDir(root, dir))
	})
}

// put is the way by which all content comes to the disk.
func (t *Tree) put(rel string, f func(root *os.Root) error) error {
	if err := media.CheckKey(rel); err != nil {
		return fmt.Errorf("%w: %w", ErrName, err)
	}
	if media.Executable(rel) {
		return fmt.Errorf("%w: a web server might execute it or use it as configuration", ErrName)
	}
	return t.do(f)
}

const (
	tempPrefix = ".media-offload-"
	tempSuffix = ".tmp"
)

// tempName is a name no app serves and no watcher reports as media.
func tempName(now time.Time) string {
	return tempPrefix + strconv.FormatInt(now.UnixNano(), 10) + "-" + rand.Text()[:8] + tempSuffix
}

// Own reports whether a file is one that this package makes for a while.
func Own(rel string) bool { return strings.HasPrefix(path.Base(rel), tempPrefix) }

// Leftover reports whether rel is a file that Place was writing before t and
// that was left by a process that was killed.
func Leftover(rel string, t time.Time) bool { return namedBefore(rel, tempSuffix, t) }

// namedBefore reports whether rel has a name that this package gives to files of
// its own, with this suffix, and was given it before t.
func namedBefore(rel, suffix string, t time.Time) bool {
	text, ok := strings.CutPrefix(path.Base(rel), tempPrefix)
	if !ok || !strings.HasSuffix(text, suffix) {
		return false
	}
	text, _, _ = strings.Cut(text, "-")
	nanos, err := strconv.ParseInt(text, 10, 64)
	return err == nil && nanos < t.UnixNano()
}

// RemoveLeftover removes a file for which Leftover is true.
func (t *Tree) RemoveLeftover(rel string) error {
	return t.do(func(root *os.Root) error { return removeFile(root, name(rel)) })
}

func removeFile(root *os.Root, rel string) error {
	if err := root.Remove(rel); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// writeAside writes the file under another name and makes it durable. It gets
// owner and mode of old, or without one those that go with the directory.
func writeAside(root *os.Root, temp, dir string, old fs.FileInfo, p Placement) (err error) {
	like := old
	if like == nil {
		if like, err = root.Stat(dir); err != nil {
			return err
		}
	}
	f, err := root.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	n, err := io.Copy(f, io.LimitReader(p.Content, p.Size+1))
	if err != nil {
		return err
	}
	if n != p.Size {
		return fmt.Errorf("%d bytes where %d were announced", n, p.Size)
	}
	if err := resemble(f, like); err != nil {
		return err
	}
	if !p.ModTime.IsZero() {
		if err := root.Chtimes(temp, time.Now(), p.ModTime); err != nil {
			return err
		}
	}
	if err := writePlacedMark(f, p); err != nil {
		return err
	}
	return f.Sync()
}

func writePlacedMark(f *os.File, p Placement) error {
	if p.Mark == nil {
		return nil
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	m, err := p.Mark(f, info)
	if err != nil {
		return err
	}
	if err := WriteMark(f, m); err != nil && (p.Marked || !errors.Is(err, ErrNoAttributes)) {
		return err
	}
	return nil
}

// MakeDir makes the directory at rel and what is missing above it, like what
// they are made in.
func (t *Tree) MakeDir(rel string) error {
	return t.do(func(root *os.Root) error { return t.makeDirs(root, name(rel)) })
}

func (t *Tree) makeDirs(root *os.Root, dir string) error {
	t.making.Lock()
	defer t.making.Unlock()
	return makeDirs(root, dir)
}

// makeDirs makes dir and what is missing above it, like what they are made in.
func makeDirs(root *os.Root, dir string) error {
	info, err := root.Stat(dir)
	if err == nil && info.IsDir() {
		return nil
	}
	if err == nil {
		return &fs.PathError{Op: "mkdir", Path: dir, Err: fs.ErrExist}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	above := path.Dir(dir)
	if err := makeDirs(root, above); err != nil {
		return err
	}
	like, err := root.Stat(above)
	if err != nil {
		return err
	}
	if err := root.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return resemble(d, like)
}

// resemble gives f owner and mode of a file, or those that go with a directory.
func resemble(f *os.File, like fs.FileInfo) error {
	mode := like.Mode().Perm()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.IsDir() && like.IsDir() {
		mode &^= 0o111
	}
	// First the owner: a change of it may clear bits of the mode.
	if err := chownLike(f, like); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return f.Chmod(mode)
}

func syncDir(root *os.Root, dir string) error {
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
