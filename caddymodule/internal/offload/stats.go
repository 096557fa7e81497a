package offload

import (
	"cmp"
	"sync"
	"sync/atomic"
	"time"
)

// Stats are counters since Start and the present state.
type Stats struct {
	// State is "starting", "running", "degraded" (the bucket does not answer)
	// or "stopped"; Reason says why in a sentence.
	State, Reason string
	// Pending files wait to be committed, the oldest since OldestPending.
	Pending       int
	OldestPending time.Duration
	// Committed files and bytes, Deleted objects, Retries after an error,
	// Refused files that the store can never hold.
	Committed, CommittedBytes, Deleted, Retries, Refused uint64
	// Requests that waited, and those of them that waited in vain.
	Held, HoldTimeouts uint64
	// Reconciled is when the last reconcile ended; Reconciling says that one runs.
	Reconciled  time.Time
	Reconciling bool
	// IndexSize is the number of keys whose state is in memory.
	IndexSize int
	// Watching names the implementation: "inotify" or "scan".
	Watching string
}

// counters are what Stats counts.
type counters struct {
	committed, bytes, deleted, retries, refused atomic.Uint64
	held, timeouts                              atomic.Uint64
	noMarks                                     sync.Once // the log line about marks
}

// Stats returns a snapshot.
func (e *Engine) Stats() Stats {
	s := Stats{
		State:     "running",
		Committed: e.count.committed.Load(), CommittedBytes: e.count.bytes.Load(),
		Deleted: e.count.deleted.Load(), Retries: e.count.retries.Load(), Refused: e.count.refused.Load(),
		Held: e.count.held.Load(), HoldTimeouts: e.count.timeouts.Load(),
		IndexSize: e.index.len(),
	}
	var reconErr error
	s.Reconciled, s.Reconciling, reconErr = e.recon.status()
	s.Pending, s.OldestPending = e.queue.age(time.Now())
	if w := e.watcher.Load(); w != nil {
		s.Watching = (*w).Kind()
	}
	if err := cmp.Or(e.health.status(), reconErr); err != nil {
		s.State, s.Reason = "degraded", err.Error()
	}
	switch {
	case e.stopped():
		s.State = "stopped"
	case s.Reconciled.IsZero() && s.State == "running":
		s.State = "starting"
	}
	return s
}

// age returns the number of items and the age of the oldest.
func (q *queue) age(now time.Time) (n int, oldest time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range q.items {
		oldest = max(oldest, now.Sub(it.since))
	}
	return len(q.items), oldest
}
