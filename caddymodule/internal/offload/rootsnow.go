package offload

import (
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/watch"
)

// A media root may be a symbolic link that a deploy switches, and the release before
// it may be removed at once; or it is unmounted, or moved away. What goes there is no
// delete of the site's, unless a request did it.

// rootsNow are the directories at the media roots, nil for one that is not there.
type rootsNow []*watch.DirID

func (e *Engine) rootsNow() rootsNow {
	roots := make(rootsNow, len(e.trees))
	for i, t := range e.trees {
		if id, err := watch.RootAt(t.Dir()); err == nil {
			roots[i] = &id
		}
	}
	return roots
}

// rootsSeen are the directories that were at the media roots when that was last looked at.
type rootsSeen struct {
	mu    sync.Mutex
	roots rootsNow
	since []time.Time // each has been there, as far as is known; zero: from the start on
}

// look takes note of directories that are new at their roots.
func (r *rootsSeen) look(now rootsNow) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.roots == nil {
		r.roots, r.since = now, make([]time.Time, len(now))
		return
	}
	for root, id := range now {
		if id != nil && !r.roots.isRoot(root, *id) {
			r.roots[root], r.since[root] = id, time.Now()
		}
	}
}

// wasThere reports whether a root has been the directory that it is since a time.
func (r *rootsSeen) wasThere(root int, since time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.roots == nil || !r.since[root].After(since)
}

// holds reports whether a delete still is one: the directory in which it was seen is
// the media root, or a request did it.
func (r rootsNow) holds(s *task) bool {
	return s.inRequest || r.isRoot(s.root, s.in)
}

// isRoot reports whether a directory is the one at a media root now.
func (r rootsNow) isRoot(root int, dir watch.DirID) bool { return r[root] != nil && *r[root] == dir }

// seenInRoots takes files that are gone from what is not the media root any more for
// such as nobody was seen to delete.
func (e *Engine) seenInRoots(gone []*task) []*task {
	roots := e.rootsNow()
	e.queue.mu.Lock()
	defer e.queue.mu.Unlock()
	for _, s := range gone {
		if roots.holds(s) {
			continue
		}
		s.presence, s.moved, s.otherRoot = missed, false, roots[s.root] != nil
		if s.item.gen == s.gen {
			s.item.presence, s.item.movedTo, s.item.movedAt = missed, "", 0
		}
	}
	return gone
}
