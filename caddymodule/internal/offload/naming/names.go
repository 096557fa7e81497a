package naming

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/lease"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// Names are those that one request brings. Its methods may be called from several
// goroutines.
type Names struct {
	book  *Book
	since uint64 // the last change before the request began

	mu    sync.Mutex
	stems map[string]struct{}
	claim *lease.Claim
	from  string // the network of the client
	ended bool
	ready bool // the last Ready returned nil
	wrote bool // a file of one of the names was written

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
func (n *Names) Name(name string) {
	if name == "" {
		return
	}
	stem := media.NameStem(name)
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
		n.claim = n.book.cfg.Leaser().Claim(n.from)
	}
	n.claim.Add(stem)
	n.claim.Look()
}

// ComesFrom says from which network the request comes, before Name: of one network
// only some requests claim names at the same time, see lease.Config.ClaimsPerClient.
func (n *Names) ComesFrom(network string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.from = network
}

// Turn waits for the requests of the same names that are at work: for one that is
// not all there. It has the names for a moment then, and again from Ready on. An
// error (ctx ended) means nothing else than that others are at work yet.
func (n *Names) Turn(ctx context.Context) error {
	claim := n.claimed()
	if claim == nil {
		return nil
	}
	return waiting(claim.Turn(ctx))
}

// waiting says what an error of a claim ended.
func waiting(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("waiting for the names of the files: %w", err)
}

// Soon says that the request will be all there soon: its names are sought then, so
// that Ready need not wait for them.
func (n *Names) Soon() {
	if claim := n.claimed(); claim != nil {
		claim.Soon()
	}
}

// Rest gives the names back until Ready is called again: the request does not get
// on, and others may want them.
func (n *Names) Rest() {
	if claim := n.claimed(); claim != nil {
		claim.Rest()
	}
}

// Interrupted reports whether another request may have had one of the names since
// Ready returned nil.
func (n *Names) Interrupted() bool {
	claim := n.claimed()
	return claim != nil && claim.Interrupted()
}

// Lapsed reports whether Ready has returned nil, and the names it was about may
// belong to another node since: this one stood still, or the bucket was out of
// reach, for longer than a lease lasts. Unless the app has seen the end of the
// request, Ready is to be called again.
func (n *Names) Lapsed() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ready && !n.ended && !n.held()
}

// Wrote reports whether a file of one of the names was written, see Book.Wrote.
func (n *Names) Wrote() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.wrote
}

// Release gives the names back, for good.
func (n *Names) Release() {
	n.book.remove(n)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ended = true
	if n.claim != nil {
		n.claim.Release()
	}
}

// claimed is the claim of the names, nil if there are none.
func (n *Names) claimed() *lease.Claim {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.claim
}

// held reports whether the app could choose the names alone until now. The
// caller holds mu.
func (n *Names) held() bool { return n.ready && (n.claim == nil || n.claim.Held()) }

// resembles returns what the names have in common with others, and a test whether a
// key's name is like one of them.
func (n *Names) resembles() (stems []string, test func(key string) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	set := maps.Clone(n.stems)
	return slices.Collect(maps.Keys(set)), func(key string) bool {
		_, ok := set[media.NameStem(key)]
		return ok
	}
}
