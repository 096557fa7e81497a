package offload

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/naming"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// Request is one request to the app that may write media.
type Request struct {
	*naming.Names // that it brings

	e      *Engine
	client string
	since  uint64 // the last change before it began
	waited bool   // its changes have been taken from the watcher
	failed []*work.Item
	// vouches is the host that it is for, if an upload would prove something by it:
	// see package identity.
	vouches string
	app     atomic.Int32 // an appState
	once    sync.Once
}

// appState says whether the app may be at work on a request.
type appState int32

const (
	appWaits appState = iota // it has not all that it needs to begin
	appRuns
	appDone
)

// requests counts the requests that the app may be at work on. While there are any,
// and a little longer, the roots carry a note, so that a start after a kill
// knows that deletes of that time were the app's.
type requests struct {
	n      atomic.Int64
	noted  atomic.Bool
	mu     sync.Mutex // serialises the changes of the note
	begun  time.Time  // since when requests have been running; guarded by mu
	before window     // what an earlier process left, until that is settled; guarded by mu
	loaded bool       // before was read; guarded by mu

	// linger is until when (Unix nanoseconds) the requests of an earlier process
	// that was killed may still be at work in PHP.
	linger atomic.Int64
}

func (r *requests) running() bool { return r.n.Load() > 0 }

// doer tells who may have done what is seen now.
func (r *requests) doer(now time.Time) work.Doer {
	switch {
	case r.running():
		return work.InRequest
	case now.UnixNano() < r.linger.Load():
		return work.KilledRequest
	}
	return work.Anybody
}

// Begin notes that a request that may write is about to be passed to the app; AppRuns
// is to be called when the app may begin with it.
// client identifies who sent it across requests (address and user agent, say):
// a later request of the same client also waits for what an earlier one was
// told has failed. Until the watcher is up, Begin waits for it as long as ctx
// lasts. Call End when the answer is out.
func (e *Engine) Begin(ctx context.Context, client string) *Request {
	select {
	case <-e.watching:
	default:
		select {
		case <-e.watching:
		case <-e.life.Done():
		case <-ctx.Done():
		}
	}
	e.queue.Lock()
	defer e.queue.Unlock()
	since := e.queue.Latest()
	return &Request{Names: e.names.Begin(since), e: e, client: client, since: since}
}

// AppRuns notes that the app may be at work on the request from now on: what is deleted
// counts as the request's. How long a request takes to arrive is its client's to say, and
// anybody may send one: until its app can begin, no delete is its doing. It may be called
// again, and from one goroutine while another calls End.
func (r *Request) AppRuns() {
	if !r.app.CompareAndSwap(int32(appWaits), int32(appRuns)) {
		return
	}
	e := r.e
	e.requests.n.Add(1)
	if !e.requests.noted.Load() {
		e.noteRunning(time.Now())
	}
}

// appEnds notes that the app is done with the request.
func (r *Request) appEnds() {
	if appState(r.app.Swap(int32(appDone))) == appRuns {
		r.e.requests.n.Add(-1)
	}
}

// Rest gives the names back until Ready is called again: the request does not get
// on, and others may want them. Nor is anything taken for its delete until AppRuns is
// called again.
func (r *Request) Rest() {
	if r.app.CompareAndSwap(int32(appRuns), int32(appWaits)) {
		r.e.requests.n.Add(-1)
	}
	r.Names.Rest()
}

// Wait returns nil when every file that was written, renamed or deleted in a
// media root since Begin is committed, judged at the time of the call: call it
// once, when the app has ended its answer. It returns a *PendingError when ctx
// ends first, or as soon as the store has refused a file for good; and a
// *naming.CollisionError if it is known that a file does not have its name.
//
// (Promise 1: "Durable before visible.")
func (r *Request) Wait(ctx context.Context) error {
	err := r.awaitCommits(ctx)
	if collision := r.Collision(); collision != nil {
		return collision
	}
	return err
}

func (r *Request) awaitCommits(ctx context.Context) error {
	e := r.e
	err := e.barrier(ctx)
	r.vouch()
	if e.guard.IsGuest() {
		return nil
	}
	if err != nil {
		return &PendingError{Cause: fmt.Errorf("looking for what was written: %w", err)}
	}
	r.waited = true
	e.findComplete(r.since)
	for held := false; ; held = true {
		w := &work.Wait{Done: make(chan struct{})}
		items := e.queue.Collect(w, r.since, r.client, time.Now())
		if len(items) == 0 {
			return nil
		}
		if e.guard.IsGuest() { // since just now
			_, _ = e.queue.Abandon(w, items) // nobody is told
			return nil
		}
		if !held {
			e.count.held.Add(1)
		}
		if err := r.waitFor(ctx, w, items); err != nil {
			e.count.timeouts.Add(1)
			e.noteBases() // the client will take them for done
			if e.queue.AnyDelete(items) {
				e.noteDeletes()
			}
			return err
		}
		if !e.queue.Spread(items) {
			return nil
		}
	}
}

func (r *Request) waitFor(ctx context.Context, w *work.Wait, items []*work.Item) error {
	cause := r.e.hopeless()
	if cause == nil {
		select {
		case <-w.Done:
			if w.Err == nil {
				return nil
			}
			cause = w.Err
		case <-ctx.Done():
			cause = ctx.Err()
		case <-r.e.ctx.Done():
			cause = errStopping
		}
	}
	keys, last := r.e.queue.Abandon(w, items)
	if len(keys) == 0 {
		return nil // all came through at the last moment
	}
	if last != nil {
		cause = last
	}
	r.failed = items
	return &PendingError{Keys: keys[:min(len(keys), 10)], Count: len(keys), Cause: cause}
}

// Fail notes that the client is told that r failed although the app did its
// work: the client's next requests wait for r's files too. (WordPress' uploader
// asks again in a way that touches no file.)
func (r *Request) Fail() {
	r.e.queue.TagAll(r.failed, r.client)
}

// End ends the request. It does not wait. A second call does nothing.
func (r *Request) End() {
	r.once.Do(func() {
		e := r.e
		r.Release()
		if r.vouches != "" {
			e.guard.Expected()
		}
		if r.waited || e.stopped() {
			r.appEnds()
			return
		}
		// The client went away before Wait: what the app did until now still
		// happened during a request.
		e.loops.Go(func() {
			ctx, cancel := context.WithTimeout(e.ctx, 5*time.Second)
			defer cancel()
			_ = e.barrier(ctx) // late events count as made outside a request
			r.appEnds()
		})
	})
}

// PendingError says that files are not committed yet. They stay queued.
type PendingError struct {
	Keys  []string // up to 10 of them
	Count int
	Cause error // the store's last error, or the context's
}

func (e *PendingError) Error() string {
	if e.Count == 0 {
		return e.Cause.Error()
	}
	more := ""
	if e.Count > len(e.Keys) {
		more = fmt.Sprintf(" and %d more", e.Count-len(e.Keys))
	}
	return fmt.Sprintf("not committed yet: %s%s: %v", strings.Join(e.Keys, ", "), more, e.Cause)
}

func (e *PendingError) Unwrap() error { return e.Cause }

// noteEvery is how often the note of running requests is renewed, and how long
// it outlives the last of them.
const noteEvery = 2 * time.Second

// requestsLoop keeps the note of running requests up to date.
func (e *Engine) requestsLoop() {
	tick := time.NewTicker(noteEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			e.lookAtRoots()
			e.noteBases()
			e.noteDeletes()
			e.noteGuestDeletes()
			e.renewNote(now)
			e.noteCompared()
			e.removeGoneDirs(now)
			e.withheld.Say(now, noteEvery)
			e.endJoining()
		case <-e.life.Done():
			return
		}
	}
}

// loadNote reads what an earlier process left that was killed while requests
// ran. The caller holds requests.mu.
func (e *Engine) loadNote() {
	r := &e.requests
	if r.loaded {
		return
	}
	r.loaded = true
	for _, t := range e.trees {
		if w, ok := parseWindow(t.DirNote("", local.AttrRunning)); ok {
			r.before = r.before.join(w)
		}
	}
	if !r.before.from.IsZero() {
		r.begun = r.before.from
		r.noted.Store(true)
		r.linger.Store(r.before.to.Add(grace).UnixNano())
	}
}

// earlier returns the time in which requests of an earlier process ran that
// was killed.
func (r *requests) earlier() window {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.before
}

// settled notes that the deletes of the earlier process have been found.
func (r *requests) settled() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before = window{}
}

// noteRunning notes on the roots that requests run from now on.
func (e *Engine) noteRunning(now time.Time) {
	r := &e.requests
	r.mu.Lock()
	defer r.mu.Unlock()
	e.loadNote()
	if r.noted.Load() || e.guard.IsGuest() {
		return
	}
	r.begun = now
	e.writeNote(window{from: now, to: now}.String())
	r.noted.Store(true)
}

// renewNote removes the note when no request runs, and renews it otherwise. Deletes
// that wait have a note of their own; where that cannot be written this one stands for
// it.
func (e *Engine) renewNote(now time.Time) {
	r := &e.requests
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.noted.Load() {
		return
	}
	// An AppRuns that counts itself after this sees noted unset and waits for mu;
	// one that did before is seen here.
	r.noted.Store(false)
	if !e.guard.IsGuest() && (r.running() || e.deleteNotes.failed() && e.queue.Deletes() || !r.before.from.IsZero()) {
		e.writeNote(window{from: r.begun, to: now}.String())
		r.noted.Store(true)
		return
	}
	e.writeNote("")
}

func (e *Engine) writeNote(value string) {
	for _, t := range e.trees {
		if err := t.SetDirNote("", local.AttrRunning, value); err != nil {
			e.log().Debug("noting that requests run", keyDir, t.Dir(), keyError, err)
		}
	}
}

// window is a time in which requests ran, by a note that was renewed last at its end.
type window struct {
	from, to time.Time
	boot     string // of the machine, when it was noted; "" not known
}

// mayLack reports whether a disk that bears a note of this window may lack an object's
// file although nobody deleted it: the file was stored since then, and the machine was
// started anew, so that the disk may have lost what it had not written down.
func (w window) mayLack(stored time.Time) bool {
	if w.boot != "" && w.boot == bootID() {
		return false
	}
	if stored.Nanosecond() == 0 { // many stores tell the second only
		stored = stored.Add(time.Second)
	}
	return stored.Add(tick).After(w.from)
}

// window returns the time in which the requests of now have been running.
func (r *requests) window() window {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.noted.Load() {
		return window{}
	}
	return window{from: r.begun, to: time.Now(), boot: bootID()}
}

// grace is how long after a process was killed its requests may have gone on
// in PHP.
const grace = 2 * time.Minute

func (w window) String() string {
	return strings.TrimSpace(w.from.UTC().Format(time.RFC3339Nano) + " " + w.to.UTC().Format(time.RFC3339Nano) + " " + bootID())
}

// join returns the shortest window that holds both.
func (w window) join(x window) window {
	if w.from.IsZero() {
		return x
	}
	if !x.from.IsZero() && x.from.Before(w.from) {
		w.from = x.from
	}
	if x.to.After(w.to) {
		w.to = x.to
	}
	if !x.from.IsZero() && x.boot != w.boot {
		w.boot = ""
	}
	return w
}

func parseWindow(s string) (w window, ok bool) {
	from, to, ok := strings.Cut(s, " ")
	if !ok {
		return window{}, false
	}
	to, w.boot, _ = strings.Cut(to, " ")
	var err1, err2 error
	w.from, err1 = time.Parse(time.RFC3339Nano, from)
	w.to, err2 = time.Parse(time.RFC3339Nano, to)
	return w, err1 == nil && err2 == nil
}

// tick is what the kernel's clock for files may be behind.
const tick = 10 * time.Millisecond

// holds reports whether t lies in the window.
func (w window) holds(t time.Time) bool {
	return !w.from.IsZero() && !t.Before(w.from.Add(-tick)) && t.Before(w.to.Add(grace))
}
