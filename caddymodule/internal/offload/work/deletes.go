package work

import (
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
)

// BeginDelete notes that the objects of keys are being deleted with their
// directory, until EndDelete.
func (q *Queue) BeginDelete(keys []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, key := range keys {
		q.deleting[key]++
	}
}

// EndDelete is the end of BeginDelete for a key. The caller holds the lock.
func (q *Queue) EndDelete(key string) {
	if q.deleting[key]--; q.deleting[key] <= 0 {
		delete(q.deleting, key)
	}
}

// Superseded reports whether what was seen of an item may be due to a delete of
// this node's, or has changed since.
func (q *Queue) Superseded(t *Task) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.deleting[t.Key] > 0 || t.Item.Gen != t.Gen
}

// Decides reports whether a file has an item that alone knows which object went
// with it: the file was written or stored anew since what the index knows.
func (q *Queue) Decides(key string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	it := q.items[key]
	return it != nil && (it.Rewritten || it.Unannounced)
}

// StoreAgain adds an item of a file whose object may just have been deleted,
// whatever is known of it. The caller holds the lock and schedules the item.
func (q *Queue) StoreAgain(key string, root int, rel string, now time.Time) *Item {
	it, _ := q.Change(File, key, root, rel, now)
	q.Found(it, Present)
	it.Complete, it.Wrote = true, true
	it.Heard, it.Why, it.Version = it.Gen, verdict.OwnChange, ""
	q.heard[it] = struct{}{}
	return it
}

// DeletesBesides is the number of deletes, by requests or outside of them, that are not
// counted yet: those whose time has not come, and those that are being looked at.
func (q *Queue) DeletesBesides(counted map[string]time.Time, inRequest bool) (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for it := range q.going {
		if it.Kind != File || it.InRequest != inRequest || it.MovedAt != 0 || it.Move != nil {
			continue
		}
		if _, ok := counted[it.Key]; !ok {
			n++
		}
	}
	return n
}
