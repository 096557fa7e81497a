package index

import (
	"io/fs"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// State says what is known of a key.
type State uint8

const (
	// Absent: neither a committed file nor an object, until Entry.Until.
	Absent State = iota + 1
	// Dirty: a change was seen; the object, if there is one, is older.
	Dirty
	// Committed: the bucket holds the file's present content.
	Committed
	// BucketOnly: the bucket holds an object, the disk no file.
	BucketOnly
	// Announced: another node stored an object; the file, if there is one, is
	// older.
	Announced
	// Removed: another node deleted the object; there may be a file yet.
	Removed
)

// Entry is what the index knows of a key. Fields are those of the object; for
// a dirty key those of the object before the change, if ETag is set. Where
// several nodes write, the ETag of a committed or dirty key is that of the
// version that this disk held last; of other keys, Holds knows that.
type Entry struct {
	State   State
	Class   media.Class
	Kept    bool // private, although the rules say public: see Standing
	Size    int64
	ModTime int64 // Unix nanoseconds; 0: unknown
	ETag    string
	Until   time.Time
	Found   Finding
	// Where several nodes write. Unheld, of a dirty key: this disk holds no version
	// of it. Over: the version that this node's last Put replaced.
	Unheld bool
	Over   string
}

// EntryOf is the entry of a file of which the object with this ETag has the
// content.
func EntryOf(st Standing, info fs.FileInfo, etag string) Entry {
	return Entry{State: Committed, Class: st.Class, Kept: st.Kept, Size: info.Size(), ModTime: info.ModTime().UnixNano(), ETag: etag}
}

// Standing is that of the file.
func (x Entry) Standing() Standing { return Standing{x.Class, x.Kept} }

// Object reports whether there is an object, be it an old one.
func (x Entry) Object() bool { return x.ETag != "" && x.State != Absent && x.State != Removed }

// Index remembers the state of the keys used last, in bounded memory. What it
// has forgotten is read from the marks on the files.
type Index struct {
	cache  *lru.Cache[string, Entry]
	shared bool // several nodes write
	bases  *bases
	told   func(key string)
	// changes is what Changes returns; it grows after each change of the cache.
	changes atomic.Uint64
}

// New returns an index of so many keys, which is known to be positive. committed is
// told of each key whose file is committed.
func New(size int, committed func(key string)) *Index {
	cache, err := lru.New[string, Entry](size)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &Index{cache: cache, bases: newBases(), told: committed}
}

// Share makes the index one of several nodes.
func (x *Index) Share() { x.shared = true }

// Changes is a number that grows with each change of the index, but for what it forgets
// to make room: that is still true.
func (x *Index) Changes() uint64 { return x.changes.Load() }

// Grew lets Changes grow: what else an answer depends on has changed.
func (x *Index) Grew() { x.changes.Add(1) }

// Get returns what is known of a key.
func (x *Index) Get(key string) (Entry, bool) { return x.cache.Get(key) }

// Peek is get, and no use of the key.
func (x *Index) Peek(key string) (Entry, bool) { return x.cache.Peek(key) }

// Keys are those of which something is known.
func (x *Index) Keys() []string { return x.cache.Keys() }

// Expect notes that the disk is about to hold a version of a key, and returns what takes
// that back.
func (x *Index) Expect(key, etag string) (undo func()) { return x.bases.expect(key, etag) }

// Set records a fact that a worker or a reconcile established.
func (x *Index) Set(key string, e Entry) {
	x.cache.Add(key, e.judged(key))
	x.changes.Add(1)
	if e.Based() {
		x.bases.set(key, e.ETag)
	}
	if e.State == Committed {
		x.told(key)
	}
}

// Learn records what was read from a mark or asked of the bucket, unless
// something is known already: that is newer.
func (x *Index) Learn(key string, e Entry) {
	known, _ := x.cache.ContainsOrAdd(key, e.judged(key))
	if known {
		return
	}
	x.changes.Add(1)
	if e.State == Committed {
		x.bases.learn(key, e.ETag)
	}
}

// Forget drops a key of which nothing is known any more, and no version held.
func (x *Index) Forget(key string) {
	x.Evict(key)
	x.bases.drop(key)
}

// Evict drops a key, but not which version of it was on this disk.
func (x *Index) Evict(key string) {
	x.cache.Remove(key)
	x.changes.Add(1)
}

// Holds reports whether a version is the one that this disk held last.
func (x *Index) Holds(key, etag string) bool {
	if x.bases.any(key) {
		return x.bases.is(key, etag)
	}
	e, ok := x.cache.Peek(key)
	return ok && e.Based() && e.ETag == etag
}

// HoldsAny reports whether the disk is known to hold a version.
func (x *Index) HoldsAny(key string) bool {
	if x.bases.any(key) {
		return true
	}
	e, ok := x.cache.Peek(key)
	return ok && e.Based()
}

// Based reports whether the etag is that of the version held last.
func (x Entry) Based() bool { return x.ETag != "" && (x.State == Committed || x.State == Dirty) }

// Soil notes that a key may have changed. Only called by the goroutine that
// handles events, under the queue's lock, so that it cannot overwrite what a
// commit of this very change established.
func (x *Index) Soil(key string) {
	e, ok := x.cache.Peek(key)
	if ok && e.State == Dirty {
		return
	}
	if x.shared && ok && e.State != Committed {
		// What the bucket has is not what was on this disk: it must not be
		// written over unseen.
		e = Entry{Class: e.Class, Kept: e.Kept, Unheld: !x.bases.any(key)}
	}
	e.State = Dirty
	x.cache.Add(key, e)
	x.changes.Add(1)
}

// Len is the number of keys of which something is known.
func (x *Index) Len() int { return x.cache.Len() }
