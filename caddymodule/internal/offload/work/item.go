package work

import (
	"container/list"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/watch"
)

// Kind says what an item is about.
type Kind uint8

const (
	// File may have been written or have gone.
	File Kind = iota
	// DirGone is a directory that is gone with all below it.
	DirGone
	// Htaccess may have changed the class of what lies beside and below it.
	Htaccess
	// Rescan is a directory in which changes were missed.
	Rescan
	// Search looks for names of files that have several.
	Search
)

// spreads reports whether work on the item may put further items in the queue
// that a request has to wait for as well.
func (k Kind) spreads() bool { return k != File }

// ItemKey tells items of different kinds about one path apart.
func (k Kind) ItemKey(key string) string {
	switch k {
	case DirGone:
		return key + "/"
	case Rescan:
		return "\x00" + key
	case Search:
		return "\x00\x00" + key
	}
	return key
}

// Target is what an item is about.
type Target struct {
	Kind Kind
	Key  string // of the file or directory; see ItemKey
	Root int
	Rel  string
}

// Presence says whether a file is there, as far as the last event or look tells.
type Presence uint8

const (
	// Present: it is there, or nothing tells that it is not.
	Present Presence = iota
	// Missed: a look did not find it.
	Missed
	// Deleted: an event told that it went.
	Deleted
)

// seen is what was seen of a file or directory since it was committed last.
type seen struct {
	Presence  Presence
	In        watch.DirID // the media root in which a delete was seen
	InRequest bool        // something of it while a request ran that may write
	AfterKill bool        // something of it while requests of a killed process may have gone on

	// Of content. Wrote: it may have changed (else only times, mode or marks). Written: an
	// event told of new content, not only of a new name. Rewritten: an event told that the
	// app wrote it, so it is no version that was here before. Linked: it changed through
	// another name only.
	Wrote, Written, Rewritten, Linked bool

	Fresh       bool // no object of it can exist
	Unannounced bool // the bucket may have the change, the change log not yet
}

// Doer is who may have done what an event tells of.
type Doer uint8

const (
	// Anybody: no request, as far as this node knows.
	Anybody Doer = iota
	// KilledRequest: the app may go on with the requests of a process that was killed.
	KilledRequest
	// InRequest: a request that runs on this node.
	InRequest
)

// By notes who may have done something of it.
func (s *seen) By(who Doer) {
	s.InRequest = s.InRequest || who == InRequest
	s.AfterKill = s.AfterKill || who == KilledRequest
}

// Gone reports whether there is no file, by an event or a look.
func (s *seen) Gone() bool { return s.Presence != Present }

// News is what is known of another node's change.
type News struct {
	Why     verdict.Cause
	Version string      // ETag of what was stored or deleted; "" unknown
	Told    string      // ETag of what the change log said last was stored, or may have; "" nothing
	Under   media.Class // of the object that was stored
	Size    int64       // of that
}

// Origin says where the need for work on an item came from.
type Origin uint8

const (
	// Event: the disk changed.
	Event Origin = iota
	// others: other nodes changed it, and nothing else is known.
	others
	// Comparison: disk and bucket were compared.
	Comparison
)

// Item is a path whose state in the bucket may differ from the disk. It says
// where to look, not what to do: that is decided by a look at the disk.
type Item struct {
	Target
	seen
	News

	began    uint64 // number of the change that brought it into the queue
	Gen      uint64 // number of the last change seen
	Soiled   uint64 // number of the last one that may have changed the content
	Heard    uint64 // number of the last one that was another node's; 0: none is to be dealt with
	since    time.Time
	due      time.Time
	Quiet    time.Time // not before: it is still being written
	From     Origin
	hurried  bool // a request waits for the other node's change
	Complete bool // the content was complete at some time since the last commit
	Spread   bool // work on it put others in the queue

	// MovedTo is the key that the file or directory was renamed to, seen with
	// change MovedAt, 0 if it was not. While Move is set the item waits for
	// others; Followed says that it need not do so again; arrivals are of those
	// that wait for this one.
	MovedTo  string
	MovedAt  uint64
	Followed bool
	Move     *Move
	arrivals []arrival

	// Listed is the object that a comparison found; misplaced names an object
	// of the other class that must go once this one is committed.
	Listed    *bucket.Info
	Misplaced string

	// Nonce goes with each Put of the item; "" before the first.
	Nonce string

	Attempts int
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
	on  *Wait
	// without: it does without a file that is large, or was tried in vain.
	without bool
}

// Wait is what one request waits for. Guarded by its lock.
type Wait struct {
	left int
	Err  error // why it cannot be had, if the store refuses for good
	Done chan struct{}
}

func (w *Wait) release(err error) {
	if w.left == 0 {
		return
	}
	w.left--
	if err != nil {
		w.Err = err
		w.left = 0
	}
	if w.left == 0 {
		close(w.Done)
	}
}

// Task is what a worker gets of an item: a value of the time when it was taken.
type Task struct {
	Target
	seen
	News
	From      Origin
	Gen       uint64
	LastOwn   uint64 // see Item.lastOwn
	Elsewhere bool   // another node's change is to be dealt with
	Moved     bool   // it has another name now
	OtherRoot bool   // it went in another directory than is at the media root now
	Attempts  int
	Listed    *bucket.Info
	Misplaced string
	Nonce     string // goes with each Put

	Item *Item // for the queue
}

// Task returns what a worker gets. The caller holds the queue's lock.
func (it *Item) Task() *Task {
	return &Task{
		Target: it.Target, seen: it.seen, News: it.News, From: it.From, Gen: it.Gen, LastOwn: it.lastOwn(),
		Elsewhere: it.Heard != 0, Moved: it.MovedAt != 0, Attempts: it.Attempts,
		Listed: it.Listed, Misplaced: it.Misplaced, Nonce: it.Nonce, Item: it,
	}
}

// lastOwn is the number of the last change that may have been one of this disk's: what
// comparisons find and other nodes tell, comes to an item that is there without being one.
func (it *Item) lastOwn() uint64 { return max(it.began, it.Soiled) }

// Meant reports whether what went was certainly meant to: by a request, or because
// it has another name.
func (t *Task) Meant() bool { return t.InRequest || t.Moved }

// IsDelete reports whether it is about a delete that was seen.
func (t *Task) IsDelete() bool { return t.deletes(t.Presence) }

// isDelete is that of its task.
func (it *Item) isDelete() bool { return it.deletes(it.Presence) }

// deletes reports whether what was seen of a target is a delete.
func (t Target) deletes(p Presence) bool {
	return t.Kind == DirGone || t.Kind == File && p == Deleted
}

// Untold reports whether what a look finds under a key may be told of by no
// entry of the change log: this node may have stored it itself, or an app of
// this node met what a node had stored that was killed before it told.
func (t *Task) Untold() bool {
	return t.Unannounced || (t.Wrote && t.From != Comparison && !t.Elsewhere)
}

// itemHeap is a heap by due time.
type itemHeap []*Item

func (h itemHeap) Len() int           { return len(h) }
func (h itemHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h itemHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapIndex, h[j].heapIndex = i, j
}

func (h *itemHeap) Push(x any) {
	it := x.(*Item)
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

// Refusals is how often a store may refuse a file before a request no longer
// waits for it. Where a directory has taken the place of a file, the object of
// that has to go first; and stores have refused what they took a moment later.
const Refusals = 3
