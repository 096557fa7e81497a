package watch

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// retryDelay is the pause before something that failed is tried again.
const retryDelay = time.Second

// errTryAgain is returned by source.collect when changes may have been missed
// for a reason that may pass (out of descriptors or memory).
var errTryAgain = errors.New("changes may have been missed; trying again")

// source finds changes. quiet may be called by any goroutine until close, the
// other methods by the watcher's alone.
type source interface {
	// kind is what Watcher.Kind returns. Any goroutine may ask.
	kind() string
	// quiet tells that there is nothing for collect to find. It must be true
	// only if every change that was complete before the call has been found by
	// a collect that began before; that one may still be running.
	quiet() bool
	// ready receives when collect has something to find.
	ready() <-chan struct{}
	// interval is the time after which collect is to be called in any case.
	interval() time.Duration
	// collect puts at least all changes that were complete before the call
	// into out. It returns soon, with any error, when ctx ends. errTryAgain:
	// it wants to be called again after retryDelay, and until then has not
	// found all. Any other error: the source is of no use any more.
	collect(ctx context.Context, out *batch) error
	close()
}

// watcher passes on what a source finds.
type watcher struct {
	cfg    *Config
	out    *batch
	cancel context.CancelFunc
	ctx    context.Context // ends at Close; the owner of run's life
	done   chan struct{}   // closed when run has ended
	wake   chan struct{}   // capacity 1: somebody waits in next

	// idle: all that was collected has been handled. Set only by run: to false
	// before it collects, to true after. A barrier that finds the source quiet
	// first and idle second has nothing to wait for: a change complete before
	// the call was collected, and that collect has ended.
	idle atomic.Bool

	// srcMu keeps src from being closed while a barrier asks it. It is held
	// over quiet, which is a system call that does not wait.
	srcMu  sync.RWMutex
	src    source
	closed bool

	nextMu sync.Mutex
	next   chan struct{} // barriers that the next collect will release; or nil
}

func newWatcher(cfg *Config, src source) *watcher {
	w := &watcher{
		cfg:  cfg,
		out:  newBatch(cfg),
		done: make(chan struct{}),
		wake: make(chan struct{}, 1),
		src:  src,
	}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.wake <- struct{}{} // what could not be looked at yet is now
	return w
}

func (w *watcher) Barrier(ctx context.Context) error {
	w.srcMu.RLock()
	closed := w.closed
	settled := !closed && w.src.quiet() && w.idle.Load() // in this order: see idle
	w.srcMu.RUnlock()
	if closed {
		return ErrClosed
	}
	if settled {
		return nil
	}

	released := w.join()
	select {
	case w.wake <- struct{}{}:
	default: // run is about to look anyway
	}
	select {
	case <-released:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-w.done:
		return ErrClosed
	}
}

func (w *watcher) Kind() string {
	w.srcMu.RLock()
	defer w.srcMu.RUnlock()
	return w.src.kind()
}

// join returns the channel that is closed after the next collect to begin. It
// is shared by all barriers called before that.
func (w *watcher) join() <-chan struct{} {
	w.nextMu.Lock()
	defer w.nextMu.Unlock()
	if w.next == nil {
		w.next = make(chan struct{})
	}
	return w.next
}

func (w *watcher) takeWaiting() chan struct{} {
	w.nextMu.Lock()
	defer w.nextMu.Unlock()
	waiting := w.next
	w.next = nil
	return waiting
}

func (w *watcher) Close() error {
	w.srcMu.Lock()
	w.closed = true
	w.srcMu.Unlock()
	w.cancel()
	<-w.done
	return nil
}

// run owns the source and the batch until Close.
func (w *watcher) run() {
	defer close(w.done)
	defer func() { w.src.close() }()
	var waiting []chan struct{}
	timer := time.NewTimer(w.src.interval())
	defer timer.Stop()
	for {
		select {
		case <-w.ctx.Done():
			return
		case <-w.wake:
		case <-w.src.ready():
		case <-timer.C:
		}

		w.idle.Store(false)
		if c := w.takeWaiting(); c != nil {
			waiting = append(waiting, c)
		}
		if !w.deliver() {
			timer.Reset(retryDelay)
			continue
		}
		w.idle.Store(true)
		for _, c := range waiting {
			close(c)
		}
		waiting = waiting[:0]
		timer.Reset(w.src.interval())
	}
}

// deliver collects and passes on, and tells whether all has arrived.
func (w *watcher) deliver() bool {
	if w.out.lost {
		w.out.lost = false
		w.rescanAll()
	}
	err := w.guarded(func() error { return w.src.collect(w.ctx, w.out) })
	if w.ctx.Err() != nil {
		return false
	}
	if err != nil && !errors.Is(err, errTryAgain) {
		err = w.fallBack(err)
	}
	w.out.flush()
	return err == nil && !w.out.lost
}

// guarded turns a panic, which would end the whole server, into an error.
func (w *watcher) guarded(do func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			w.cfg.Logger.Error("looking for file changes panicked", "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return do()
}

// rescanAll reports that anything may have changed anywhere.
func (w *watcher) rescanAll() {
	for i := range w.cfg.Roots {
		w.out.dir(i, "", Rescan)
	}
}

// fallBack goes on with scanning after the source failed for cause. What
// changed between the source's end and the first scan's is covered by Rescan.
func (w *watcher) fallBack(cause error) error {
	var src *scanSource
	err := w.guarded(func() (err error) {
		src, err = openScan(w.ctx, w.cfg)
		return err
	})
	if err != nil {
		return err
	}
	warnScanning(w.cfg.Logger, cause, src)
	w.replaceSource(src)
	w.rescanAll()
	return nil
}

func (w *watcher) replaceSource(src source) {
	w.srcMu.Lock()
	old := w.src
	w.src = src
	w.srcMu.Unlock()
	old.close()
}
