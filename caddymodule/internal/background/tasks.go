// Package background is what work in the background is made of: goroutines that end
// together, pauses between tries, and a lock that tests can hold up.
//
// It promises that nothing is left running once Wait has returned. It knows nothing of
// what the work is.
package background

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrClosed: the tasks were closed before the work was done.
var ErrClosed = errors.New("the node is closed")

// Tasks are goroutines that end together.
type Tasks struct {
	ctx  context.Context // ends when Wait has waited long enough
	kill context.CancelFunc

	closing chan struct{} // closed by Close

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

// NewTasks returns tasks of which none runs.
func NewTasks() *Tasks {
	t := &Tasks{closing: make(chan struct{})}
	t.ctx, t.kill = context.WithCancel(context.Background())
	return t
}

// Context ends when Wait has waited long enough: what the tasks wait for must end
// with it.
func (t *Tasks) Context() context.Context { return t.ctx }

// Closing is closed by Close.
func (t *Tasks) Closing() <-chan struct{} { return t.closing }

// IsClosing reports whether Close was called.
func (t *Tasks) IsClosing() bool {
	select {
	case <-t.closing:
		return true
	default:
		return false
	}
}

// Begin starts a task, unless the tasks are closed.
func (t *Tasks) Begin(task func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.running.Go(task)
	return true
}

// GoOn is Begin for tasks: what they still need to end in peace is begun even when
// they are closed.
func (t *Tasks) GoOn(task func()) bool {
	t.running.Go(task)
	return true
}

// Close lets no task begin any more. A second call does nothing.
func (t *Tasks) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.closed = true
		close(t.closing)
	}
}

// Wait returns when all tasks have ended. Those that have not when ctx ends are cut
// short; then it returns ctx's error.
func (t *Tasks) Wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		t.running.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("leaving the other nodes: %w", ctx.Err())
	}
	t.kill()
	<-done
	return err
}
