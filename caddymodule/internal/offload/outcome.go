package offload

import (
	"errors"
	"fmt"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/health"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/identity"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// outcome is what a worker returns of a piece of work: what became of it and, if it
// failed, why. Workers change nothing in the queue by themselves; finish does.
type outcome struct {
	how  ending
	err  error         // why it failed
	gone bool          // lookAtDisk: the worker found no file
	rest time.Duration // before the next look
}

// ending is how a piece of work ended.
type ending uint8

const (
	// done: disk and bucket agree, as far as they should.
	done ending = iota
	// changed: what was seen is not so any more. The worker itself looks once more.
	changed
	// lookAtDisk, lookAtBoth: another look is needed, of the bucket too or not.
	lookAtDisk
	lookAtBoth
	// storeFailed: the store's fault, or the way to it.
	storeFailed
	// refused: the store does not take this file.
	refused
	// unreadable, unplaced: this file's fault, or the disk's.
	unreadable
	unplaced
	// waits: nothing is to be done. It waits for other items, which put it back, or is
	// there already.
	waits
)

func failed(err error) outcome { return outcome{how: storeFailed, err: err} }

// lookAgain has the file looked at once more, after a rest.
func lookAgain(rest time.Duration) outcome { return outcome{how: lookAtDisk, rest: rest} }

// lookAgainAtBoth has file and object looked at once more, after a rest.
func lookAgainAtBoth(rest time.Duration) outcome { return outcome{how: lookAtBoth, rest: rest} }

// foundGone has the delete of a file dealt with that was found to be gone.
func foundGone() outcome { return outcome{how: lookAtDisk, gone: true} }

// finish does what the outcome of a piece of work asks for: the only place where an
// item that was worked on goes back to the queue, or leaves it.
func (e *Engine) finish(t *work.Task, o outcome) {
	now := time.Now()
	switch o.how {
	case done:
		e.queue.Settled(t, now)
		if t.OtherRoot { // what is missing is to be fetched
			e.recon.want(scope{t.Root, ""}, window{})
		}
	case lookAtDisk:
		e.queue.Again(t, o.gone, now.Add(o.rest))
	case changed, lookAtBoth:
		e.queue.LookAgain(t, now.Add(o.rest))
	case storeFailed:
		e.retry(t, o.err)
	case refused:
		e.refuse(t, o.err)
	case unreadable:
		e.putBack(t, fmt.Errorf("reading %s: %w", t.Key, o.err), 5,
			"a media file cannot be read and so is not committed; it is tried again")
	case unplaced:
		e.putBack(t, fmt.Errorf("placing %s: %w", t.Key, o.err), 8,
			"a file of another node cannot be put on disk; it is served from the bucket and tried again")
	case waits:
	}
}

// putBack has an item tried again that failed by no fault of the bucket: PHP sets the
// mode of an upload a moment after it has put it in place; a full disk, or a directory
// where a file belongs, may pass too. After some attempts the log says so.
func (e *Engine) putBack(t *work.Task, err error, attempts int, say string) {
	n, _ := e.queue.Failed(t, err, false, time.Now())
	if n == attempts {
		e.log().Warn(say, keyKey, t.Key, keyError, errors.Unwrap(err))
	}
}

// retry puts an item back after an error of the store.
func (e *Engine) retry(t *work.Task, err error) {
	if errors.Is(err, identity.ErrGuest) {
		e.leaveToMember(t, err)
		return
	}
	e.queue.MayBeStored(t) // the answer may have been lost, not the object
	switch {
	case e.ctx.Err() != nil:
		e.queue.Failed(t, err, false, time.Now()) // stopping
		return
	case errors.Is(err, bucket.ErrUnread):
		e.queue.Unread(t, err, time.Now())
		return
	}
	e.count.retries.Add(1)
	attempts, _ := e.queue.Failed(t, err, health.IsAdmins(err), time.Now())
	switch {
	case errors.Is(err, errNotAsSaid):
	case health.IsOfStore(err):
		e.health.Fell(err, e.sizeOf(t))
	default:
		e.health.FailedAgain()
		e.health.Doubt(e.Class(t.Key), e.sizeOf(t), attempts <= work.SayFailing)
	}
	if attempts == work.SayFailing && !e.health.IsDown() {
		e.log().Warn("a file is still not committed; it is tried again", keyKey, t.Key, keyAttempt, attempts, keyError, err)
	}
}

// sizeOf is the size of an item's file, 0 if there is none.
func (e *Engine) sizeOf(t *work.Task) int64 {
	info, err := e.trees[t.Root].Stat(t.Rel)
	if t.Kind != work.File || err != nil {
		return 0
	}
	return info.Size()
}

// leaveToMember puts an item back that was begun before this node knew that it is a
// guest. What went is kept.
func (e *Engine) leaveToMember(t *work.Task, err error) {
	if t.Gone() || t.Kind == work.DirGone {
		e.queue.Settled(t, time.Now())
		return
	}
	e.queue.SetAside(t, err, time.Now())
}

// refuse puts back a file that the store does not take. It stays local, and is
// tried again now and then.
func (e *Engine) refuse(t *work.Task, err error) {
	if t.Attempts+1 >= work.Refusals {
		e.refuseKey(t.Key, err)
	}
	e.queue.Refused(t, err, time.Now())
}

// refuseKey says once that a file stays local.
func (e *Engine) refuseKey(key string, err error) {
	if said, _ := e.said.ContainsOrAdd(key, struct{}{}); said {
		return
	}
	e.count.refused.Add(1)
	e.log().Warn("a file stays on disk only, the bucket cannot hold it", keyKey, key, keyError, err)
}
