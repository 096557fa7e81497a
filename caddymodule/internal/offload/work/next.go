package work

import "time"

// TakeFirst takes the item of an event that is due first or, if background, else one of
// others' changes, or of a comparison. The caller holds the lock.
func (q *Queue) TakeFirst(now time.Time, background bool) *Item {
	if it := q.take(&q.urgent, now); it != nil || !background {
		return it
	}
	if it := q.take(&q.others, now); it != nil {
		return it
	}
	return q.take(&q.idle, now)
}

// TakeDueLongest takes the item that is due first, whatever told of it. The caller holds
// the lock.
func (q *Queue) TakeDueLongest(now time.Time) *Item { return q.take(q.dueLongest(), now) }

// dueLongest returns the heap of the item that is due first. The caller holds the lock.
func (q *Queue) dueLongest() *itemHeap {
	first := &q.urgent
	for _, h := range []*itemHeap{&q.others, &q.idle} {
		if len(*h) > 0 && (len(*first) == 0 || (*h)[0].due.Before((*first)[0].due)) {
			first = h
		}
	}
	return first
}

// NextDue returns when the next item is due that TakeFirst would take; zero if there is
// none. The caller holds the lock.
func (q *Queue) NextDue(background bool) (t time.Time) {
	heaps := []itemHeap{q.urgent}
	if background {
		heaps = append(heaps, q.others, q.idle)
	}
	for _, h := range heaps {
		if len(h) > 0 && (t.IsZero() || h[0].due.Before(t)) {
			t = h[0].due
		}
	}
	return t
}

// Woken tells that an item may be due sooner than NextDue said.
func (q *Queue) Woken() <-chan struct{} { return q.wake }

// Len is the number of items.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

// Has reports whether there is an item of a file.
func (q *Queue) Has(key string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.items[key] != nil
}
