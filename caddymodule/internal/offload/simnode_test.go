package offload

import (
	"context"
	"crypto/rand"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/lease"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
)

// simFile is a file with its mark.
type simFile struct {
	content string
	base    string // ETag of the mark; "" none
	strange bool   // replaced by rename: the mark is gone
}

func (f simFile) state(there bool) verdict.FileState {
	switch {
	case !there:
		return verdict.NoFile
	case f.base == "" || f.strange:
		return verdict.StrangeFile
	case f.base == etagOf(f.content):
		return verdict.CleanFile
	}
	return verdict.ChangedFile
}

// simNode is one node: a disk that outlives crashes, and the work on its keys.
type simNode struct {
	w    *sim
	id   string
	link *buckettest.Link

	mu      sync.Mutex
	disk    map[string]simFile
	pending map[string]*simItem
	moved   chan struct{}

	log    *changelog.Log
	leases *lease.Leaser
	ctx    context.Context
	kill   context.CancelFunc
	work   sync.WaitGroup
	up     bool

	comparing int // comparisons that run

	// untold: it crashed while the app may have been deleting; a note on the disk.
	untold bool
}

// simItem is work on one key.
type simItem struct {
	gen     int
	why     verdict.Cause
	look    bool
	wrote   bool   // the app did something
	gone    bool   // the app deleted the file
	deleted string // the version that it was
	untold  bool   // perhaps stored, and not announced
	nonce   string // goes with each Put
}

// mayTell reports whether the other nodes may not know of the object, as
// snapshot.untold does: once one of them has told of it, the app's own change is no
// reason to, or nodes would answer each other for ever.
func (it simItem) mayTell() bool { return it.untold || it.wrote && it.why == verdict.OwnChange }

func (n *simNode) files() map[string]simFile {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.disk)
}

// rests reports whether the node is at the end of a log of so many entries, and
// has dealt with all that it has heard of.
func (n *simNode) rests(entries int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.up && !n.untold && n.comparing == 0 && len(n.pending) == 0 && n.log.Stats().Position == uint64(entries)
}

func (n *simNode) wipe() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.disk, n.untold = map[string]simFile{}, false
}

func (n *simNode) start() {
	log, err := changelog.New(changelog.Config{Store: n.link, Prefix: "offload/", Apply: n.apply, Lost: func() { n.reconcile() }})
	if err != nil {
		n.w.t.Fatal(err)
	}
	leases, err := lease.New(lease.Config{Store: n.link, Prefix: "offload/", Log: log})
	if err != nil {
		n.w.t.Fatal(err)
	}
	n.mu.Lock()
	n.pending, n.moved, n.up = map[string]*simItem{}, make(chan struct{}), false
	n.ctx, n.kill = context.WithCancel(context.Background())
	n.log, n.leases = log, leases
	ctx := n.ctx
	n.mu.Unlock()
	n.work.Go(func() {
		for {
			if _, err := log.Join(ctx, 0); err == nil {
				break
			}
			if !n.pause(ctx) {
				return
			}
		}
		n.work.Go(func() { log.Run(ctx) })
		n.reconcile()
		n.tellTouched(ctx)
	})
}

// stop ends the node as a crash does: nothing is put in order.
func (n *simNode) stop() {
	n.mu.Lock()
	n.kill()
	n.untold = n.untold || len(n.pending) > 0
	n.mu.Unlock()
	n.work.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, _ = n.leases.Close(ctx), n.log.Close(ctx) // cut short on purpose
}

func (n *simNode) pause(ctx context.Context) bool {
	select {
	case <-time.After(300 * time.Millisecond):
		return true
	case <-ctx.Done():
		return false
	}
}

// reconcile compares disk and bucket.
func (n *simNode) reconcile() {
	n.mu.Lock()
	ctx := n.ctx
	n.comparing++
	n.mu.Unlock()
	n.work.Go(func() {
		defer func() {
			n.mu.Lock()
			n.comparing--
			n.mu.Unlock()
		}()
		for ctx.Err() == nil {
			listed := map[string]bool{}
			var failed error
			for info, err := range n.link.List(ctx, "media/", "") {
				if failed = err; err != nil {
					break
				}
				listed[strings.TrimPrefix(info.Key, "media/")] = true
			}
			if failed != nil {
				n.pause(ctx)
				continue
			}
			for key, f := range n.files() {
				why := verdict.OwnChange
				if !listed[key] && f.state(true) == verdict.CleanFile {
					why = verdict.DeletedPerhaps
				}
				n.touch(key, simItem{why: why, look: true})
				delete(listed, key)
			}
			for key := range listed {
				n.touch(key, simItem{why: verdict.PutElsewhere, look: true})
			}
			n.w.note(n.id, "", "compared")
			n.mu.Lock()
			n.up = true
			n.signal()
			n.mu.Unlock()
			return
		}
	})
}

// tellTouched has the others compare, if deletes before a crash may not have
// been told.
func (n *simNode) tellTouched(ctx context.Context) {
	n.mu.Lock()
	untold := n.untold
	n.mu.Unlock()
	if !untold {
		return
	}
	for n.log.Append(ctx, changelog.Change{Op: changelog.DeleteBelow, Key: everyDir}) != nil {
		if !n.pause(ctx) {
			return
		}
	}
	n.mu.Lock()
	n.untold = false
	n.mu.Unlock()
}

func (n *simNode) apply(changes []changelog.Change) {
	for _, c := range changes {
		if c.Op == changelog.DeleteBelow {
			n.reconcile()
			continue
		}
		why := verdict.PutElsewhere
		if c.Op == changelog.Delete {
			why = verdict.DeletedElsewhere
		}
		n.w.note(n.id, c.Key, "hears of it: cause %d, %s", why, c.ETag)
		n.touch(c.Key, simItem{why: why, look: true})
	}
}

// signal wakes who waits; the caller holds mu.
func (n *simNode) signal() {
	close(n.moved)
	n.moved = make(chan struct{})
}

// touch puts a key into the queue; one worker at a time deals with it.
func (n *simNode) touch(key string, change simItem) {
	n.mu.Lock()
	defer n.mu.Unlock()
	it := n.pending[key]
	if it == nil {
		it = &simItem{nonce: rand.Text()}
		n.pending[key] = it
		ctx := n.ctx
		if ctx.Err() != nil {
			return // crashed: the next start finds it
		}
		n.work.Go(func() {
			for ctx.Err() == nil && !n.converge(ctx, key, it) {
				n.pause(ctx)
			}
		})
	}
	it.gen++
	if change.look && !(it.look && it.why.Outlasts(change.why)) {
		it.look, it.why = true, change.why
	}
	it.wrote = it.wrote || change.wrote
	if change.gone {
		it.gone, it.deleted = true, change.deleted
	}
}

// idle waits until the keys (nil: all) have no work.
func (n *simNode) idle(ctx context.Context, keys []string) error {
	for {
		n.mu.Lock()
		busy := !n.up || (keys == nil && len(n.pending) > 0)
		for _, key := range keys {
			busy = busy || n.pending[key] != nil
		}
		moved, life := n.moved, n.ctx
		n.mu.Unlock()
		if life.Err() != nil {
			return life.Err()
		}
		if !busy {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		case <-life.Done():
			return life.Err()
		}
	}
}
