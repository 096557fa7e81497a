package work

import (
	"context"
	"slices"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// Spread reports whether work on the items may have added others.
func (q *Queue) Spread(items []*Item) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range items {
		if it.Kind.spreads() || it.Spread {
			return true
		}
	}
	return false
}

// AnyDelete reports whether one of the items is about a delete that was seen.
func (q *Queue) AnyDelete(items []*Item) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.ContainsFunc(items, func(it *Item) bool { return it.isDelete() })
}

// Deletes reports whether any delete waits to be passed on.
func (q *Queue) Deletes() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range q.items {
		if (it.Gone() || it.Kind == DirGone) && it.InRequest {
			return true
		}
	}
	return false
}

// satisfy releases the waiters for changes up to gen.
func (q *Queue) satisfy(it *Item, gen uint64, err error) {
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

// GiveUp releases all waiters: what they wait for cannot be had now.
func (q *Queue) GiveUp(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range q.items {
		q.satisfy(it, it.Gen, err)
	}
}

// Collect makes w wait for the changes after since (and those an earlier
// answer to client said had failed), and hurries them.
func (q *Queue) Collect(w *Wait, since uint64, client string, now time.Time) []*Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	var found []*Item
	add := func(it *Item) {
		w.left++
		it.waiters = append(it.waiters, waiter{gen: it.Gen, on: w})
		found = append(found, it)
		it.Quiet = time.Time{}
		if it.Attempts == 0 && it.due.After(now) {
			q.Schedule(it, now)
		}
	}
	for e := q.order.Back(); e != nil; e = e.Prev() {
		it := e.Value.(*Item)
		if it.Gen <= since {
			break
		}
		if it.isComplete() && it.From == Event {
			add(it)
		}
	}
	for it := range q.clients[client] {
		if it.Gen <= since {
			add(it)
		}
	}
	return found
}

// Await waits until nothing is to be done about a key or a directory above it.
func (q *Queue) Await(ctx context.Context, key string) error {
	for dir := key; dir != ""; dir, _ = bucket.SplitKey(dir) {
		k := DirGone
		if dir == key {
			k = File
		}
		if err := q.awaitItem(ctx, k.ItemKey(dir)); err != nil {
			return err
		}
	}
	return nil
}

// awaitItem waits until an item is done with.
func (q *Queue) awaitItem(ctx context.Context, id string) error {
	for {
		q.mu.Lock()
		it := q.items[id]
		if it == nil {
			q.mu.Unlock()
			return nil
		}
		w := &Wait{left: 1, Done: make(chan struct{})}
		it.waiters = append(it.waiters, waiter{gen: it.Gen, on: w})
		q.mu.Unlock()
		select {
		case <-w.Done:
			if w.Err != nil {
				return w.Err
			}
		case <-ctx.Done():
			_, _ = q.Abandon(w, []*Item{it}) // nobody asks what is left
			return ctx.Err()
		}
	}
}

// isComplete reports whether there is something to commit: a file that some
// other request is still writing is that request's to wait for.
func (it *Item) isComplete() bool { return it.Complete || it.Gone() || it.Kind != File }

// Abandon removes w from the items it still waits for and returns their keys
// and the last error of one of them.
func (q *Queue) Abandon(w *Wait, items []*Item) (keys []string, cause error) {
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
		if q.items[it.Kind.ItemKey(it.Key)] != it {
			continue
		}
		keys = append(keys, it.Key)
		if it.err != nil {
			cause = it.err
		}
	}
	return keys, cause
}

// TagAll notes on the items that are left that client was told that they failed.
func (q *Queue) TagAll(items []*Item, client string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range items {
		if q.items[it.Kind.ItemKey(it.Key)] == it {
			q.tag(it, client)
		}
	}
}

func (q *Queue) tag(it *Item, client string) {
	set := q.clients[client]
	if set == nil {
		set = make(map[*Item]struct{})
		q.clients[client] = set
	}
	if _, ok := set[it]; ok {
		return
	}
	set[it] = struct{}{}
	it.clients = append(it.clients, client)
}
