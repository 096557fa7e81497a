package offload

import (
	"io/fs"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// state says what is known of a key.
type state uint8

const (
	// absent: neither a committed file nor an object, until entry.until.
	absent state = iota + 1
	// dirty: a change was seen; the object, if there is one, is older.
	dirty
	// committed: the bucket holds the file's present content.
	committed
	// bucketOnly: the bucket holds an object, the disk no file.
	bucketOnly
	// announced: another node stored an object; the file, if there is one, is
	// older.
	announced
	// removed: another node deleted the object; there may be a file yet.
	removed
)

// entry is what the index knows of a key. Fields are those of the object; for
// a dirty key those of the object before the change, if etag is set. Where
// several nodes write, the etag of a committed or dirty key is that of the
// version that this disk held last; of other keys, held knows that.
type entry struct {
	state   state
	class   media.Class
	kept    bool // private, although the rules say public: see standing
	size    int64
	modTime int64 // Unix nanoseconds; 0: unknown
	etag    string
	until   time.Time
	found   finding
	// Where several nodes write: unheld, of a dirty key, says that this disk
	// holds no version of it; over is the version that this node's last Put
	// replaced.
	unheld bool
	over   string
}

// committedEntry is the entry of a file of which the object with this ETag has the
// content.
func committedEntry(st standing, info fs.FileInfo, etag string) entry {
	return entry{state: committed, class: st.class, kept: st.kept, size: info.Size(), modTime: info.ModTime().UnixNano(), etag: etag}
}

// standing is that of the file.
func (x entry) standing() standing { return standing{x.class, x.kept} }

// object reports whether there is an object, be it an old one.
func (x entry) object() bool { return x.etag != "" && x.state != absent && x.state != removed }

// index remembers the state of the keys used last, in bounded memory. What it
// has forgotten is read from the marks on the files.
type index struct {
	cache  *lru.Cache[string, entry]
	shared bool // several nodes write
	held   *held
	// withheld loses the keys whose files are committed again.
	withheld *withheldKeys
	// changes grows after each change of the cache, but for what it forgets to
	// make room: that is still true.
	changes atomic.Uint64
}

func newIndex(size int, withheld *withheldKeys) *index {
	return &index{cache: newLRU[entry](size), held: newHeld(), withheld: withheld}
}

// share makes the index one of several nodes.
func (x *index) share() { x.shared = true }

// newLRU returns a cache of a size that is known to be positive.
func newLRU[T any](size int) *lru.Cache[string, T] {
	cache, err := lru.New[string, T](size)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return cache
}

func (x *index) get(key string) (entry, bool) { return x.cache.Get(key) }

// set records a fact that a worker or a reconcile established.
func (x *index) set(key string, e entry) {
	x.cache.Add(key, e.judged(key))
	x.changes.Add(1)
	if e.based() {
		x.held.set(key, e.etag)
	}
	if e.state == committed {
		x.withheld.remove(key)
	}
}

// learn records what was read from a mark or asked of the bucket, unless
// something is known already: that is newer.
func (x *index) learn(key string, e entry) {
	known, _ := x.cache.ContainsOrAdd(key, e.judged(key))
	if known {
		return
	}
	x.changes.Add(1)
	if e.state == committed {
		x.held.learn(key, e.etag)
	}
}

// forget drops a key of which nothing is known any more, and no version held.
func (x *index) forget(key string) {
	x.evict(key)
	x.held.drop(key)
}

// evict drops a key, but not which version of it was on this disk.
func (x *index) evict(key string) {
	x.cache.Remove(key)
	x.changes.Add(1)
}

// holds reports whether a version is the one that this disk held last.
func (x *index) holds(key, etag string) bool {
	if x.held.any(key) {
		return x.held.is(key, etag)
	}
	e, ok := x.cache.Peek(key)
	return ok && e.based() && e.etag == etag
}

// holdsAny reports whether the disk is known to hold a version.
func (x *index) holdsAny(key string) bool {
	if x.held.any(key) {
		return true
	}
	e, ok := x.cache.Peek(key)
	return ok && e.based()
}

// based reports whether the etag is that of the version held last.
func (x entry) based() bool { return x.etag != "" && (x.state == committed || x.state == dirty) }

// soil notes that a key may have changed. Only called by the goroutine that
// handles events, under the queue's lock, so that it cannot overwrite what a
// commit of this very change established.
func (x *index) soil(key string) {
	e, ok := x.cache.Peek(key)
	if ok && e.state == dirty {
		return
	}
	if x.shared && ok && e.state != committed {
		// What the bucket has is not what was on this disk: it must not be
		// written over unseen.
		e = entry{class: e.class, kept: e.kept, unheld: !x.held.any(key)}
	}
	e.state = dirty
	x.cache.Add(key, e)
	x.changes.Add(1)
}

func (x *index) len() int { return x.cache.Len() }
