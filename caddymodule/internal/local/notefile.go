package local

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// Note is a file in a tree by which one process tells the next something. It is there only
// while there is something to tell.
type Note string

const (
	// NotedDeletes are those that the bucket has not heard of yet.
	NotedDeletes Note = tempPrefix + "deletes"
	// GuestDeletes are those that it is not to hear of.
	GuestDeletes Note = tempPrefix + "guest-deletes"
	// WithheldDeletes are those that wait for the admin's word.
	WithheldDeletes Note = tempPrefix + "withheld"
)

// ReadNote returns what SetNote left, at most limit bytes of it; nil if there is nothing.
func (t *Tree) ReadNote(note Note, limit int64) (data []byte, err error) {
	f, err := t.Open(string(note))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := t.StatDir(""); err != nil {
			return nil, err // the tree is gone, not the file
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// SetNote replaces the file, wholly or not at all, even if the machine fails meanwhile; nil
// removes it.
func (t *Tree) SetNote(note Note, data []byte) error {
	name := string(note)
	return t.do(func(root *os.Root) error {
		if data == nil {
			return removeFile(root, name)
		}
		temp := tempName(time.Now())
		if err := writeDurably(root, temp, data); err != nil {
			return errors.Join(err, removeFile(root, temp))
		}
		if err := root.Rename(temp, name); err != nil {
			return errors.Join(err, removeFile(root, temp))
		}
		return syncDir(root, ".")
	})
}

func writeDurably(root *os.Root, rel string, data []byte) (err error) {
	f, err := root.OpenFile(rel, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}
