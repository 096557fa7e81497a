package offload

import (
	"fmt"
	"strings"
	"sync"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// CollisionError says that files which the app wrote while a request ran do not
// have their names: another node stored other files under them at the same
// time. Both contents are kept. The app knows nothing of it, so its client must
// not be told a success.
type CollisionError struct {
	Keys  []string // up to 10 of them
	Count int
}

func (e *CollisionError) Error() string {
	more := ""
	if e.Count > len(e.Keys) {
		more = fmt.Sprintf(" and %d more", e.Count-len(e.Keys))
	}
	return fmt.Sprintf("another server gave the same name to another file at the same time (this one's content is kept aside): %s%s",
		strings.Join(e.Keys, ", "), more)
}

// admitted are the running requests whose app may have given names: those that
// Ready has returned to.
type admitted struct {
	mu  sync.Mutex
	all map[*Request]struct{}
}

func (a *admitted) add(r *Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all == nil {
		a.all = make(map[*Request]struct{})
	}
	a.all[r] = struct{}{}
}

func (a *admitted) remove(r *Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.all, r)
}

// bringing calls f for each of the requests that brings a name like a key's,
// until f returns false, and reports whether there was any.
func (a *admitted) bringing(key string, f func(n *requestNames) bool) (found bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.all) == 0 {
		return false
	}
	stem := media.NameStem(key)
	for r := range a.all {
		if more := r.names.ifBrings(stem, f, &found); !more {
			break
		}
	}
	return found
}

func (n *requestNames) ifBrings(stem string, f func(n *requestNames) bool, found *bool) (more bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.stems[stem]; !ok || n.ended {
		return true
	}
	*found = true
	return f(n)
}

// own reports whether one of the requests brought a key's name, has held its
// lease all the time, and had caught up with the change log before its app
// could choose the name.
func (a *admitted) own(key string) (own bool) {
	a.bringing(key, func(n *requestNames) bool {
		own = n.held()
		return !own
	})
	return own
}

// lost notes that a file, written by the app of this node at change gen, did
// not get its name: for the request that brought the name, or else for all in
// whose time it was written.
func (a *admitted) lost(key string, gen uint64) {
	note := func(n *requestNames) bool {
		n.lost = append(n.lost, key)
		return true
	}
	if a.bringing(key, note) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for r := range a.all {
		if r.since < gen {
			r.names.mu.Lock()
			note(&r.names)
			r.names.mu.Unlock()
		}
	}
}

// stored notes a version that is about to be written to the change log.
func (a *admitted) stored(key, etag string) {
	a.bringing(key, func(n *requestNames) bool {
		if n.stored == nil {
			n.stored = make(map[string]string)
		}
		n.stored[key] = etag
		return true
	})
}

// contested notes that another node has told to put an end to a version.
func (a *admitted) contested(key, etag string) {
	a.bringing(key, func(n *requestNames) bool {
		if n.contested == nil {
			n.contested = make(map[string]string)
		}
		if len(n.contested) < maxContested {
			n.contested[key] = etag
		}
		return true
	})
}

// maxContested bounds the keys that a request remembers of others' deletes.
const maxContested = 1000

// held reports whether the app could choose the names alone until now. The
// caller holds mu.
func (n *requestNames) held() bool { return n.ready && (n.claim == nil || n.claim.Held()) }

// collision returns an error if names that the app gave are another node's.
func (r *Request) collision() error {
	n := &r.names
	n.mu.Lock()
	defer n.mu.Unlock()
	seen := make(map[string]struct{})
	e := &CollisionError{}
	add := func(key string) {
		if _, ok := seen[key]; ok {
			return
		}
		seen[key] = struct{}{}
		if e.Count++; e.Count <= 10 {
			e.Keys = append(e.Keys, key)
		}
	}
	for _, key := range n.lost {
		add(key)
	}
	if !n.held() {
		// Who had the lease meanwhile may have taken a version for that of an
		// upload that was never finished: see takeName.
		for key, etag := range n.contested {
			if n.stored[key] == etag {
				add(key)
			}
		}
	}
	if e.Count == 0 {
		return nil
	}
	return e
}

// Lapsed reports whether Ready has returned nil, and the names it was about may
// belong to another node since: this one stood still, or the bucket was out of
// reach, for longer than a lease lasts. Unless the app has seen the end of the
// request, Ready is to be called again.
func (r *Request) Lapsed() bool {
	n := &r.names
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ready && !n.ended && !n.held()
}

// lostName notes that the file of an item does not get its name.
func (e *Engine) lostName(s *work.Task) {
	e.queue.Lock()
	gen := s.Item.Soiled
	e.queue.Unlock()
	e.admitted.lost(s.Key, gen)
}
