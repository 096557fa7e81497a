package changelog

import (
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/background"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// The files of one upload are stored side by side, but not quite at the same
// time. If the first of them went into an entry of its own, the others would wait
// for that entry to be written and then for the next: one round trip more than if
// the first had waited for them. So an entry waits for changes that are about to
// come, if their names are like those of changes that are to be in it, at most for
// as long as writing it takes.

// maxExpect is how long an entry waits at most.
const maxExpect = 300 * time.Millisecond

// expectations are the changes that are about to come. Under Log.mu.
type expectations struct {
	stems map[string]int
	fewer chan struct{} // has room for one: there are fewer than before
}

// Expect notes that a change of a key is about to be appended. done is to be
// called right before Append, or when there is nothing to append.
func (l *Log) Expect(key string) (done func()) {
	stem := media.NameStem(key)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expected.stems[stem]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.expected.stems[stem]--; l.expected.stems[stem] == 0 {
			delete(l.expected.stems, stem)
		}
		background.Signal(l.expected.fewer)
	}
}

// awaitExpected waits for changes that belong to those that are pending.
func (l *Log) awaitExpected() {
	l.mu.Lock()
	limit := min(l.roundTrip, maxExpect)
	l.mu.Unlock()
	if limit <= 0 {
		return
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for waited := false; ; waited = true {
		if !l.expects() {
			if waited {
				background.Pause(l.tasks.Context().Done(), gather) // the last has yet to come
			}
			return
		}
		select {
		case <-l.expected.fewer:
		case <-timer.C:
			return
		case <-l.tasks.Context().Done():
			return
		}
	}
}

// expects reports whether a change is expected that belongs to one that is
// pending.
func (l *Log) expects() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.expected.stems) == 0 {
		return false
	}
	for _, call := range l.pending {
		for _, stem := range call.stems {
			if l.expected.stems[stem] > 0 {
				return true
			}
		}
	}
	return false
}
