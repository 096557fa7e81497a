package offload

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/watch"
)

// What a guest's app deletes is gone for this node alone: the object stays, but is not
// served in place of the file. A note file in the media root keeps that over a restart.
// What it writes needs no note: it is on disk.
//
// (Promise 8: "A deleted file does not come back by itself.")

// errDeletedHere: the bucket may have the object yet.
var errDeletedHere = fmt.Errorf("deleted on this server: %w", bucket.ErrNotFound)

// guestDelete is a delete that was seen on a guest.
type guestDelete struct {
	root  int
	in    watch.DirID // the media root in which that was seen
	meant bool        // by a request, or looked at since: see rootsNow
}

// guestDeletes are those of a guest. All but saving and files, which that guards, are
// guarded by the queue's lock.
type guestDeletes struct {
	gone    map[string]guestDelete // by key; that of a directory ends with a slash
	changed bool                   // since they were noted
	forgot  int                    // files that were written, and that the queue forgot
	full    sync.Once              // the log line

	saving sync.Mutex
	files  []noteFile // by root
}

// add keeps a delete, unless there are too many.
func (g *guestDeletes) add(id string, d guestDelete) {
	if g.gone == nil {
		g.gone = make(map[string]guestDelete)
	}
	if len(g.gone) >= maxNoted {
		return
	}
	g.gone[id] = d
	g.changed = true
}

func (g *guestDeletes) remove(id string) {
	if _, ok := g.gone[id]; ok {
		delete(g.gone, id)
		g.changed = true
	}
}

// clear forgets all: this node is a member.
func (g *guestDeletes) clear() {
	g.changed = g.changed || len(g.gone) > 0
	g.gone, g.forgot = nil, 0
}

// keepDelete takes note of one event on a guest, which is in the queue already. The
// caller holds the queue's lock.
func (e *Engine) keepDelete(ev watch.Event, during bool) {
	key := e.site.Key(ev.Root, ev.Path)
	if ev.Path == "" || media.CheckKey(key) != nil {
		return
	}
	switch ev.Op {
	case watch.Gone:
		if it := e.queue.At(work.File.ItemKey(key)); it != nil && !it.Fresh {
			e.guest.add(key, guestDelete{ev.Root, ev.In, during})
		}
	case watch.DirGone:
		e.guest.add(work.DirGone.ItemKey(key), guestDelete{ev.Root, ev.In, during})
	case watch.Wrote, watch.Writing:
		e.guest.remove(key)
	}
}

// deletedHere reports whether a key was deleted on this node, or a directory above it, and
// its object is still there: on a guest it stays, else it is about to go.
func (e *Engine) deletedHere(key string) bool {
	if !e.isGuest() && !e.queue.Goes() { // mostly: no lock for each read
		return false
	}
	e.queue.Lock()
	defer e.queue.Unlock()
	if e.isGuest() {
		return e.guest.hasDeleted(key)
	}
	if it := e.queue.At(key); it != nil {
		return it.Heard == 0 && it.Presence == work.Deleted && e.passOn(it.Task())
	}
	return e.goesWithDir(key)
}

// hasDeleted reports whether a key was deleted, or a directory above it. The caller holds
// the queue's lock.
func (g *guestDeletes) hasDeleted(key string) bool {
	if _, ok := g.gone[key]; ok {
		return true
	}
	for dir, _ := bucket.SplitKey(key); dir != ""; dir, _ = bucket.SplitKey(dir) {
		if _, ok := g.gone[work.DirGone.ItemKey(dir)]; ok {
			return true
		}
	}
	return false
}

// guestKeeps is how many files and deletes a guest keeps to itself.
func (e *Engine) guestKeeps() (files, deletes int) {
	e.queue.Lock()
	defer e.queue.Unlock()
	return e.queue.Written() + e.guest.forgot, len(e.guest.gone)
}

// noteGuestDeletes brings the note files up to date, after having read those that an
// earlier process left.
func (e *Engine) noteGuestDeletes() {
	g := &e.guest
	g.saving.Lock()
	defer g.saving.Unlock()
	if g.files == nil {
		g.files = make([]noteFile, len(e.trees))
	}
	for root := range e.trees {
		e.recallGuestDeletes(root)
	}
	if !e.owesGuestDeletes() {
		return
	}
	all := e.takeGuestDeletes(e.rootsNow())
	for root, t := range e.trees {
		if !g.files[root].recalled {
			if len(all[root]) > 0 {
				e.oweGuestDeletes()
			}
			continue
		}
		if err := g.files[root].write(t, local.GuestDeletes, noteText(e.whoseNotes(), all[root])); err != nil {
			e.oweGuestDeletes()
			e.log().Warn("what was deleted on this server, a guest, cannot be noted on disk: after a restart the bucket's files are served again", keyDir, t.Dir(), keyError, err)
		}
	}
}

// owesGuestDeletes reports whether a guest's deletes have changed since they were noted.
func (e *Engine) owesGuestDeletes() bool {
	e.queue.Lock()
	defer e.queue.Unlock()
	return e.guest.changed
}

// oweGuestDeletes has them noted again.
func (e *Engine) oweGuestDeletes() {
	e.queue.Lock()
	defer e.queue.Unlock()
	e.guest.changed = true
}

// takeGuestDeletes returns by root what is to be noted. What went from a directory that is
// not the media root any more is no delete.
func (e *Engine) takeGuestDeletes(roots rootsNow) (all [][]notedDelete) {
	e.queue.Lock()
	defer e.queue.Unlock()
	g := &e.guest
	g.changed = false
	all = make([][]notedDelete, len(e.trees))
	for id, d := range g.gone {
		if !d.meant && !roots.isRoot(d.root, d.in) {
			delete(g.gone, id)
			continue
		}
		d.meant = true
		g.gone[id] = d
		key, dir := strings.CutSuffix(id, "/")
		all[d.root] = append(all[d.root], notedDelete{Key: key, Dir: dir})
	}
	for _, noted := range all {
		slices.SortFunc(noted, func(a, b notedDelete) int { return strings.Compare(a.Key, b.Key) })
	}
	if len(g.gone) >= maxNoted {
		g.full.Do(func() {
			e.log().Warn("as much was deleted on this server, a guest, as is remembered: other files that go are served from the bucket", "limit", maxNoted)
		})
	}
	return all
}

// recallGuestDeletes reads what an earlier process noted of a root.
func (e *Engine) recallGuestDeletes(root int) {
	g := &e.guest
	data, ok := g.files[root].recall(e.trees[root], local.GuestDeletes)
	if !ok {
		return
	}
	e.queue.Lock()
	defer e.queue.Unlock()
	g.changed = g.changed || data != nil
	if e.membership.is(memberRole) {
		return // what it deleted as a guest is there again
	}
	for _, d := range parseNoted(e.whoseNotes(), data, maxNoted) {
		k, letIn := work.File, e.letIn
		if d.Dir {
			k, letIn = work.DirGone, e.letInDir
		}
		if f, ok := letIn(d.Key); ok && f.root == root && f.rel != "" {
			g.add(k.ItemKey(d.Key), guestDelete{root: root, meant: true})
		}
	}
}
