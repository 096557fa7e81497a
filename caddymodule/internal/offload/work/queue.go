package work

import (
	"container/heap"
	"container/list"
	"crypto/rand"
	"iter"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/background"
)

// Times of the queue.
const (
	// Rest is how long a finished file rests before it is committed, so that
	// one that vanishes within milliseconds (Joomla's temp files) costs
	// nothing. A request that waits cuts it short.
	Rest = 10 * time.Millisecond
	// Gather is how long a delete waits for others, so that those of one
	// request go out together. A request that waits cuts it short.
	Gather = 500 * time.Millisecond
	// WritingFor is how long a file that stays open must have been quiet to be
	// committed as it is.
	WritingFor = 1200 * time.Millisecond
	// A failed item is tried again after a random time up to retryMin, doubled
	// with each failure up to retryMax.
	retryMin = 200 * time.Millisecond
	retryMax = 5 * time.Second
	// refusedMax is retryMax for a file that the store refuses.
	refusedMax = 5 * time.Minute
)

// MaxBackground bounds the items a reconcile may have in the queue.
const MaxBackground = 1000

// Queue holds the items, by path and by when they are due.
type Queue struct {
	mu      sync.Mutex
	gen     uint64
	items   map[string]*Item
	order   *list.List // of *item by gen, oldest change first
	urgent  itemHeap
	others  itemHeap           // items of others' changes that nobody waits for
	idle    itemHeap           // background items
	heard   map[*Item]struct{} // items of others' changes
	clients map[string]map[*Item]struct{}
	going   map[*Item]struct{} // items of deletes that were seen
	goes    atomic.Bool        // there is one
	unbased map[*Item]struct{} // items of new content, unless TakeUnbased has given them out
	// deleting are keys whose objects go with their directory just now, although
	// a file may be there again.
	deleting map[string]int

	backgrounds int // background items in the queue
	room        chan struct{}
	wake        chan struct{}
}

// New returns a queue with nothing in it.
func New() *Queue {
	return &Queue{
		items:    make(map[string]*Item),
		order:    list.New(),
		clients:  make(map[string]map[*Item]struct{}),
		heard:    make(map[*Item]struct{}),
		going:    make(map[*Item]struct{}),
		unbased:  make(map[*Item]struct{}),
		deleting: make(map[string]int),
		room:     make(chan struct{}, 1),
		wake:     make(chan struct{}, 1),
	}
}

// Lock lets the caller alone look at the queue and change what is in it, and what is to
// agree with that, as the index is. It is never held over I/O. Methods that say so are
// called with it held; the others take it themselves.
func (q *Queue) Lock() { q.mu.Lock() }

// Unlock ends that.
func (q *Queue) Unlock() { q.mu.Unlock() }

// At returns the item with an ItemKey, nil if there is none. The caller holds the lock.
func (q *Queue) At(itemKey string) *Item { return q.items[itemKey] }

// All are the items, in no order. The caller holds the lock.
func (q *Queue) All() iter.Seq[*Item] { return maps.Values(q.items) }

// AllGoing are those of deletes that were seen. The caller holds the lock.
func (q *Queue) AllGoing() iter.Seq[*Item] { return maps.Keys(q.going) }

// Size is the number of items. The caller holds the lock.
func (q *Queue) Size() int { return len(q.items) }

// HeardSize is the number of others' changes. The caller holds the lock.
func (q *Queue) HeardSize() int { return len(q.heard) }

// Latest is the number of the last change. The caller holds the lock.
func (q *Queue) Latest() uint64 { return q.gen }

// Change merges a change into the item of its path and tells whether the item
// is new. The caller holds the lock and schedules the item.
func (q *Queue) Change(k Kind, key string, root int, rel string, now time.Time) (it *Item, isNew bool) {
	q.gen++
	id := k.ItemKey(key)
	it = q.items[id]
	if it == nil {
		it = &Item{Target: Target{k, key, root, rel}, began: q.gen, since: now, heapIndex: -1}
		it.elem = q.order.PushBack(it)
		q.items[id] = it
		q.Found(it, it.Presence)
		isNew = true
	} else {
		q.order.MoveToBack(it.elem)
	}
	it.Gen = q.gen
	it.refused = false
	if it.From != Event {
		q.toUrgent(it)
	}
	return it, isNew
}

// Found notes whether an item's file is there. The caller holds the lock.
func (q *Queue) Found(it *Item, p Presence) {
	it.Presence = p
	if it.isDelete() {
		q.going[it] = struct{}{}
	} else {
		delete(q.going, it)
	}
	q.goes.Store(len(q.going) > 0)
}

// Goes reports whether there is a delete that was seen. It takes no lock.
func (q *Queue) Goes() bool { return q.goes.Load() }

// ChangedBelow notes on the items below a directory that it went while a request
// ran. The caller holds the lock.
func (q *Queue) ChangedBelow(dir string) {
	for _, it := range q.items {
		if strings.HasPrefix(it.Key, dir) {
			it.InRequest = true
		}
	}
}

// toUrgent makes an item of a comparison, or of others' changes, one that an
// event is about.
func (q *Queue) toUrgent(it *Item) {
	scheduled := it.Scheduled()
	q.unschedule(it)
	if it.From == Comparison {
		q.freeBackground()
	}
	it.From = Event
	if scheduled {
		q.Schedule(it, it.due)
	}
}

// unschedule takes an item out of its heap.
func (q *Queue) unschedule(it *Item) {
	if it.heapIndex >= 0 {
		heap.Remove(q.heapOf(it), it.heapIndex)
		it.heapIndex = -1
	}
}

func (q *Queue) freeBackground() {
	q.backgrounds--
	background.Signal(q.room)
}

// Schedule sets when an item is due, unless it is being worked on: then that
// work looks again when it ends; or it waits for the end of a move.
func (q *Queue) Schedule(it *Item, due time.Time) {
	it.due = due
	if it.Move != nil {
		return // EndMove comes
	}
	h := q.heapOf(it)
	switch {
	case it.heapIndex >= 0:
		heap.Fix(h, it.heapIndex)
	case !it.Running():
		heap.Push(h, it)
	}
	background.Signal(q.wake)
}

func (q *Queue) heapOf(it *Item) *itemHeap {
	switch {
	case it.hurried:
		return &q.urgent
	case it.From == Comparison:
		return &q.idle
	case it.From == others:
		return &q.others
	}
	return &q.urgent
}

// runningIndex marks an item that a worker has.
const runningIndex = -2

// Running reports whether a worker has the item.
func (it *Item) Running() bool { return it.heapIndex == runningIndex }

// Scheduled reports whether the item waits for its time in a heap.
func (it *Item) Scheduled() bool { return it.heapIndex >= 0 }

// take removes the next due item from h, or returns nil.
func (q *Queue) take(h *itemHeap, now time.Time) *Item {
	for len(*h) > 0 && !(*h)[0].due.After(now) && (*h)[0].Quiet.After(now) {
		(*h)[0].due = (*h)[0].Quiet
		heap.Fix(h, 0)
	}
	if len(*h) == 0 || (*h)[0].due.After(now) {
		return nil
	}
	it := heap.Pop(h).(*Item)
	it.heapIndex = runningIndex
	if it.Nonce == "" {
		it.Nonce = rand.Text()
	}
	return it
}

// Note calls f with whether an item's content is still that of the task. Nothing is
// put into the queue, or taken from it, meanwhile.
func (q *Queue) Note(t *Task, f func(latest bool)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f(t.Item.Soiled <= t.Gen)
}

// Settled ends the work on an item that is now as the disk was at change t.Gen.
func (q *Queue) Settled(t *Task, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	it := t.Item
	it.heapIndex = -1
	it.Attempts, it.err, it.refused, it.Listed, it.Misplaced, it.Fresh = 0, nil, false, nil, "", false
	it.Unannounced = false
	q.unhear(it, t.Gen)
	q.satisfy(it, t.Gen, nil)
	q.arrived(it, t.Gen, now)
	if it.MovedAt <= t.Gen {
		it.MovedTo, it.MovedAt = "", 0
	}
	if it.Gen == t.Gen {
		q.remove(it)
		return
	}
	q.Schedule(it, now.Add(Rest))
}

// Again returns an item to be looked at again at once, because what was found
// is not what was expected.
func (q *Queue) Again(t *Task, gone bool, due time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	it := t.Item
	it.heapIndex = -1
	if it.Gen == t.Gen {
		switch {
		case !gone:
			q.Found(it, Present)
			it.Wrote = true
		case it.Presence == Present:
			q.Found(it, Missed)
		}
	}
	q.Schedule(it, due)
}

// Failed puts an item back after an error. final: only an admin can mend it,
// so nobody should wait for it. failing is since when it has been tried in vain.
func (q *Queue) Failed(t *Task, err error, final bool, now time.Time) (attempts int, failing time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if final {
		q.satisfy(t.Item, t.Item.Gen, err)
	}
	return q.retryLater(t.Item, err, retryMax, now), t.Item.failing
}

// Refused puts back an item that the store does not take. After some tries
// nobody waits for it any more, it is not pending, and the tries become few.
func (q *Queue) Refused(t *Task, err error, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	longest := retryMax
	if t.Item.Attempts+1 >= Refusals {
		t.Item.refused = true
		q.satisfy(t.Item, t.Item.Gen, nil)
		q.arrived(t.Item, t.Item.Gen, now) // it stays on disk, as it would without the bucket
		longest = refusedMax
	}
	q.retryLater(t.Item, err, longest, now)
}

// MayBeStored notes that an object of an item may exist.
func (q *Queue) MayBeStored(t *Task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t.Item.Fresh = false
}

// SetAside puts back an item that nobody should wait for.
func (q *Queue) SetAside(t *Task, err error, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.satisfy(t.Item, t.Item.Gen, nil)
	q.retryLater(t.Item, err, retryMax, now)
}

// retryLater puts back an item whose attempt failed, to be tried after longest at
// the latest.
func (q *Queue) retryLater(it *Item, err error, longest time.Duration, now time.Time) (attempts int) {
	it.heapIndex = -1
	if it.Attempts == 0 {
		it.failing = now
	}
	it.Attempts++
	it.err = err
	if it.holdsNobody() {
		it.letGo()
	}
	q.Schedule(it, now.Add(background.Backoff(it.Attempts, retryMin, longest)))
	return it.Attempts
}

func (q *Queue) remove(it *Item) {
	delete(q.items, it.Kind.ItemKey(it.Key))
	delete(q.heard, it)
	delete(q.going, it)
	q.goes.Store(len(q.going) > 0)
	delete(q.unbased, it)
	q.order.Remove(it.elem)
	for _, c := range it.clients {
		delete(q.clients[c], it)
		if len(q.clients[c]) == 0 {
			delete(q.clients, c)
		}
	}
	if it.From == Comparison {
		q.freeBackground()
	}
}

// AllDue makes every waiting item due, after an outage.
func (q *Queue) AllDue(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, h := range []*itemHeap{&q.urgent, &q.others, &q.idle} {
		for _, it := range *h {
			if it.Attempts > 0 && it.due.After(now) {
				it.due, it.refused = now, false
			}
		}
		heap.Init(h)
	}
	background.Signal(q.wake)
}

// Soil notes that an item's content may have changed. The caller holds the lock.
func (q *Queue) Soil(it *Item) {
	it.Soiled = it.Gen
	q.unbased[it] = struct{}{}
}

// TakeUnbased returns the files that have new content since the last call. The caller
// holds the lock.
func (q *Queue) TakeUnbased() (all []Target) {
	for it := range q.unbased {
		if it.Kind == File && !it.Gone() {
			all = append(all, it.Target)
		}
	}
	clear(q.unbased)
	return all
}

// Forget drops the items that are to be dropped and are not being worked on. The
// caller holds the lock.
func (q *Queue) Forget(drop func(*Item) bool) {
	for _, it := range q.items {
		if drop(it) && !it.Running() {
			q.satisfy(it, it.Gen, nil)
			q.unschedule(it)
			it.Move = nil // what it waited for does not bring it back
			q.remove(it)
		}
	}
}
