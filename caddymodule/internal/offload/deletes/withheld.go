package deletes

import (
	"cmp"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/watch"
)

const (
	// MaxWithheld bounds the withheld deletes that are remembered, at some 100 bytes
	// each; those beyond are as if the module had not been running.
	MaxWithheld = 1 << 20
	// StoreClock is how far the store's clock may be behind: objects stored so long
	// after a delete was withheld, or a directory was made, may still be older.
	StoreClock = time.Minute
	// maxSaid is how many directories a line of the log names.
	maxSaid = 10
)

// File names a file of a media root.
type File struct {
	Key  string
	Root int
}

// Withheld are the files whose deletes are withheld: such as were on this disk and were
// seen to go. A key stays until it is known what became of it, be its file there again
// meanwhile: that may be an upload that fails. What uses it asks of missing files.
type Withheld struct {
	notes *Notes
	log   func() *slog.Logger

	mu      sync.Mutex
	keys    map[string]Since
	changes uint64
	changed time.Time // since the log had a line about them; zero: not since
	dirs    []string  // of those, some

	noting        sync.Mutex // held while notes are brought up to date
	noted         []noted    // by root
	full, unnoted sync.Once  // lines of the log
}

// noted is what the note of a root has.
type noted struct {
	in   watch.DirID // the media root
	upTo uint64      // change that it has
}

// Since says of which root a file is whose delete is withheld, and since when that is.
type Since struct {
	Root int
	Time time.Time
}

// NewWithheld returns what is withheld in some media roots: nothing, until Note has read
// their notes.
func NewWithheld(notes *Notes, log func() *slog.Logger) *Withheld {
	return &Withheld{notes: notes, log: log, keys: make(map[string]Since), noted: make([]noted, len(notes.disks))}
}

// Covers reports whether an object stored at some time is the one that was meant.
func (d Since) Covers(stored time.Time) bool { return stored.Before(d.Time.Add(StoreClock)) }

// Add notes files whose deletes are withheld, as far as there is room.
func (w *Withheld) Add(gone []File, now time.Time) {
	if !w.add(gone, now) {
		w.full.Do(func() {
			w.log().Error("more deletes are withheld than can be remembered: the objects of the others are kept, and their files come back after a restart",
				"limit", MaxWithheld)
		})
	}
}

func (w *Withheld) add(gone []File, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range gone {
		if _, known := w.keys[f.Key]; known {
			continue
		}
		if len(w.keys) >= MaxWithheld {
			return false
		}
		w.keys[f.Key] = Since{f.Root, now}
		w.changes++
		w.changed = now
		dir, _ := bucket.SplitKey(f.Key)
		if dir = cmp.Or(dir, "/"); len(w.dirs) < maxSaid && !slices.Contains(w.dirs, dir) {
			w.dirs = append(w.dirs, dir)
		}
	}
	return true
}

// Covers reports whether a missing file's object, stored at some time, is one whose delete
// is withheld.
func (w *Withheld) Covers(key string, stored time.Time) bool {
	d, ok := w.Get(key)
	return ok && d.Covers(stored)
}

// Has reports whether the delete of a missing file is withheld.
func (w *Withheld) Has(key string) bool {
	_, ok := w.Get(key)
	return ok
}

// Get returns since when the delete of a missing file is withheld, if it is.
func (w *Withheld) Get(key string) (d Since, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d, ok = w.keys[key]
	return d, ok
}

// Remove notes that a file is there again, or its object gone.
func (w *Withheld) Remove(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.keys[key]; ok {
		delete(w.keys, key)
		w.changes++
	}
}

// Before returns the keys that were withheld before a time.
func (w *Withheld) Before(t time.Time) (keys []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, d := range w.keys {
		if d.Time.Before(t) {
			keys = append(keys, key)
		}
	}
	return keys
}

// Forget drops those that were withheld up to a time.
func (w *Withheld) Forget(upTo time.Time) {
	w.forget(func(d Since) bool { return !d.Time.After(upTo) })
}

func (w *Withheld) forget(drop func(Since) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.keys, func(_ string, d Since) bool { return drop(d) })
	w.changes++
}

// Len is how many are withheld.
func (w *Withheld) Len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.keys)
}

// Say has the log tell of deletes that were withheld: one line for all that came together,
// once no more have come for a while.
func (w *Withheld) Say(now time.Time, quiet time.Duration) {
	n, dirs := w.news(now, quiet)
	if n == 0 {
		return
	}
	w.log().Error("many media files were deleted outside requests at once: their objects are kept and the files are not fetched back "+
		"until you say what is right: `media-offload trash accept` deletes the objects, `media-offload trash restore` brings the files back, "+
		"`media-offload trash list` shows them", "withheld", n, "dirs", dirs)
}

func (w *Withheld) news(now time.Time, quiet time.Duration) (n int, dirs []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.keys) == 0 || w.changed.IsZero() || now.Sub(w.changed) < quiet {
		return 0, nil
	}
	n, dirs = len(w.keys), w.dirs
	w.changed, w.dirs = time.Time{}, nil
	return n, dirs
}

// Below returns the directory of the keys of a root that were withheld up to a time, as
// far down as they have one; ok is false if there are none.
func (w *Withheld) Below(root int, upTo time.Time) (dir string, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, d := range w.keys {
		if d.Root != root || d.Time.After(upTo) {
			continue
		}
		if !ok {
			dir, _ = bucket.SplitKey(key)
			ok = true
		}
		for dir != "" && !strings.HasPrefix(key, dir+"/") {
			dir, _ = bucket.SplitKey(dir)
		}
	}
	return dir, ok
}

// of returns what is to be noted of a root, and with which change.
func (w *Withheld) of(root int) (all []Noted, changes uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, d := range w.keys {
		if d.Root == root {
			all = append(all, Noted{Key: key, Withheld: d.Time.UnixNano()})
		}
	}
	slices.SortFunc(all, func(a, b Noted) int { return strings.Compare(a.Key, b.Key) })
	return all, w.changes
}

func (w *Withheld) changesNow() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changes
}

// Note brings the notes up to date, after having read those that an earlier process left;
// admit is the door for their keys. roots are the directories at the media roots, nil for
// one that is not there: with a root that another directory takes the place of goes what
// was withheld there.
func (w *Withheld) Note(roots []*watch.DirID, admit func(key string) (root int, ok bool)) {
	w.noting.Lock()
	defer w.noting.Unlock()
	for root, in := range roots {
		if in == nil {
			continue
		}
		n := &w.noted[root]
		if w.notes.Recalled(root) && n.in != *in {
			w.forget(func(d Since) bool { return d.Root == root })
			w.notes.Forget(root)
			*n = noted{}
		}
		n.in = *in
		w.recall(root, admit)
		if !w.notes.Recalled(root) || w.changesNow() == n.upTo {
			continue
		}
		all, changes := w.of(root)
		if err := w.notes.Set(root, all); err != nil {
			w.unnoted.Do(func() {
				w.log().Warn("many deletes are withheld, but that cannot be noted on disk: after a restart the files will be fetched again",
					"dir", w.notes.disks[root].Dir(), "error", err)
			})
			continue
		}
		n.upTo = changes
	}
}

// recall reads what an earlier process noted of a root.
func (w *Withheld) recall(root int, admit func(key string) (root int, ok bool)) {
	all, ok := w.notes.Recall(root)
	if !ok {
		return
	}
	for _, d := range all {
		if of, ok := admit(d.Key); ok && of == root {
			w.Add([]File{{d.Key, root}}, time.Unix(0, d.Withheld))
		}
	}
}
