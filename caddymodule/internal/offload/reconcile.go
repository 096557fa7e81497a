package offload

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/background"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/health"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/identity"
)

// listTimeout bounds one listing; a listing of a million keys takes minutes.
const listTimeout = 30 * time.Minute

// reportEvery is how often a long reconcile says how far it is.
const reportEvery = 10 * time.Second

// reconciler makes disk and bucket agree where no event told of a difference:
// after a start, after lost events.
type reconciler struct {
	wanted chan struct{}
	behind atomic.Bool // until all is compared once: the change log did not reach back to where this node was

	mu      sync.Mutex
	active  bool
	last    time.Time
	changed map[string]struct{} // keys that changed while one runs
	passed  string              // up to this key it has looked at everything
	scopes  map[scope]struct{}  // what the next one looks at
	deletes window              // objects without a file in this time are deleted
	unclear unclear             // where the log may not have told of deletes
	blurs   uint64
	err     error // why the last one failed
}

func (r *reconciler) init() {
	r.wanted = make(chan struct{}, 1)
	r.scopes, r.unclear = make(map[scope]struct{}), make(unclear)
}

// touch notes that a key changed: what a running reconcile listed of it is old.
func (r *reconciler) touch(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed != nil && key > r.passed {
		r.changed[key] = struct{}{}
	}
}

// pass notes that a running reconcile of everything has come to a key.
func (r *reconciler) pass(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.passed = key
}

func (r *reconciler) touched(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.changed[key]
	return ok
}

func (r *reconciler) status() (last time.Time, active bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last, r.active, r.err
}

// scope is a directory of a root, or everything.
type scope struct {
	root int
	dir  string // "" for the whole root
}

var everything = scope{root: -1}

// maxScopes is how many directories one reconcile looks at one by one; beyond
// that it looks at everything.
const maxScopes = 64

// want asks for a reconcile of what. during is the time in which requests ran
// whose deletes may have been missed.
func (r *reconciler) want(what scope, during window) {
	r.owe(map[scope]struct{}{what: {}}, during)
	background.Signal(r.wanted)
}

// owe adds to what the next reconcile has to do.
func (r *reconciler) owe(what map[scope]struct{}, during window) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deletes = r.deletes.join(during)
	maps.Copy(r.scopes, what)
	if _, all := r.scopes[everything]; all || len(r.scopes) > maxScopes {
		r.scopes = map[scope]struct{}{everything: {}}
	}
}

// begin starts one and takes what it has to do.
func (r *reconciler) begin() (what map[scope]struct{}, during window) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.active, r.changed, r.passed = true, make(map[string]struct{}), ""
	what, during = r.scopes, r.deletes
	r.scopes, r.deletes = make(map[scope]struct{}), window{}
	return what, during
}

// end ends one and reports whether it is the first to fail, or the first to
// succeed after a failure.
func (r *reconciler) end(err error) (turned bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	turned = (err == nil) != (r.err == nil)
	r.active, r.changed, r.err = false, nil, err
	if errors.Is(err, identity.ErrGuest) {
		r.err = nil // nothing is wrong
		return false
	}
	if err == nil {
		r.last = time.Now()
	}
	return turned
}

// reconcileLoop runs reconciles, the first one when watching has begun.
func (e *Engine) reconcileLoop() {
	select {
	case <-e.watching:
	case <-e.life.Done():
		return
	}
	e.recon.want(everything, e.requests.earlier())
	cleaning := time.NewTimer(0)
	defer cleaning.Stop()
	e.lacking.init()
	defer e.lacking.timer.Stop()
	comparing := time.NewTicker(compareEvery - rand.N(compareEvery/4))
	defer comparing.Stop()
	for {
		select {
		case <-e.recon.wanted:
			e.reconcileUntilDone(e.life)
		case <-cleaning.C:
			e.abortUploads(e.life)
			e.dropOldTrash(e.life)
			if e.unlisted.status() != nil {
				e.recon.want(everything, window{}) // perhaps it can be listed now
			}
			cleaning.Reset(cleanEvery)
		case <-e.lacking.timer.C:
			e.storeLacking()
		case <-comparing.C:
			if e.shared() {
				e.recon.want(everything, window{})
			}
		case <-e.life.Done():
			return
		}
	}
}

// compareEvery is how often disk and bucket are compared as a whole where several
// nodes write: a node that was killed between a change and the log's entry, and
// never came back, has told nobody.
const compareEvery = 24 * time.Hour

// cleanEvery is how often the remains of uploads are looked for.
const cleanEvery = time.Hour

// abortUploads throws away what processes left in the bucket that were killed
// while they stored a file: all that began before this one, or, where there may
// be other nodes, all that began a day ago.
func (e *Engine) abortUploads(ctx context.Context) {
	age := time.Since(e.began)
	if !e.onlyNode() {
		age = max(age, health.StaleAfter)
	}
	for _, class := range []media.Class{media.Public, media.Private} {
		n, err := e.store.AbortUploads(ctx, e.objectName("", class), age)
		if err != nil {
			e.log().Debug("looking for unfinished uploads", keyError, err) // tried again; costs space only
			return
		}
		if n > 0 {
			e.log().Info("removed unfinished uploads of an earlier run", "uploads", n)
		}
	}
}

// reconcileUntilDone tries until it succeeds or ctx ends.
func (e *Engine) reconcileUntilDone(ctx context.Context) {
	for try := 1; ; try++ {
		what, during := e.recon.begin()
		err := e.reconcile(ctx, what, during)
		turned := e.recon.end(err)
		e.team.known.Nudge()
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, identity.ErrGuest) {
			// Whatever went in an earlier process' time is kept.
			e.requests.settled()
			e.recon.owe(what, window{})
			return
		}
		if err == nil {
			e.requests.settled()
			e.releaseRecalled()
			if turned {
				e.log().Info("the bucket can be used again", keyBucket, e.store.String())
			}
			return
		}
		e.recon.owe(what, during)
		if turned {
			e.countUnstored(ctx)
		}
		if hopeless := e.hopeless(); hopeless != nil {
			e.queue.GiveUp(hopeless)
		}
		if turned && !errors.Is(err, health.ErrAway) {
			e.log().Warn("the bucket cannot be used as it is; this is tried again until it can",
				keyBucket, e.store.String(), keyError, err)
		}
		select {
		case <-time.After(background.Backoff(try, health.RetryMin, 2*health.RetryMax)):
		case <-ctx.Done():
		}
	}
}

func (e *Engine) reconcile(ctx context.Context, what map[scope]struct{}, during window) error {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	if err := e.guard.Check(ctx); err != nil {
		return err
	}
	if err := e.guard.MayChange(); err != nil {
		return err // it begins when this node becomes a member
	}
	if !e.joining.isOver() {
		during = window{} // what went from a guest's disk is kept
	}
	if err := e.probeStore(ctx); err != nil {
		return err
	}
	if err := e.guard.CheckState(ctx); err != nil {
		return err
	}
	if e.shared() {
		// What the log tells of what others deleted meanwhile is known first.
		if err := e.team.log.CatchUp(ctx); err != nil {
			return err
		}
	}
	before := e.size.Load()
	p := e.newPass(ctx, what, during)
	for s := range what {
		if err := p.run(s); err != nil {
			return fmt.Errorf("comparing disk and bucket: %w", err)
		}
	}
	e.health.Answered()
	if p.whole {
		e.size.correct(before, p.objects)
	}
	if err := p.finish(); err != nil {
		return err
	}
	if p.whole && p.skipped == 0 {
		if err := e.joinedBucket(ctx); err != nil {
			return err
		}
	}
	e.log().Info("disk and bucket compared", keyFiles, p.files, keyObjects, p.objects, keyQueued, p.queued,
		keyFilesOnly, p.only, keyDuration, time.Since(p.began).Round(time.Millisecond))
	return nil
}
