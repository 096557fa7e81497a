package offload

import (
	"cmp"
	"errors"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/background"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// While the bucket does not answer, one item at a time tries it, at these
// intervals.
const (
	probeMin = 100 * time.Millisecond
	probeMax = 2 * time.Second
)

// health knows whether the bucket takes files, so that an outage costs one try at a time
// and one log line, not thousands. An outage is told by its cause, not by how many files
// meet it: see isOfStore, and trial for what may be about one file.
type health struct {
	mu       sync.Mutex
	failures int // in a row
	down     bool
	since    time.Time // when it began to take not all files
	next     time.Time // when down: not tried before
	reason   error
	falls    uint64 // how often an error told that it takes no files
	// short is the size of the largest object for which there was no room, 0 if there was
	// always; fits that of the largest that was stored since.
	short, fits int64
	denies      error // it takes files, but something else that is needed fails
	noWatch     error // the media roots cannot be watched
}

// isOfObject reports errors that may be about one object, and say nothing of others.
func isOfObject(err error) bool { return errors.Is(err, bucket.ErrOfObject) }

// isFull reports errors of a store that has no room.
func isFull(err error) bool { return errors.Is(err, bucket.ErrFull) }

// isOfStore reports errors that tell for certain that it is the store which fails.
func isOfStore(err error) bool {
	return !isOfObject(err) && (adminOnly(err) || isFull(err) || isAway(err))
}

// adminOnly reports errors that no waiting will mend.
func adminOnly(err error) bool {
	return errors.Is(err, bucket.ErrDenied) || errors.Is(err, bucket.ErrNoBucket) || errors.Is(err, bucket.ErrClock)
}

// fell notes an error of the store with an object of a size, and reports whether it took
// all until now.
func (h *health) fell(err error, size int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	tookAll := h.takesAll()
	h.falls++
	h.reason = err
	h.again()
	if isFull(err) {
		h.short = max(h.short, size, 1)
	}
	if !isFull(err) || size <= h.fits {
		h.down, h.fits = true, 0
	}
	if tookAll {
		h.down, h.since = true, time.Now()
	}
	return tookAll
}

// takesAll reports whether the bucket takes files of any size, as far as is known. The
// caller holds mu.
func (h *health) takesAll() bool { return !h.down && h.short == 0 }

// failedAgain notes that another try failed, which may be for the same reason.
func (h *health) failedAgain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.again()
}

// again has the next try wait. The caller holds mu.
func (h *health) again() {
	h.failures++
	h.next = time.Now().Add(background.Backoff(h.failures, probeMin, probeMax))
}

// took notes that the bucket took an object of a size, and reports whether it takes all
// since just now, and for how long it did not.
func (h *health) took(size int64) (ended bool, lasted time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	tookAll := h.takesAll()
	h.failures, h.down, h.fits = 0, false, max(h.fits, size)
	if size >= h.short {
		h.short, h.fits = 0, 0
	}
	return !tookAll && h.takesAll(), time.Since(h.since)
}

// denied notes that the bucket takes files, but not what else is needed, or no more that
// (nil). It reports whether that is new.
func (h *health) denied(err error) (turned bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	turned = (err == nil) != (h.denies == nil)
	h.denies = err
	return turned
}

// isWell reports whether nothing is known to fail, and with what errors so far.
func (h *health) isWell() (well bool, falls uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.takesAll() && h.denies == nil, h.falls
}

// shortOf returns the size of the largest object for which there was no room, or 0.
func (h *health) shortOf() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.short
}

// fell notes an error that is the store's, with an object of a size.
func (e *Engine) fell(err error, size int64) {
	if !e.health.fell(err, size) || isAway(err) { // that has been said
		return
	}
	e.log().Warn("the bucket does not take files; they are kept on disk and tried again until it does",
		keyBucket, e.store.String(), keyPending, e.queue.Len(), keyError, err)
}

// took notes that the bucket took an object of a size.
func (e *Engine) took(size int64) {
	ended, lasted := e.health.took(size)
	if !ended {
		return
	}
	e.queue.AllDue(time.Now())
	e.log().Info("the bucket takes files again", keyBucket, e.store.String(),
		keyFor, lasted.Round(time.Millisecond), keyPending, e.queue.Len())
}

// answered has a bucket that takes no files tried at once, since it answered something
// else. That alone says nothing of a full disk, or of rights to read only.
func (e *Engine) answered() {
	if e.health.isDown() {
		background.Signal(e.trial.wanted)
	}
}

func (h *health) isDown() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.down
}

// mayTry reports whether work may begin now, and if not, when; zero: when what is tried
// just now has ended.
func (h *health) mayTry(now time.Time, busy bool) (bool, time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.down {
		return true, time.Time{}
	}
	if busy {
		return false, time.Time{}
	}
	return !h.next.After(now), h.next
}

func (h *health) unwatched(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.noWatch = err
}

// status returns why the bucket does not take files, or why none is seen; or
// nil.
func (h *health) status() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.noWatch != nil {
		return h.noWatch
	}
	if !h.takesAll() {
		return h.reason
	}
	return nil
}

// lacks returns what fails of what is needed besides storing files, or nil.
func (h *health) lacks() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.denies
}

// trouble returns why the engine is not wholly well, or nil.
func (e *Engine) trouble() error {
	return cmp.Or(e.uploadTrouble(), e.health.lacks())
}

// uploadTrouble returns why files may not be stored, or nil.
func (e *Engine) uploadTrouble() error {
	_, _, failed := e.recon.status()
	return cmp.Or(e.awayReason(), e.health.status(), e.reach.status(), failed)
}
