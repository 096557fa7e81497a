package local

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// deletesName is the file in a tree that keeps which deletes the bucket has not
// heard of yet, guestName that of those that it is not to hear of, withheldName that of
// those that wait for the admin's word. They are there only while there are such.
const (
	deletesName  = tempPrefix + "deletes"
	guestName    = tempPrefix + "guest-deletes"
	withheldName = tempPrefix + "withheld"
)

// NotedDeletes returns what SetNotedDeletes left, at most limit bytes of it; nil if
// there is nothing.
func (t *Tree) NotedDeletes(limit int64) (data []byte, err error) {
	return t.readNote(deletesName, limit)
}

// GuestDeletes returns what SetGuestDeletes left, as NotedDeletes.
func (t *Tree) GuestDeletes(limit int64) (data []byte, err error) {
	return t.readNote(guestName, limit)
}

// WithheldDeletes returns what SetWithheldDeletes left, as NotedDeletes.
func (t *Tree) WithheldDeletes(limit int64) (data []byte, err error) {
	return t.readNote(withheldName, limit)
}

func (t *Tree) readNote(name string, limit int64) (data []byte, err error) {
	f, err := t.Open(name)
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

// SetNotedDeletes replaces the file, wholly or not at all, even if the machine fails
// meanwhile; nil removes it.
func (t *Tree) SetNotedDeletes(data []byte) error { return t.setNote(deletesName, data) }

// SetGuestDeletes replaces the file, as SetNotedDeletes.
func (t *Tree) SetGuestDeletes(data []byte) error { return t.setNote(guestName, data) }

// SetWithheldDeletes replaces the file, as SetNotedDeletes.
func (t *Tree) SetWithheldDeletes(data []byte) error { return t.setNote(withheldName, data) }

func (t *Tree) setNote(name string, data []byte) error {
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
