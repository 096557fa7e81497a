package changelog

import (
	"sync/atomic"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/clock"
)

// Stats tells what a node has done with the log since its start.
type Stats struct {
	// Position is the number of the last entry of the log that this node has
	// read or written.
	Position uint64
	// Behind is how long ago the end of the log was last seen.
	Behind time.Duration
	// Error is why the log cannot be read, nil if it can.
	Error error

	// Appended counts changes, Entries the entries they share, Collisions the
	// entries that had to move to the next number, and Retries the writes of
	// entries that were repeated because the answer was lost.
	Appended, Entries, Collisions, Retries int64
	// Applied counts others' changes, Skipped the entries that no node wrote,
	// Trimmed the entries this node removed, Lost how often entries were missed.
	Applied, Skipped, Trimmed, Lost int64
}

type counters struct {
	appended, entries, collisions, retries atomic.Int64
	applied, skipped, trimmed, lost        atomic.Int64
}

// Stats returns what the node has done.
func (l *Log) Stats() Stats {
	c := &l.count
	s := Stats{
		Appended: c.appended.Load(), Entries: c.entries.Load(), Collisions: c.collisions.Load(), Retries: c.retries.Load(),
		Applied: c.applied.Load(), Skipped: c.skipped.Load(), Trimmed: c.trimmed.Load(), Lost: c.lost.Load(),
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.joined {
		s.Position, s.Behind, s.Error = l.next-1, clock.AtMost(l.synced, l.Now()), l.readErr
	}
	return s
}
