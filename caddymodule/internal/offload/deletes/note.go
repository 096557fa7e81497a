package deletes

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"sync"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

const (
	// MaxNoted bounds the deletes that are noted for a root; those beyond are kept
	// or fetched after a restart.
	MaxNoted = 100_000
	// maxFile is more than so many take.
	maxFile = 256 << 20
)

// Noted is a delete that is noted on disk.
type Noted struct {
	Key string `json:"key"`
	Dir bool   `json:"dir,omitempty"` // all below the key
	// Held: it did not go by itself; it is a version that a deleted directory held.
	Held bool `json:"held,omitempty"`
	// Meant: a request deleted it. MovedTo is the name that it has now.
	Meant   bool   `json:"meant,omitempty"`
	MovedTo string `json:"moved_to,omitempty"`
	// ETag and Private are of the object that this disk held; "" if that is not
	// known.
	ETag    string `json:"etag,omitempty"`
	Private bool   `json:"private,omitempty"`
	// Withheld is since when the delete is withheld, in Unix nanoseconds.
	Withheld int64 `json:"withheld,omitempty"`
}

// Class is that of the object that this disk held.
func (d Noted) Class() media.Class {
	if d.Private {
		return media.Private
	}
	return media.Public
}

// text is the file of some deletes, nil of none; parse reads it. Notes of another disk or
// bucket say nothing.
func text(whose string, all []Noted) []byte {
	if len(all) == 0 {
		return nil
	}
	var text bytes.Buffer
	lines := json.NewEncoder(&text)
	_ = lines.Encode(whose) // neither can fail
	for i := range all {
		_ = lines.Encode(&all[i])
	}
	return text.Bytes()
}

func parse(whose string, data []byte, most int) (all []Noted) {
	lines := json.NewDecoder(bytes.NewReader(data))
	var header string
	if err := lines.Decode(&header); err != nil || header != whose {
		return nil
	}
	for len(all) < most {
		var d Noted
		if err := lines.Decode(&d); err != nil {
			break // its end, or somebody else's
		}
		all = append(all, d)
	}
	return all
}

// Disk is where the notes of a media root are.
type Disk interface {
	Dir() string
	ReadNote(note local.Note, limit int64) ([]byte, error)
	SetNote(note local.Note, data []byte) error
}

// Notes are the notes of one kind, by media root.
type Notes struct {
	kind  local.Note
	disks []Disk
	whose func() string
	most  int

	mu    sync.Mutex
	files []file // by root
}

// file is a note as it stands on disk.
type file struct {
	recalled bool // what an earlier process left was read
	holds    bool // there is a file
	sum      [sha256.Size]byte
	moved    bool // another directory is at the root now: what stands there is not known
}

// NewNotes returns the notes of a kind, of at most so many deletes a root. whose says which
// disk and bucket they are of.
func NewNotes(kind local.Note, disks []Disk, whose func() string, most int) *Notes {
	return &Notes{kind: kind, disks: disks, whose: whose, most: most, files: make([]file, len(disks))}
}

// Recall reads what an earlier process left of a root, once there is the directory; ok is
// false if there is none yet, or it was read before.
func (n *Notes) Recall(root int) (all []Noted, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := &n.files[root]
	if f.recalled {
		return nil, false
	}
	data, err := n.disks[root].ReadNote(n.kind, maxFile)
	if err != nil {
		return nil, false // no such directory yet
	}
	*f = file{recalled: true, holds: data != nil, sum: sha256.Sum256(data), moved: f.moved}
	return parse(n.whose(), data, n.most), true
}

// Recalled reports whether that was read: before, nothing is to be written in its place.
func (n *Notes) Recalled(root int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.files[root].recalled
}

// Holds reports whether there is a note on disk.
func (n *Notes) Holds(root int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.files[root].holds
}

// Set brings the note of a root up to date; it is removed if there are no deletes.
func (n *Notes) Set(root int, all []Noted) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	f, data := &n.files[root], text(n.whose(), all)
	sum := sha256.Sum256(data)
	if !f.moved && (data != nil) == f.holds && sum == f.sum {
		return nil
	}
	if err := n.disks[root].SetNote(n.kind, data); err != nil {
		return err
	}
	f.holds, f.sum, f.moved = data != nil, sum, false
	return nil
}

// Moved notes that another directory is at a root: what is to be noted is not there.
func (n *Notes) Moved(root int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.files[root].moved = true
}

// Forget has the note of a root read again: another directory takes its place.
func (n *Notes) Forget(root int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.files[root] = file{}
}
