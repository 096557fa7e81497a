package work

import (
	"errors"
	"fmt"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// Pending returns the number of items that wait, and the age of the oldest. What
// the store refuses does not: it stays on disk.
func (q *Queue) Pending(now time.Time) (n int, oldest time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range q.items {
		if it.refused {
			continue
		}
		n++
		oldest = max(oldest, now.Sub(it.since))
	}
	return n, oldest
}

// HeardLen returns the number of others' changes that are not on disk yet.
func (q *Queue) HeardLen() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.heard)
}

// SayFailing is after how many tries in vain the log and the status tell of a file.
const SayFailing = 4

// AnyFull reports whether anything waits for which there was no room.
func (q *Queue) AnyFull() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range q.items {
		if !it.refused && errors.Is(it.err, bucket.ErrFull) {
			return true
		}
	}
	return false
}

// Failing returns how many files fail again and again, and what one of them meets: the
// one that has failed for longest.
func (q *Queue) Failing() (n int, example string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var oldest *Item
	for _, it := range q.items {
		if it.refused || it.err == nil || it.Attempts < SayFailing {
			continue
		}
		if n++; oldest == nil || it.failing.Before(oldest.failing) {
			oldest = it
		}
	}
	if oldest != nil {
		example = fmt.Sprintf("%s: %v", oldest.Key, oldest.err)
	}
	return n, example
}

// BackgroundLen is the number of items that only a comparison asks for.
func (q *Queue) BackgroundLen() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.backgrounds
}

// HasOwnUpTo reports whether there is an item that this disk changed last up to gen,
// but for what the store refuses.
func (q *Queue) HasOwnUpTo(gen uint64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range q.items {
		if it.lastOwn() <= gen && !it.refused {
			return true
		}
	}
	return false
}

// Written is the number of items of files that were written. The caller holds the lock.
func (q *Queue) Written() (n int) {
	for _, it := range q.items {
		if it.Kind == File && !it.Gone() {
			n++
		}
	}
	return n
}

// Since lets all items wait since now. The caller holds the lock.
func (q *Queue) Since(now time.Time) {
	for _, it := range q.items {
		it.since = now
	}
}
