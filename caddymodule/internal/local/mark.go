package local

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// Names of the extended attributes. They stand on the app's own files and
// directories, so that no state is kept anywhere else.
const (
	// AttrCommitted on a file holds a Mark.
	AttrCommitted = "user.media_offload.committed"
	// AttrBucketOnly on a directory says that objects of files that are not on
	// disk belong here on purpose.
	AttrBucketOnly = "user.media_offload.bucket_only"
	// AttrRunning on a root says since when requests that may write have been
	// running; a clean stop removes it.
	AttrRunning = "user.media_offload.running"
	// AttrCompared on a root names the time since the machine was started in which all
	// its files have been compared with the bucket.
	AttrCompared = "user.media_offload.compared"
	// AttrNode on a root holds a random name of this disk.
	AttrNode = "user.media_offload.node"
	// AttrBucket on a root says which bucket its files are in.
	AttrBucket = "user.media_offload.bucket"
	// AttrMember on a root says of which site this disk, on this machine, was a
	// server's.
	AttrMember = "user.media_offload.member"
	// AttrKeys on a root says what its keys begin with, and in which bucket.
	AttrKeys = "user.media_offload.keys"
)

// Mark is what is noted on a file once its content is in the bucket.
type Mark struct {
	// Size and ModTime (Unix nanoseconds) of the content that was committed.
	Size, ModTime int64
	// ETag of the object.
	ETag string
	// Class is the class under which it was committed, in one letter.
	Class byte
	// Binding binds the mark to one key in one bucket, so that a copy of the
	// file elsewhere, or another bucket in the config, does not inherit it.
	Binding string
	// Place is from where the file may be used by what is in it, as found by
	// Rules. Without Rules ("") the mark does not tell.
	Place media.Place
	Rules string
}

func (m Mark) encode() []byte {
	text := fmt.Appendf(nil, "1 %d %d %s %s %s", m.Size, m.ModTime, []byte{m.Class}, m.Binding, m.ETag)
	if m.Rules != "" {
		text = fmt.Appendf(text, " %s %s", m.Place, m.Rules)
	}
	return text
}

// parseMark reads what encode wrote. Anything else is no mark.
func parseMark(b []byte) (m Mark, ok bool) {
	f := strings.Split(string(b), " ")
	if (len(f) != 6 && len(f) != 8) || f[0] != "1" || len(f[3]) != 1 || f[4] == "" || f[5] == "" {
		return Mark{}, false
	}
	size, err1 := strconv.ParseInt(f[1], 10, 64)
	mtime, err2 := strconv.ParseInt(f[2], 10, 64)
	if err1 != nil || err2 != nil || size < 0 {
		return Mark{}, false
	}
	m = Mark{Size: size, ModTime: mtime, Class: f[3][0], Binding: f[4], ETag: f[5]}
	if len(f) == 8 {
		if m.Place, ok = media.ParsePlace(f[6]); !ok || f[7] == "" {
			return Mark{}, false
		}
		m.Rules = f[7]
	}
	return m, true
}

// ReadMark returns the mark on an open file.
func ReadMark(f *os.File) (Mark, bool) {
	var buf [512]byte
	n, err := fgetxattr(f, AttrCommitted, buf[:])
	if err != nil {
		return Mark{}, false
	}
	return parseMark(buf[:n])
}

// WriteMark notes m on an open file. ErrNoAttributes if the file system has
// none.
func WriteMark(f *os.File, m Mark) error { return fsetxattr(f, AttrCommitted, m.encode()) }

// Mark returns the mark on the file at rel.
func (t *Tree) Mark(rel string) (Mark, bool) {
	f, err := t.Open(rel)
	if err != nil {
		return Mark{}, false
	}
	defer f.Close()
	return ReadMark(f)
}

// MarkBehind returns the mark on the file at rel, or on the one of the tree that a
// symlink there leads to.
func (t *Tree) MarkBehind(rel string) (Mark, bool) {
	f, err := t.openDir(rel)
	if err != nil {
		return Mark{}, false
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return Mark{}, false
	}
	return ReadMark(f)
}

// DirNote returns a note on the directory at rel, "" if there is none.
func (t *Tree) DirNote(rel, attr string) string {
	d, err := t.openDir(rel)
	if err != nil {
		return ""
	}
	defer d.Close()
	var buf [256]byte
	n, err := fgetxattr(d, attr, buf[:])
	if err != nil {
		return ""
	}
	return string(buf[:n])
}

// SetDirNote sets a note on the directory at rel; "" removes it.
func (t *Tree) SetDirNote(rel, attr, value string) error {
	d, err := t.openDir(rel)
	if err != nil {
		return err
	}
	defer d.Close()
	if value == "" {
		return fremovexattr(d, attr)
	}
	return fsetxattr(d, attr, []byte(value))
}

// KeepsNotes reports whether notes and marks can be kept in the tree.
func (t *Tree) KeepsNotes() bool {
	return t.SetDirNote("", AttrCompared, t.DirNote("", AttrCompared)) == nil
}

// ErrNoAttributes: the file system keeps no extended attributes, or this
// process may not set them.
var ErrNoAttributes = errors.New("extended attributes cannot be kept")
