package offload

import (
	"container/list"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
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

// target is what an item is about.
type target struct {
	kind kind
	key  string // of the file or directory; see itemKey
	root int
	rel  string
}

// presence says whether a file is there, as far as the last event or look tells.
type presence uint8

const (
	// present: it is there, or nothing tells that it is not.
	present presence = iota
	// missed: a look did not find it.
	missed
	// deleted: an event told that it went.
	deleted
)

// seen is what was seen of a file or directory since it was committed last.
type seen struct {
	presence  presence
	in        watch.DirID // the media root in which a delete was seen
	inRequest bool        // something of it while a request ran that may write
	afterKill bool        // something of it while requests of a killed process may have gone on

	// Of content: wrote, it may have changed (else only times, mode or marks);
	// written, an event told of new content, not only of a new name; rewritten, an event
	// told that the app wrote it, so it is no version that was here before; linked, it
	// changed through another name only.
	wrote, written, rewritten, linked bool

	fresh       bool // no object of it can exist
	unannounced bool // the bucket may have the change, the change log not yet
}

// doer is who may have done what an event tells of.
type doer uint8

const (
	anybody doer = iota
	// killedRequest: the app may go on with the requests of a process that was killed.
	killedRequest
	aRequest
)

// by notes who may have done something of it.
func (s *seen) by(who doer) {
	s.inRequest = s.inRequest || who == aRequest
	s.afterKill = s.afterKill || who == killedRequest
}

// gone reports whether there is no file, by an event or a look.
func (s *seen) gone() bool { return s.presence != present }

// news is what is known of another node's change.
type news struct {
	why     verdict.Cause
	version string      // ETag of what was stored or deleted; "" unknown
	told    string      // ETag of what the change log said last was stored, or may have; "" nothing
	under   media.Class // of the object that was stored
	size    int64       // of that
}

// origin says where the need for work on an item came from.
type origin uint8

const (
	// anEvent: the disk changed.
	anEvent origin = iota
	// others: other nodes changed it, and nothing else is known.
	others
	// comparison: disk and bucket were compared.
	comparison
)

// item is a path whose state in the bucket may differ from the disk. It says
// where to look, not what to do: that is decided by a look at the disk.
type item struct {
	target
	seen
	news

	gen      uint64 // number of the last change seen
	soiled   uint64 // number of the last one that may have changed the content
	heard    uint64 // number of the last one that was another node's; 0: none is to be dealt with
	since    time.Time
	due      time.Time
	quiet    time.Time // not before: it is still being written
	from     origin
	hurried  bool // a request waits for the other node's change
	complete bool // the content was complete at some time since the last commit
	spread   bool // work on it put others in the queue

	// movedTo is the key that the file or directory was renamed to, seen with
	// change movedAt, 0 if it was not. While move is set the item waits for
	// others, followed says that it need not do so again; arrivals are of those
	// that wait for this one.
	movedTo  string
	movedAt  uint64
	followed bool
	move     *move
	arrivals []arrival

	// listed is the object that a comparison found; misplaced names an object
	// of the other class that must go once this one is committed.
	listed    *bucket.Info
	misplaced string

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

// wait is what one request waits for. Guarded by its lock.
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

// task is what a worker gets of an item: a value of the time when it was taken.
type task struct {
	target
	seen
	news
	from      origin
	gen       uint64
	elsewhere bool // another node's change is to be dealt with
	moved     bool // it has another name now
	otherRoot bool // it went in another directory than is at the media root now
	attempts  int
	listed    *bucket.Info
	misplaced string
	nonce     string // goes with each Put

	item *item // for the queue
}

// task returns what a worker gets. The caller holds the queue's lock.
func (it *item) task() *task {
	return &task{
		target: it.target, seen: it.seen, news: it.news, from: it.from, gen: it.gen,
		elsewhere: it.heard != 0, moved: it.movedAt != 0, attempts: it.attempts,
		listed: it.listed, misplaced: it.misplaced, nonce: it.nonce, item: it,
	}
}

// meant reports whether what went was certainly meant to: by a request, or because
// it has another name.
func (s *task) meant() bool { return s.inRequest || s.moved }

// isDelete reports whether it is about a delete that was seen.
func (s *task) isDelete() bool { return s.deletes(s.presence) }

// isDelete is that of its task.
func (it *item) isDelete() bool { return it.deletes(it.presence) }

// deletes reports whether what was seen of a target is a delete.
func (t target) deletes(p presence) bool {
	return t.kind == aDirGone || t.kind == aFile && p == deleted
}

// untold reports whether what a look finds under a key may be told of by no
// entry of the change log: this node may have stored it itself, or an app of
// this node met what a node had stored that was killed before it told.
func (s *task) untold() bool {
	return s.unannounced || (s.wrote && s.from != comparison && !s.elsewhere)
}

// stored reports whether an object was stored by a Put of the item, be it one
// whose answer was lost.
func (s *task) stored(info bucket.Info) bool {
	return s.nonce != "" && info.Meta[metaNonce] == s.nonce
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
