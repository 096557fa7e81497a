package offload

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// What a guest's app changed was changed on a copy of the site, for a copy of the site.
// When the guest becomes a member, its disk is compared with the bucket as one that holds
// no version of any object: what only it has is stored, what production has stays, and
// what differs is kept aside. Until that is done, which outlasts a restart, no file
// counts as a newer version of its object, and a node that writes alone has not the last
// word.
//
// (Promise 2: "Nothing is lost.")

// joining is the time from which on a guest is a member until all that was on its disk
// then has been compared.
type joining struct {
	// upTo is the last change of the queue that may be a guest's; 0: none is.
	upTo atomic.Uint64
}

// anyChange is what upTo is until the first comparison has found all changes.
const anyChange = math.MaxUint64

func (j *joining) begin()       { j.upTo.Store(anyChange) }
func (j *joining) isOver() bool { return j.upTo.Load() == 0 }

// asGuest reports whether the file of an item may be what a guest's app made of it.
func (j *joining) asGuest(s *work.Task) bool { return s.LastOwn <= j.upTo.Load() }

// joinedBucket notes that all that differs on disk is in the queue, once that is so of what
// the watcher has still to tell.
func (e *Engine) joinedBucket(ctx context.Context) error {
	if e.joining.upTo.Load() != anyChange {
		return nil
	}
	if err := e.barrier(ctx); err != nil {
		return fmt.Errorf("waiting for what the app has written: %w", err)
	}
	e.queue.Lock()
	defer e.queue.Unlock()
	e.joining.upTo.CompareAndSwap(anyChange, e.queue.Latest())
	return nil
}

// endJoining ends the time of joining when the queue has done with what was there.
func (e *Engine) endJoining() {
	upTo := e.joining.upTo.Load()
	if upTo == 0 || upTo == anyChange || e.queue.HasOwnUpTo(upTo) {
		return
	}
	e.joining.upTo.Store(0)
	e.guard.Joined()
}
