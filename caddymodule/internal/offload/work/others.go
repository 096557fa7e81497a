package work

import (
	"slices"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
)

// largeFetch is the size in bytes from which on a request waits for a file of
// another node only if its name resembles one of the request's.
const largeFetch = 32 << 20

// Hear merges another node's change into the item of its key. The caller holds
// the lock and schedules the item.
func (q *Queue) Hear(key string, root int, rel string, c News, now time.Time) *Item {
	q.gen++
	it := q.items[key]
	switch {
	case it == nil:
		it = &Item{Target: Target{File, key, root, rel}, began: q.gen, since: now, heapIndex: -1, From: others}
		it.elem = q.order.PushBack(it)
		q.items[key] = it
	case it.From == Comparison:
		q.unschedule(it)
		it.From = others
		q.freeBackground()
	}
	if it.Heard != 0 && it.Why.Outlasts(c.Why) {
		c.Why = it.Why
	}
	if c.Told == "" {
		c.Told = it.Told
	}
	it.Gen, it.Heard, it.News = q.gen, q.gen, c
	q.heard[it] = struct{}{}
	return it
}

// HeardOf reports whether another node's change of the item came since it was
// taken to be worked on.
func (q *Queue) HeardOf(t *Task) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return t.Item.Heard > t.Gen
}

// ToldOf reports whether another node has told by now that it stored or deleted the file
// of the item. That a comparison came upon the object is no news.
func (q *Queue) ToldOf(t *Task) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	it := t.Item
	return it.Told != "" || it.Version != "" || it.Why != verdict.OwnChange && it.Why != verdict.PutElsewhere && it.Why != verdict.BucketBack
}

// unhear notes that others' changes up to gen have been dealt with.
func (q *Queue) unhear(it *Item, gen uint64) {
	if it.Heard > gen {
		return
	}
	it.Heard, it.hurried, it.News = 0, false, News{}
	delete(q.heard, it)
}

// LookAgain returns an item to be looked at again, in the bucket too.
func (q *Queue) LookAgain(t *Task, due time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	it := t.Item
	it.heapIndex = -1
	if it.Heard == 0 {
		it.Why, it.Version = verdict.PutElsewhere, ""
	}
	it.Heard = it.Gen
	if it.Gen == t.Gen {
		q.Found(it, Present)
	}
	q.heard[it] = struct{}{}
	q.Schedule(it, due)
}

// LookToo has the bucket looked at for a key of which an event has told, because
// a reconcile found a difference that need not be that event's. The caller holds
// the lock.
func (q *Queue) LookToo(key string, root int, rel string, why verdict.Cause) {
	if it := q.items[key]; it != nil && it.Heard != 0 && !why.MayBeLost() {
		why = it.Why
	}
	now := time.Now()
	q.Schedule(q.Hear(key, root, rel, News{Why: why}, now), now)
}

// DoubtRunning has all files looked at once more that are being worked on: what
// was stored in a bucket just before it went need not be in the one that came back.
func (q *Queue) DoubtRunning() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range q.items {
		if it.Kind == File && it.Running() {
			q.LookToo(it.Key, it.Root, it.Rel, verdict.BucketOlder)
		}
	}
}

// CollectHeard makes w wait for others' changes that were heard until now and
// hurries them: all but large files, and such as were tried in vain, whose names
// resemble none of the request's, and of what a reconcile found only what resembles
// one.
func (q *Queue) CollectHeard(w *Wait, resembles func(key string) bool, now time.Time) []*Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	var found []*Item
	for it := range q.heard {
		like := resembles(it.Key)
		if !like && (it.From == Comparison || it.holdsNobody()) {
			continue
		}
		w.left++
		it.waiters = append(it.waiters, waiter{gen: it.Gen, on: w, without: !like})
		found = append(found, it)
		q.hurry(it, now)
	}
	return found
}

// holdsNobody reports whether only requests for names that resemble its own wait for a file.
func (it *Item) holdsNobody() bool { return it.Size > largeFetch || it.Attempts >= Refusals }

// Unread puts back an item whose object takes so long to read that the store cannot tell
// what it holds. It is large, then, whatever the change log says.
func (q *Queue) Unread(t *Task, err error, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t.Item.Size = max(t.Item.Size, largeFetch+1)
	q.retryLater(t.Item, err, retryMax, now)
}

// letGo releases those who do without a file.
func (it *Item) letGo() {
	it.waiters = slices.DeleteFunc(it.waiters, func(w waiter) bool {
		if w.without {
			w.on.release(nil)
		}
		return w.without
	})
}

// hurry puts an item before those that nobody waits for.
func (q *Queue) hurry(it *Item, now time.Time) {
	if it.hurried {
		return
	}
	scheduled := it.Scheduled()
	q.unschedule(it)
	it.hurried = true
	due := it.due
	if it.Attempts == 0 && due.After(now) {
		due = now
	}
	if scheduled {
		q.Schedule(it, due)
	}
}
