package offload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/dustin/go-humanize/english"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/lease"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// requestNames are the names that a request brings.
type requestNames struct {
	mu    sync.Mutex
	stems map[string]struct{}
	claim *lease.Claim
	from  string // the network of the client
	ended bool
	ready bool // the last Ready returned nil
	// uploaded: a file of one of the names was written. Noted only if somebody asks.
	uploaded bool

	// By key: files that did not get their names, the versions that were stored,
	// and those that other nodes have told to put an end to.
	lost              []string
	stored, contested map[string]string
}

// Name notes that the request brings a file that the app may give this name
// (as the client sent it, with or without directories). With several nodes the
// name is claimed, so that no two of them let their app give it to two files;
// with one, requests of the same name follow one another. It never blocks and
// may be called from one goroutine while another calls Ready.
func (r *Request) Name(name string) {
	if name == "" {
		return
	}
	stem := media.NameStem(name)
	n := &r.names
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ended {
		return
	}
	if n.stems == nil {
		n.stems = make(map[string]struct{})
	}
	if _, ok := n.stems[stem]; ok {
		return
	}
	n.stems[stem] = struct{}{}
	if n.claim == nil {
		n.claim = r.e.leaser().Claim(n.from)
	}
	n.claim.Add(stem)
	n.claim.Look()
}

// ComesFrom says from which network the request comes, before Name: of one network
// only some requests claim names at the same time, see Config.RequestsPerClient.
func (r *Request) ComesFrom(network string) {
	r.names.mu.Lock()
	defer r.names.mu.Unlock()
	r.names.from = network
}

// Turn waits for the requests of the same names that are at work: for one that is
// not all there. It has the names for a moment then, and again from Ready on. An
// error (ctx ended) means nothing else than that others are at work yet.
func (r *Request) Turn(ctx context.Context) error {
	claim := r.claim()
	if claim == nil {
		return nil
	}
	if err := claim.Turn(ctx); err != nil {
		return fmt.Errorf("waiting for the names of the files: %w", err)
	}
	return nil
}

// Soon says that the request will be all there soon: its names are sought then, so
// that Ready need not wait for them.
func (r *Request) Soon() {
	if claim := r.claim(); claim != nil {
		claim.Soon()
	}
}

// Rest gives the names back until Ready is called again: the request does not get
// on, and others may want them. Nor is anything taken for its delete until AppRuns is
// called again.
func (r *Request) Rest() {
	if r.app.CompareAndSwap(int32(appRuns), int32(appWaits)) {
		r.e.requests.n.Add(-1)
	}
	if claim := r.claim(); claim != nil {
		claim.Rest()
	}
}

// Interrupted reports whether another request may have had one of the names since
// Ready returned nil.
func (r *Request) Interrupted() bool {
	claim := r.claim()
	return claim != nil && claim.Interrupted()
}

// leaser is the one whose claims count.
func (e *Engine) leaser() *lease.Leaser {
	if !e.claimsOfAll() {
		return e.team.own
	}
	return e.team.leases
}

// claimsOfAll reports whether names are claimed among all nodes, not only among this
// node's own requests.
func (e *Engine) claimsOfAll() bool {
	return e.team.leases != nil && !e.onlyNode() && !e.isGuest()
}

// Ready returns nil when the app may see the end of the request: its names are
// claimed, and what other nodes wrote before is on disk, so that the app's own
// look at the disk is right. Before means: before they gave up one of the names,
// and before the call or, if the request has names, before the first one came and
// two seconds before the call. An error (the bucket does not answer, which is
// waited for for some seconds at most; ctx ended) says that this cannot be
// promised; the request may go on all the same, for what collides is kept
// twice, never lost. With LocalOwn only this node's own requests are waited for.
//
// Files of other nodes larger than 32 MiB, and such as were tried to be fetched some
// times in vain, are waited for only if their names resemble one of the request's. So
// are, while a new node fills its disk, files
// that were in the bucket before.
//
// (Promise 6: "Before PHP runs for an upload, the node has caught up with the
// change log, so that the app's own check whether a name is taken […] is right.")
func (r *Request) Ready(ctx context.Context) error {
	err := r.becomeReady(ctx)
	r.names.mu.Lock()
	r.names.ready = err == nil
	r.names.mu.Unlock()
	r.e.admitted.add(r)
	return err
}

func (r *Request) becomeReady(ctx context.Context) error {
	e := r.e
	if err := e.awaitNames(ctx); err != nil {
		return err
	}
	if !e.shared() {
		return r.awaitClaim(ctx)
	}
	reached, done := e.reach.During(ctx)
	defer done()
	err := r.seeOthers(reached)
	for err == nil && !r.claimed() {
		err = r.seeOthers(reached) // the names were lost meanwhile
	}
	if err != nil && ctx.Err() == nil && reached.Err() != nil {
		return fmt.Errorf("waiting for the bucket: %w", context.Cause(reached))
	}
	return err
}

// seeOthers claims the names and brings what other nodes wrote before.
func (r *Request) seeOthers(ctx context.Context) error {
	e := r.e
	if err := r.catchUp(ctx); err != nil {
		return err
	}
	stems, resembles := r.resembles()
	if err := e.fetchMissing(ctx, stems, resembles); err != nil {
		return err
	}
	w := &work.Wait{Done: make(chan struct{})}
	if items := e.queue.CollectHeard(w, resembles, time.Now()); len(items) > 0 {
		if err := e.await(ctx, w, items); err != nil {
			return err
		}
	}
	return e.watchFetched(ctx)
}

// watchFetched returns when the directories of all files that were fetched until
// now are watched: the app may delete them at once, and a file that went before
// its directory was watched is not missed by anyone.
func (e *Engine) watchFetched(ctx context.Context) error {
	fetched := e.count.fetched.Load()
	if e.watched.Load() >= fetched {
		return nil
	}
	if err := e.barrier(ctx); err != nil {
		return fmt.Errorf("looking at what was fetched: %w", err)
	}
	e.watched.Store(fetched)
	return nil
}

// awaitNames waits until the names of all media are known, unless the bucket is
// known not to answer. That it does not take some file is no reason: as long as the
// change log and the leases work the names are right, and the next file may be taken.
func (e *Engine) awaitNames(ctx context.Context) error {
	for !e.isGuest() {
		open, moved := e.team.names.state()
		if open && (e.onlyNode() || (e.reach.Trouble() == nil && e.awayReason() == nil)) {
			return nil
		}
		if err := e.uploadTrouble(); err != nil {
			return fmt.Errorf("waiting for the bucket: %w", err)
		}
		if open {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the list of all media: %w", ctx.Err())
		case <-e.life.Done():
			return errStopping
		}
	}
	return nil
}

var errStopping = errors.New("stopping")

func (r *Request) awaitClaim(ctx context.Context) error {
	claim := r.claim()
	if claim == nil {
		return nil
	}
	if err := claim.Wait(ctx); err != nil {
		return fmt.Errorf("waiting for the names of the files: %w", err)
	}
	return nil
}

// catchUp claims the names and reads what was in the change log at the call, and
// what those wrote who had the names before.
func (r *Request) catchUp(ctx context.Context) error {
	claim := r.claim()
	if claim == nil {
		return r.e.team.log.CatchUp(ctx)
	}
	if err := claim.CatchUp(ctx); err != nil {
		return fmt.Errorf("waiting for the names of the files: %w", err)
	}
	return nil
}

// claim is the claim of the request's names, nil if there are none.
func (r *Request) claim() *lease.Claim {
	r.names.mu.Lock()
	defer r.names.mu.Unlock()
	return r.names.claim
}

// claimed reports whether the request has the leases of its names.
func (r *Request) claimed() bool {
	claim := r.claim()
	return claim == nil || claim.Held()
}

// resembles returns what the request's names have in common with others, and a
// test whether a key's name is like one of them.
func (r *Request) resembles() (stems []string, test func(key string) bool) {
	r.names.mu.Lock()
	defer r.names.mu.Unlock()
	set := maps.Clone(r.names.stems)
	return slices.Collect(maps.Keys(set)), func(key string) bool {
		_, ok := set[media.NameStem(key)]
		return ok
	}
}

// releaseNames gives the names back.
func (r *Request) releaseNames() {
	r.e.admitted.remove(r)
	n := &r.names
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ended = true
	if n.claim != nil {
		n.claim.Release()
	}
}

// await waits for items that w waits for.
func (e *Engine) await(ctx context.Context, w *work.Wait, items []*work.Item) error {
	var cause error
	select {
	case <-w.Done:
		cause = w.Err
		if cause == nil {
			return nil
		}
	case <-ctx.Done():
		cause = ctx.Err()
	case <-e.life.Done():
		cause = errStopping
	}
	keys, last := e.queue.Abandon(w, items)
	if len(keys) == 0 {
		return nil
	}
	return fmt.Errorf("fetching what other nodes wrote (%s, first %s): %w", english.Plural(len(keys), "file", ""), keys[0], cmp.Or(last, cause))
}

// Ready tells a load balancer whether this node answers reads, and whether
// uploads: those have to wait until the names of all media are known. reason
// says what is missing; "" if nothing is.
func (e *Engine) Ready() (reads, uploads bool, reason string) {
	if e.stopped() {
		return false, false, "it is stopping"
	}
	if e.isGuest() { // its uploads wait for nobody
		return true, true, ""
	}
	open, _ := e.team.names.state()
	if err := e.uploadTrouble(); err != nil {
		return true, false, err.Error()
	}
	if !open {
		return true, false, "the list of all media is not complete yet"
	}
	if e.shared() {
		if behind := e.team.log.Stats().Behind; behind > unread {
			return true, false, fmt.Sprintf("the change log has not been read for %s", behind.Round(time.Second))
		}
	}
	return true, true, ""
}

// unread is how long the change log may not have been read on a node that takes
// uploads: several polls.
const unread = 5 * time.Second
