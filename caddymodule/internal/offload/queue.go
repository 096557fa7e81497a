package offload

import (
	"container/heap"
	"container/list"
	"context"
	"iter"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/background"
)

// Times of the queue.
const (
	// rest is how long a finished file rests before it is committed, so that
	// one that vanishes within milliseconds (Joomla's temp files) costs
	// nothing. A request that waits cuts it short.
	rest = 10 * time.Millisecond
	// gather is how long a delete waits for others, so that those of one
	// request go out together. A request that waits cuts it short.
	gather = 500 * time.Millisecond
	// writingFor is how long a file that stays open must have been quiet to be
	// committed as it is.
	writingFor = 1200 * time.Millisecond
	// A failed item is tried again after a random time up to retryMin, doubled
	// with each failure up to retryMax.
	retryMin = 200 * time.Millisecond
	retryMax = 5 * time.Second
	// refusedMax is retryMax for a file that the store refuses.
	refusedMax = 5 * time.Minute
)

// maxBackground bounds the items a reconcile may have in the queue.
const maxBackground = 1000

// queue holds the items. Its lock is never held over I/O.
type queue struct {
	mu      sync.Mutex
	gen     uint64
	items   map[string]*item
	order   *list.List // of *item by gen, oldest change first
	urgent  itemHeap
	others  itemHeap           // items of others' changes that nobody waits for
	idle    itemHeap           // background items
	heard   map[*item]struct{} // items of others' changes
	clients map[string]map[*item]struct{}
	going   map[*item]struct{} // items of deletes that were seen
	unbased map[*item]struct{} // items of new content, unless noteBases has seen it
	// deleting are keys whose objects go with their directory just now, although
	// a file may be there again.
	deleting map[string]int

	backgrounds int // background items in the queue
	room        chan struct{}
	wake        chan struct{}
}

func newQueue() *queue {
	return &queue{
		items:    make(map[string]*item),
		order:    list.New(),
		clients:  make(map[string]map[*item]struct{}),
		heard:    make(map[*item]struct{}),
		going:    make(map[*item]struct{}),
		unbased:  make(map[*item]struct{}),
		deleting: make(map[string]int),
		room:     make(chan struct{}, 1),
		wake:     make(chan struct{}, 1),
	}
}

// Lock lets the caller alone look at the queue and change what is in it, and what is to
// agree with that, as the index is. It is never held over I/O. Methods that say so are
// called with it held; the others take it themselves.
func (q *queue) Lock() { q.mu.Lock() }

// Unlock ends that.
func (q *queue) Unlock() { q.mu.Unlock() }

// at returns the item with an itemKey, nil if there is none. The caller holds the lock.
func (q *queue) at(itemKey string) *item { return q.items[itemKey] }

// all are the items in no order, allGoing those of deletes that were seen. The caller
// holds the lock.
func (q *queue) all() iter.Seq[*item]      { return maps.Values(q.items) }
func (q *queue) allGoing() iter.Seq[*item] { return maps.Keys(q.going) }

// size is the number of items, heardSize that of others' changes. The caller holds the
// lock.
func (q *queue) size() int      { return len(q.items) }
func (q *queue) heardSize() int { return len(q.heard) }

// latest is the number of the last change. The caller holds the lock.
func (q *queue) latest() uint64 { return q.gen }

// change merges a change into the item of its path and tells whether the item
// is new. The caller holds mu and schedules the item.
func (q *queue) change(k kind, key string, root int, rel string, now time.Time) (it *item, isNew bool) {
	q.gen++
	id := k.itemKey(key)
	it = q.items[id]
	if it == nil {
		it = &item{target: target{k, key, root, rel}, since: now, heapIndex: -1}
		it.elem = q.order.PushBack(it)
		q.items[id] = it
		q.found(it, it.presence)
		isNew = true
	} else {
		q.order.MoveToBack(it.elem)
	}
	it.gen = q.gen
	it.refused = false
	if it.from != anEvent {
		q.toUrgent(it)
	}
	return it, isNew
}

// found notes whether an item's file is there. The caller holds mu.
func (q *queue) found(it *item, p presence) {
	it.presence = p
	if it.isDelete() {
		q.going[it] = struct{}{}
	} else {
		delete(q.going, it)
	}
}

// changedBelow notes on the items below a directory that it went while a request
// ran. The caller holds mu.
func (q *queue) changedBelow(dir string) {
	for _, it := range q.items {
		if strings.HasPrefix(it.key, dir) {
			it.inRequest = true
		}
	}
}

// toUrgent makes an item of a comparison, or of others' changes, one that an
// event is about.
func (q *queue) toUrgent(it *item) {
	scheduled := it.scheduled()
	q.unschedule(it)
	if it.from == comparison {
		q.freeBackground()
	}
	it.from = anEvent
	if scheduled {
		q.schedule(it, it.due)
	}
}

// unschedule takes an item out of its heap.
func (q *queue) unschedule(it *item) {
	if it.heapIndex >= 0 {
		heap.Remove(q.heapOf(it), it.heapIndex)
		it.heapIndex = -1
	}
}

func (q *queue) freeBackground() {
	q.backgrounds--
	background.Signal(q.room)
}

// schedule sets when an item is due, unless it is being worked on: then that
// work looks again when it ends; or it waits for the end of a move.
func (q *queue) schedule(it *item, due time.Time) {
	it.due = due
	if it.move != nil {
		return // endMove comes
	}
	h := q.heapOf(it)
	switch {
	case it.heapIndex >= 0:
		heap.Fix(h, it.heapIndex)
	case !it.running():
		heap.Push(h, it)
	}
	background.Signal(q.wake)
}

func (q *queue) heapOf(it *item) *itemHeap {
	switch {
	case it.hurried:
		return &q.urgent
	case it.from == comparison:
		return &q.idle
	case it.from == others:
		return &q.others
	}
	return &q.urgent
}

// runningIndex marks an item that a worker has.
const runningIndex = -2

func (it *item) running() bool { return it.heapIndex == runningIndex }

// scheduled reports whether the item waits for its time in a heap.
func (it *item) scheduled() bool { return it.heapIndex >= 0 }

// take removes the next due item from h, or returns nil.
func (q *queue) take(h *itemHeap, now time.Time) *item {
	for len(*h) > 0 && !(*h)[0].due.After(now) && (*h)[0].quiet.After(now) {
		(*h)[0].due = (*h)[0].quiet
		heap.Fix(h, 0)
	}
	if len(*h) == 0 || (*h)[0].due.After(now) {
		return nil
	}
	it := heap.Pop(h).(*item)
	it.heapIndex = runningIndex
	return it
}

// note calls f with whether an item's content is still that of the task. Nothing is
// put into the queue, or taken from it, meanwhile.
func (q *queue) note(s *task, f func(latest bool)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f(s.item.soiled <= s.gen)
}

// settled ends the work on an item that is now as the disk was at change s.gen.
func (q *queue) settled(s *task, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	it := s.item
	it.heapIndex = -1
	it.attempts, it.err, it.refused, it.listed, it.misplaced, it.fresh = 0, nil, false, nil, "", false
	it.unannounced = false
	q.unhear(it, s.gen)
	q.satisfy(it, s.gen, nil)
	q.arrived(it, s.gen, now)
	if it.movedAt <= s.gen {
		it.movedTo, it.movedAt = "", 0
	}
	if it.gen == s.gen {
		q.remove(it)
		return
	}
	q.schedule(it, now.Add(rest))
}

// again returns an item to be looked at again at once, because what was found
// is not what was expected.
func (q *queue) again(s *task, gone bool, due time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	it := s.item
	it.heapIndex = -1
	if it.gen == s.gen {
		switch {
		case !gone:
			q.found(it, present)
			it.wrote = true
		case it.presence == present:
			q.found(it, missed)
		}
	}
	q.schedule(it, due)
}

// failed puts an item back after an error. final: only an admin can mend it,
// so nobody should wait for it. failing is since when it has been tried in vain.
func (q *queue) failed(s *task, err error, final bool, now time.Time) (attempts int, failing time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if final {
		q.satisfy(s.item, s.item.gen, err)
	}
	return q.retryLater(s.item, err, retryMax, now), s.item.failing
}

// refused puts back an item that the store does not take. After some tries
// nobody waits for it any more, it is not pending, and the tries become few.
func (q *queue) refused(s *task, err error, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	longest := retryMax
	if s.item.attempts+1 >= refusals {
		s.item.refused = true
		q.satisfy(s.item, s.item.gen, nil)
		q.arrived(s.item, s.item.gen, now) // it stays on disk, as it would without the bucket
		longest = refusedMax
	}
	q.retryLater(s.item, err, longest, now)
}

// mayBeStored notes that an object of an item may exist.
func (q *queue) mayBeStored(s *task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s.item.fresh = false
}

// setAside puts back an item that nobody should wait for.
func (q *queue) setAside(s *task, err error, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.satisfy(s.item, s.item.gen, nil)
	q.retryLater(s.item, err, retryMax, now)
}

// retryLater puts back an item whose attempt failed, to be tried after longest at
// the latest.
func (q *queue) retryLater(it *item, err error, longest time.Duration, now time.Time) (attempts int) {
	it.heapIndex = -1
	if it.attempts == 0 {
		it.failing = now
	}
	it.attempts++
	it.err = err
	q.schedule(it, now.Add(background.Backoff(it.attempts, retryMin, longest)))
	return it.attempts
}

// satisfy releases the waiters for changes up to gen.
func (q *queue) satisfy(it *item, gen uint64, err error) {
	keep := it.waiters[:0]
	for _, w := range it.waiters {
		if w.gen <= gen {
			w.on.release(err)
			continue
		}
		keep = append(keep, w)
	}
	clear(it.waiters[len(keep):])
	it.waiters = keep
}

// giveUp releases all waiters: what they wait for cannot be had now.
func (q *queue) giveUp(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range q.items {
		q.satisfy(it, it.gen, err)
	}
}

func (q *queue) remove(it *item) {
	delete(q.items, it.kind.itemKey(it.key))
	delete(q.heard, it)
	delete(q.going, it)
	delete(q.unbased, it)
	q.order.Remove(it.elem)
	for _, c := range it.clients {
		delete(q.clients[c], it)
		if len(q.clients[c]) == 0 {
			delete(q.clients, c)
		}
	}
	if it.from == comparison {
		q.freeBackground()
	}
}

// allDue makes every waiting item due, after an outage.
func (q *queue) allDue(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, h := range []*itemHeap{&q.urgent, &q.others, &q.idle} {
		for _, it := range *h {
			if it.attempts > 0 && it.due.After(now) {
				it.due, it.refused = now, false
			}
		}
		heap.Init(h)
	}
	background.Signal(q.wake)
}

// collect makes w wait for the changes after since (and those an earlier
// answer to client said had failed), and hurries them.
func (q *queue) collect(w *wait, since uint64, client string, now time.Time) []*item {
	q.mu.Lock()
	defer q.mu.Unlock()
	var found []*item
	add := func(it *item) {
		w.left++
		it.waiters = append(it.waiters, waiter{gen: it.gen, on: w})
		found = append(found, it)
		it.quiet = time.Time{}
		if it.attempts == 0 && it.due.After(now) {
			q.schedule(it, now)
		}
	}
	for e := q.order.Back(); e != nil; e = e.Prev() {
		it := e.Value.(*item)
		if it.gen <= since {
			break
		}
		if it.isComplete() && it.from == anEvent {
			add(it)
		}
	}
	for it := range q.clients[client] {
		if it.gen <= since {
			add(it)
		}
	}
	return found
}

// await waits until nothing is to be done about a key or a directory above it.
func (q *queue) await(ctx context.Context, key string) error {
	for dir := key; dir != ""; dir, _ = splitLast(dir) {
		k := aDirGone
		if dir == key {
			k = aFile
		}
		if err := q.awaitItem(ctx, k.itemKey(dir)); err != nil {
			return err
		}
	}
	return nil
}

// awaitItem waits until an item is done with.
func (q *queue) awaitItem(ctx context.Context, id string) error {
	for {
		q.mu.Lock()
		it := q.items[id]
		if it == nil {
			q.mu.Unlock()
			return nil
		}
		w := &wait{left: 1, done: make(chan struct{})}
		it.waiters = append(it.waiters, waiter{gen: it.gen, on: w})
		q.mu.Unlock()
		select {
		case <-w.done:
			if w.err != nil {
				return w.err
			}
		case <-ctx.Done():
			_, _ = q.abandon(w, []*item{it}) // nobody asks what is left
			return ctx.Err()
		}
	}
}

// isComplete reports whether there is something to commit: a file that some
// other request is still writing is that request's to wait for.
func (it *item) isComplete() bool { return it.complete || it.gone() || it.kind != aFile }

// abandon removes w from the items it still waits for and returns their keys
// and the last error of one of them.
func (q *queue) abandon(w *wait, items []*item) (keys []string, cause error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range items {
		for i, x := range it.waiters {
			if x.on != w {
				continue
			}
			it.waiters = append(it.waiters[:i], it.waiters[i+1:]...)
			break
		}
		if q.items[it.kind.itemKey(it.key)] != it {
			continue
		}
		keys = append(keys, it.key)
		if it.err != nil {
			cause = it.err
		}
	}
	return keys, cause
}

// tagAll notes on the items that are left that client was told that they failed.
func (q *queue) tagAll(items []*item, client string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range items {
		if q.items[it.kind.itemKey(it.key)] == it {
			q.tag(it, client)
		}
	}
}

// soil notes that an item's content may have changed. The caller holds the lock.
func (q *queue) soil(it *item) {
	it.soiled = it.gen
	q.unbased[it] = struct{}{}
}

// takeUnbased returns the files that have new content since the last call. The caller
// holds the lock.
func (q *queue) takeUnbased() (all []target) {
	for it := range q.unbased {
		if it.kind == aFile && !it.gone() {
			all = append(all, it.target)
		}
	}
	clear(q.unbased)
	return all
}

func (q *queue) tag(it *item, client string) {
	set := q.clients[client]
	if set == nil {
		set = make(map[*item]struct{})
		q.clients[client] = set
	}
	if _, ok := set[it]; ok {
		return
	}
	set[it] = struct{}{}
	it.clients = append(it.clients, client)
}
