package offload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/background"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// While the bucket does not answer, one item at a time tries it, at these
// intervals.
const (
	probeMin = 100 * time.Millisecond
	probeMax = 2 * time.Second
	// failuresToDown in a row, without a success between, mean that it is the
	// bucket and not one file; of answers that may be about one object, as many of
	// different names.
	failuresToDown = 3
)

// health knows whether the bucket answers, so that an outage costs one try at
// a time and one log line, not thousands.
type health struct {
	mu       sync.Mutex
	failures int       // in a row
	names    []string  // of the objects that answers were about, meanwhile
	took     time.Time // when the bucket took a file last
	down     bool
	since    time.Time
	next     time.Time // when down: not tried before
	reason   error
	noWatch  error // the media roots cannot be watched
}

// sayFailing is after how many tries in vain the log and the status tell of a file.
const sayFailing = 4

// isOfObject reports errors that may be about one object, and say nothing of others.
func isOfObject(err error) bool { return errors.Is(err, bucket.ErrOfObject) }

// any reports whether there is an item like that, of those that the store has not
// refused for good.
func (q *queue) any(is func(it *item) bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range q.items {
		if !it.refused && is(it) {
			return true
		}
	}
	return false
}

// othersFail reports whether anything waits of which another error was seen last, or
// none.
func (q *queue) othersFail() bool { return q.any(func(it *item) bool { return !isOfObject(it.err) }) }

// anyFailing reports whether anything that failed is to be tried again.
func (q *queue) anyFailing() bool { return q.any(func(it *item) bool { return it.attempts > 0 }) }

// failing returns how many files fail again and again, and what one of them meets: the
// one that has failed for longest.
func (q *queue) failing() (n int, example string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var oldest *item
	for _, it := range q.items {
		if it.refused || it.err == nil || it.attempts < sayFailing {
			continue
		}
		if n++; oldest == nil || it.failing.Before(oldest.failing) {
			oldest = it
		}
	}
	if oldest != nil {
		example = fmt.Sprintf("%s: %v", oldest.key, oldest.err)
	}
	return n, example
}

// adminOnly reports errors that no waiting will mend.
func adminOnly(err error) bool {
	return errors.Is(err, bucket.ErrDenied) || errors.Is(err, bucket.ErrNoBucket) || errors.Is(err, bucket.ErrClock)
}

// failed notes an error of a file that has been failing for some time, and reports
// whether the bucket is down since just now. If the bucket took another file meanwhile
// it is this one: its object may be one that somebody else put there, and that nothing
// can be done about.
func (h *health) failed(key string, err error, failing time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	certain := !isOfObject(err) && (adminOnly(err) || isAway(err))
	if !h.down && !certain && failing.Before(h.took) {
		return false
	}
	enough := certain || errors.Is(err, context.DeadlineExceeded)
	if isOfObject(err) {
		enough = h.deniesAnother(key)
	} else {
		h.failures++
		enough = enough || h.failures >= failuresToDown
	}
	h.reason = err
	h.next = time.Now().Add(background.Backoff(max(1, h.failures), probeMin, probeMax))
	if h.down || !enough {
		return false
	}
	h.down, h.since = true, time.Now()
	return true
}

// deniesAnother notes the name of an object that the bucket's answer was about, and
// reports whether they are so many that it is the bucket: sizes of one picture share
// what is wrong with its name.
func (h *health) deniesAnother(key string) bool {
	name := media.NameStem(key)
	if len(h.names) < failuresToDown && !slices.Contains(h.names, name) {
		h.names = append(h.names, name)
	}
	return len(h.names) >= failuresToDown
}

// deniesFew reports whether the bucket is down for something else than its answers
// about single objects.
func (h *health) deniesFew() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.down && len(h.names) < failuresToDown
}

// tookFile notes that the bucket took a file.
func (e *Engine) tookFile() {
	e.health.mu.Lock()
	e.health.took = time.Now()
	e.health.mu.Unlock()
	e.recovered()
}

// answered notes that the bucket answered a read. That says nothing of a full disk, or of
// rights to read only: as long as something is left to be tried, that will tell.
func (e *Engine) answered() {
	if e.health.downForWrites() && e.queue.anyFailing() {
		return
	}
	e.recovered()
}

// downForWrites reports whether the bucket is down for a reason that reads do not meet.
func (h *health) downForWrites() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.down && meetsWritesOnly(h.reason)
}

// meetsWritesOnly reports whether an error of a write says nothing of reads.
func meetsWritesOnly(err error) bool {
	return errors.Is(err, bucket.ErrDenied) || errors.Is(err, syscall.ENOSPC)
}

// recovered notes that the bucket can be used.
func (e *Engine) recovered() {
	h := &e.health
	h.mu.Lock()
	was, since := h.down, h.since
	h.failures, h.names, h.down, h.reason = 0, nil, false, nil
	h.mu.Unlock()
	if !was {
		return
	}
	e.queue.allDue(time.Now())
	e.log().Info("the bucket takes files again", keyBucket, e.store.String(),
		keyFor, time.Since(since).Round(time.Millisecond), keyPending, e.queue.len())
}

func (h *health) isDown() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.down
}

// mayTry reports whether work may begin now, and if not, when.
func (h *health) mayTry(now time.Time, busy bool) (bool, time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.down {
		return true, time.Time{}
	}
	return !busy && !h.next.After(now), h.next
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
	if h.down {
		return h.reason
	}
	return nil
}

// trouble returns why the engine is not wholly well, or nil.
func (e *Engine) trouble() error {
	_, _, failed := e.recon.status()
	return cmp.Or(e.awayReason(), e.health.status(), e.reach.status(), failed)
}
