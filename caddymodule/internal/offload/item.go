package offload

import (
	"container/list"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/watch"
)

// kind says what an item is about.
type kind uint8

const (
	// aFile may have been written or have gone.
	aFile kind = iota
	// aDirGone is a directory that is gone with all below it.
	aDirGone
	// anHtaccess may have changed the class of what lies beside and below it.
	anHtaccess
	// aRescan is a directory in which changes were missed.
	aRescan
	// aSearch looks for names of files that have several.
	aSearch
)

// spreads reports whether work on the item may put further items in the queue
// that a request has to wait for as well.
func (k kind) spreads() bool { return k != aFile }

// itemKey tells items of different kinds about one path apart.
func (k kind) itemKey(key string) string {
	switch k {
	case aDirGone:
		return key + "/"
	case aRescan:
		return "\x00" + key
	case aSearch:
		return "\x00\x00" + key
	}
	return key
}

// item is a path whose state in the bucket may differ from the disk. It says
// where to look, not what to do: that is decided by a look at the disk.
type item struct {
	kind kind
	key  string // of the file or directory; see itemKey
	root int
	rel  string

	gen        uint64 // number of the last change seen
	soiled     uint64 // number of the last one that may have changed the content
	since      time.Time
	due        time.Time
	quiet      time.Time   // not before: it is still being written
	background bool        // found by a reconcile, not by an event
	closed     bool        // the content was complete at some time since the last commit
	gone       bool        // it is gone, by an event or a look
	told       bool        // it is gone by an event
	in         watch.DirID // the media root in which that was seen
	fresh      bool        // no object of it can exist
	rewritten  bool        // the app wrote it, by an event: it is no version that was here before
	wrote      bool        // content may have changed (else only times, mode or marks)
	inRequest  bool        // it changed while a request ran that may write
	written    bool        // an event told of new content, not only of a new name
	linked     bool        // it changed through another name only
	spread     bool        // work on it put others in the queue

	// movedTo is the key that the file or directory was renamed to, seen with
	// change movedAt, 0 if it was not. While move is set the item waits for
	// others, followed says that it need not do so again; arrivals are of those
	// that wait for this one.
	movedTo  string
	movedAt  uint64
	followed bool
	move     *move
	arrivals []arrival

	// listed is the object that a reconcile found; misplaced names an object
	// of the other class that must go once this one is committed.
	listed    *bucket.Info
	misplaced string

	// Of others' changes. fetching: it is about nothing else; hurried: a request
	// waits for it; elsewhere: the object has to be looked at, because of why,
	// the last time at change heard. version is the ETag of what was stored or
	// deleted, "" if unknown; size that of the announced object.
	fetching, hurried, elsewhere bool
	why                          cause
	version                      string
	under                        media.Class // of the object that was stored
	size                         int64
	heard                        uint64
	// unannounced: the bucket may have the change, the change log not yet.
	unannounced bool
	// nonce goes with each Put of the item; "" before the first.
	nonce string

	attempts int
	failing  time.Time // since then
	err      error
	refused  bool // the store has said often enough that it does not take it

	heapIndex int // -1: not in a heap (running)
	elem      *list.Element
	waiters   []waiter
	clients   []string
}

// waiter is one request's interest in an item up to a change.
type waiter struct {
	gen uint64
	on  *wait
}

// wait is what one request waits for. Guarded by queue.mu.
type wait struct {
	left int
	err  error // why it cannot be had, if the store refuses for good
	done chan struct{}
}

func (w *wait) release(err error) {
	if w.left == 0 {
		return
	}
	w.left--
	if err != nil {
		w.err = err
		w.left = 0
	}
	if w.left == 0 {
		close(w.done)
	}
}

// snapshot is what a worker needs of an item: taken under the lock, read
// without it.
type snapshot struct {
	*item
	gen                     uint64
	fresh, wrote, inRequest bool
	moved, written, linked  bool
	rewritten               bool
	gone, told              bool
	in                      watch.DirID
	background, elsewhere   bool
	unannounced             bool
	why                     cause
	version                 string
	under                   media.Class
}

func (it *item) snapshot() snapshot {
	return snapshot{
		item: it, gen: it.gen, fresh: it.fresh, wrote: it.wrote, inRequest: it.inRequest,
		moved: it.movedAt != 0, written: it.written, linked: it.linked,
		rewritten: it.rewritten, gone: it.gone, told: it.told, in: it.in, background: it.background,
		elsewhere: it.elsewhere, unannounced: it.unannounced, why: it.why, version: it.version, under: it.under,
	}
}

// itemHeap is a heap by due time.
type itemHeap []*item

func (h itemHeap) Len() int           { return len(h) }
func (h itemHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h itemHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapIndex, h[j].heapIndex = i, j
}

func (h *itemHeap) Push(x any) {
	it := x.(*item)
	it.heapIndex = len(*h)
	*h = append(*h, it)
}

func (h *itemHeap) Pop() any {
	old := *h
	it := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return it
}
