package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// fresh is how long it may be since the cursor was at the log's end for an
// absent entry to be believed absent, and not trimmed, without a listing: the
// log keeps what was written since for very much longer.
const fresh = time.Minute

// changeLog is the node's place in the change log: what it has read, who waits
// for more to be read, and what it is about to append.
type changeLog struct {
	node      *Node
	prefix    string // of entries
	strayOnce sync.Once

	mu     mutex
	joined bool
	// next is the number of the next entry to read: all before it were given
	// to Apply or are this node's own.
	next uint64
	// synced is when the last look began that read the log to its end.
	synced instant
	// proved is a moment at which the log had no entry yet from next on.
	proved instant
	// jumps counts how often the cursor was set to the log's end.
	jumps int
	// doubted: a listing is to show that the log goes on at next.
	doubted bool
	// rival is when another node's entry was last read.
	rival instant

	following bool // the follower's goroutine runs
	waiters   []*waiter
	asked     uint64 // counts waiters
	readErr   error  // of the last try; nil when it went well
	failures  int    // in a row

	pending  []*appendCall
	expected expectations
	flushing bool   // the flusher's goroutine runs
	batch    *batch // being appended
	writeErr error  // of the last try
	// roundTrip is about how long a write takes; rests are measured by it.
	roundTrip time.Duration
	yielding  yielding
}

// waiter waits until all is read that was in the log when it came.
type waiter struct {
	asked uint64
	// known is the number of an entry that is known to be there, 0 if none is.
	known uint64
	done  chan error // buffered
}

func (l *changeLog) entryKey(number uint64) string { return l.prefix + entryName(number) }

// Join follows the log from behind the entry to which an earlier process of this
// node had come; from the log's end if that is not known (0), or if the log does not
// go on there any more. It comes before the first listing of the media, so that
// nothing falls between the two. It may be repeated when it failed.
func (n *Node) Join(ctx context.Context, after uint64) error {
	if n.static {
		return ctx.Err()
	}
	if n.isClosing() {
		return ErrClosed
	}
	began := n.now()
	head, err := n.log.findEnd(ctx)
	if err != nil {
		return fmt.Errorf("finding the end of the change log: %w", err)
	}
	l := &n.log
	goesOn := false
	if 0 < after && after < head {
		if goesOn, _, err = l.follows(ctx, after+1); err != nil {
			return fmt.Errorf("looking where the change log goes on: %w", err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.joined:
	case goesOn:
		l.joined, l.next = true, after+1
	default:
		l.joined, l.next, l.synced, l.proved = true, head+1, began, began
	}
	return nil
}

// CatchUp returns when all that was in the log at the call was given to Apply.
// Calls at the same time share the requests. When ctx ends it returns at once,
// with ctx's error and the reason why it took so long.
func (n *Node) CatchUp(ctx context.Context) error {
	if n.static {
		return ctx.Err()
	}
	return n.log.read(ctx, 0, n.begin)
}

const catchingUp = "catching up with the change log"

// read waits until the log was read to the end that it had at the call. known is
// the number of an entry that is known to be there, or 0. begin starts the
// follower.
func (l *changeLog) read(ctx context.Context, known uint64, begin func(func()) bool) error {
	w, err := l.ask(ctx, known, begin)
	if err != nil {
		return err
	}
	return l.await(ctx, w)
}

// ask has the log read to the end that it has at the call. The waiter is to be
// awaited, or to leave.
func (l *changeLog) ask(ctx context.Context, known uint64, begin func(func()) bool) (*waiter, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", catchingUp, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.joined {
		return nil, fmt.Errorf("%s: %w", catchingUp, ErrNotJoined)
	}
	l.asked++
	w := &waiter{asked: l.asked, known: known, done: make(chan error, 1)}
	l.waiters = append(l.waiters, w)
	if !l.following {
		l.following = begin(l.follow)
	}
	if !l.following {
		l.leave(w)
		return nil, fmt.Errorf("%s: %w", catchingUp, ErrClosed)
	}
	return w, nil
}

// await waits for what was asked for.
func (l *changeLog) await(ctx context.Context, w *waiter) error {
	select {
	case err := <-w.done:
		if err != nil {
			return fmt.Errorf("%s: %w", catchingUp, err)
		}
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leave(w)
	return fmt.Errorf("%s: %w", catchingUp, because(ctx.Err(), l.readErr))
}

// place is the number of the next entry to read, 0 before Join, and when the last
// look began that read the log to its end.
func (l *changeLog) place() (next uint64, synced instant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next, l.synced
}

// because adds to the error of an ended wait what was waited for.
func because(err, last error) error {
	if last == nil {
		return err
	}
	return fmt.Errorf("%w (%w)", err, last)
}

// readAlready returns a waiter that does not wait.
func readAlready() *waiter {
	w := &waiter{done: make(chan error, 1)}
	w.done <- nil
	return w
}

// leaveNow removes a waiter.
func (l *changeLog) leaveNow(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leave(w)
}

// leave removes a waiter. The caller holds mu.
func (l *changeLog) leave(w *waiter) {
	for i, other := range l.waiters {
		if other == w {
			l.waiters = append(l.waiters[:i], l.waiters[i+1:]...)
			return
		}
	}
}

// answer ends the waits that were asked for up to asked. The caller holds mu.
func (l *changeLog) answer(asked uint64) {
	keep := l.waiters[:0]
	for _, w := range l.waiters {
		if w.asked <= asked {
			w.done <- nil
			continue
		}
		keep = append(keep, w)
	}
	clear(l.waiters[len(keep):])
	l.waiters = keep
}

// fail ends all waits with an error. The caller holds mu.
func (l *changeLog) fail(err error) {
	for _, w := range l.waiters {
		w.done <- err
	}
	l.waiters = nil
}

// follow reads the log for as long as somebody waits for it.
func (l *changeLog) follow() {
	for {
		l.mu.Lock()
		if len(l.waiters) == 0 {
			l.following = false
			l.mu.Unlock()
			return
		}
		asked := l.asked
		l.mu.Unlock()
		err := l.readToEnd(asked)
		if l.note(err) {
			continue
		}
		if !pause(l.node.ctx.Done(), l.node.backoff(l.failureCount(), retryMin, retryMax)) {
			l.mu.Lock()
			l.following = false
			l.fail(ErrClosed)
			l.mu.Unlock()
			return
		}
	}
}

func (l *changeLog) failureCount() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failures
}

// note keeps and, at its start and end, logs an outage. It reports whether
// there is none.
func (l *changeLog) note(err error) bool {
	l.mu.Lock()
	ended := l.failures >= outage && err == nil
	lasts := l.failures+1 == outage && err != nil
	l.readErr = err
	if err != nil {
		l.failures++
	} else {
		l.failures = 0
	}
	l.mu.Unlock()
	if l.node.ctx.Err() != nil {
		return err == nil
	}
	switch {
	case lasts:
		l.node.cfg.Log().Warn("the change log cannot be read; it is tried again until it can", keyError, err)
	case ended:
		l.node.cfg.Log().Info("the change log can be read again")
	}
	return err == nil
}

// outage is how many failures in a row are worth a line in the program's log.
const outage = 3
