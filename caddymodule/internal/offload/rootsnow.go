package offload

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
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
		if id, err := watch.RootAt(t.Dir()); err == nil && !e.rootsSeen.isUnmounted(i, t.Dir(), id) {
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
	gone  []bool      // nothing is there now
	// mounted: it was seen to be a file system that is mounted there.
	mounted []bool
}

// look takes note of what is at the roots, and returns those at which something else is
// than before, or nothing.
func (r *rootsSeen) look(now rootsNow, mounted func(root int) bool) (changed []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.roots == nil {
		r.roots, r.since, r.gone, r.mounted = now, make([]time.Time, len(now)), make([]bool, len(now)), make([]bool, len(now))
		for root := range now {
			r.mounted[root] = mounted(root)
		}
		return nil
	}
	for root, id := range now {
		isNew := id != nil && !r.roots.isRoot(root, *id)
		wasGone := r.gone[root]
		r.gone[root] = id == nil && r.roots[root] != nil
		if isNew {
			r.roots[root], r.mounted[root] = id, mounted(root)
		}
		if isNew || wasGone && !r.gone[root] {
			r.since[root] = time.Now()
		}
		if isNew || r.gone[root] != wasGone {
			changed = append(changed, root)
		}
	}
	return changed
}

// isUnmounted reports whether a directory at a root's path is but the mount point of the
// file system that was the root. It is no new disk: what is on that comes back with it.
func (r *rootsSeen) isUnmounted(root int, dir string, id watch.DirID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.roots != nil && r.mounted[root] && !r.roots.isRoot(root, id) && !watch.IsMountPoint(dir)
}

// isGone reports whether nothing is at a root that was there.
func (r *rootsSeen) isGone(root int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gone != nil && r.gone[root]
}

// missing returns a root that was there and is not, or -1.
func (r *rootsSeen) missing() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Index(r.gone, true)
}

// lookAtRoots takes note of media roots that went, came or were moved: nothing of what was
// there before is at their URLs.
func (e *Engine) lookAtRoots() {
	for _, root := range e.rootsSeen.look(e.rootsNow(), e.isMountPoint) {
		e.trees[root].Reopen()
		e.classes.Reset()
		if !e.rootsSeen.isGone(root) {
			e.deleteNotes.notes.Moved(root)
			e.recon.want(scope{root, ""}, window{})
		}
	}
}

// isRootThere reports whether a root is there at this very moment.
func (e *Engine) isRootThere(root int) bool {
	dir := e.trees[root].Dir()
	id, err := watch.RootAt(dir)
	return err == nil && !e.rootsSeen.isUnmounted(root, dir, id)
}

func (e *Engine) isMountPoint(root int) bool { return watch.IsMountPoint(e.trees[root].Dir()) }

// rootTrouble returns why a media root cannot be used, or nil.
func (e *Engine) rootTrouble() error {
	root := e.rootsSeen.missing()
	if root < 0 {
		return nil
	}
	return fmt.Errorf("the media root %s is not there, or not mounted any more: its files are served from the bucket; "+
		"bring it back, or restart this server if another directory is to take its place", e.trees[root].Dir())
}

// wasThere reports whether a root has been the directory that it is since a time.
func (r *rootsSeen) wasThere(root int, since time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.roots == nil || !r.since[root].After(since)
}

// holds reports whether a delete still is one: the directory in which it was seen is
// the media root, or a request did it.
func (r rootsNow) holds(s *work.Task) bool {
	return s.InRequest || r.isRoot(s.Root, s.In)
}

// isRoot reports whether a directory is the one at a media root now.
func (r rootsNow) isRoot(root int, dir watch.DirID) bool { return r[root] != nil && *r[root] == dir }

// seenInRoots takes files that are gone from what is not the media root any more for
// such as nobody was seen to delete.
func (e *Engine) seenInRoots(gone []*work.Task) []*work.Task {
	roots := e.rootsNow()
	e.queue.Lock()
	defer e.queue.Unlock()
	for _, s := range gone {
		if roots.holds(s) {
			continue
		}
		s.Presence, s.Moved, s.OtherRoot = work.Missed, false, roots[s.Root] != nil
		if s.Item.Gen == s.Gen {
			e.queue.Found(s.Item, work.Missed)
			s.Item.MovedTo, s.Item.MovedAt = "", 0
		}
	}
	return gone
}
