package offload

import (
	"crypto/sha256"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
)

// noteFile is a file in a media root by which this process tells the next one something.
type noteFile struct {
	recalled bool // what an earlier process left was read
	holds    bool // there is a file
	sum      [sha256.Size]byte
	moved    bool // another directory is at the root now: what stands there is not known
}

// recall reads what an earlier process left, once there is the directory; ok is false
// if it was read before.
func (n *noteFile) recall(t *local.Tree, note local.Note) (data []byte, ok bool) {
	if n.recalled {
		return nil, false
	}
	data, err := t.ReadNote(note, maxNoteFile)
	if err != nil {
		return nil, false // no such directory yet
	}
	n.recalled, n.holds, n.sum = true, data != nil, sha256.Sum256(data)
	return data, true
}

// write brings the file up to date; nil removes it.
func (n *noteFile) write(t *local.Tree, note local.Note, text []byte) error {
	sum := sha256.Sum256(text)
	if !n.moved && (text != nil) == n.holds && sum == n.sum {
		return nil
	}
	if err := t.SetNote(note, text); err != nil {
		return err
	}
	n.holds, n.sum, n.moved = text != nil, sum, false
	return nil
}
