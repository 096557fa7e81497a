package web

import (
	"context"
	"sync"
	"time"
)

// patienceStep is how much of a wait passes at once: that much is lost of it, at
// most, when the process stands still.
const patienceStep = 500 * time.Millisecond

// withPatience returns a context that ends after d in which this process ran.
// The time for which it, or the whole machine, stood still does not count: the
// bucket has had no chance to answer then, and the leases of names may be lost,
// so that giving up at once would be wrong. cancel frees it.
func withPatience(parent context.Context, d time.Duration) (ctx context.Context, cancel func()) {
	p := &patience{Context: parent, left: d, done: make(chan struct{})}
	stop := context.AfterFunc(parent, func() { p.end(parent.Err()) })
	p.mu.Lock()
	defer p.mu.Unlock()
	if d <= 0 {
		p.endLocked(context.DeadlineExceeded)
	} else {
		step := min(d, patienceStep)
		p.timer = time.AfterFunc(step, func() { p.pass(step) })
	}
	return p, func() {
		stop()
		p.end(context.Canceled)
	}
}

// patience is a context. Its parent is the embedded one.
type patience struct {
	context.Context
	done chan struct{}

	mu    sync.Mutex
	left  time.Duration
	timer *time.Timer
	err   error
}

// Deadline says that there is none that is known beforehand, but the parent's.
func (p *patience) Deadline() (time.Time, bool) { return p.Context.Deadline() }

// Done implements context.Context.
func (p *patience) Done() <-chan struct{} { return p.done }

// Err implements context.Context.
func (p *patience) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// pass notes that a step has passed, however long it took.
func (p *patience) pass(step time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left -= step; p.left <= 0 {
		p.endLocked(context.DeadlineExceeded)
	}
	if p.err == nil {
		next := min(p.left, patienceStep)
		p.timer = time.AfterFunc(next, func() { p.pass(next) })
	}
}

func (p *patience) end(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endLocked(err)
}

func (p *patience) endLocked(err error) {
	if p.err != nil {
		return
	}
	p.err = err
	close(p.done)
	if p.timer != nil {
		p.timer.Stop()
	}
}
