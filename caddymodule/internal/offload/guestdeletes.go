package offload

import (
	"fmt"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/deletes"
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

// maxGuestItems bounds the changes that a guest remembers; what is beyond is found by
// the comparison, should it become a member.
const maxGuestItems = 10_000

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
			e.guest.Add(deletes.File{Key: key, Root: ev.Root}, false, ev.In, during)
		}
	case watch.DirGone:
		e.guest.Add(deletes.File{Key: key, Root: ev.Root}, true, ev.In, during)
	case watch.Wrote, watch.Writing:
		e.guest.Remove(key)
	}
}

// deletedHere reports whether a key was deleted on this node, or a directory above it, and
// its object is still there: on a guest it stays, else it is about to go.
func (e *Engine) deletedHere(key string) bool {
	if !e.guard.IsGuest() && !e.queue.Goes() { // mostly: no lock for each read
		return false
	}
	if e.guard.IsGuest() {
		return e.guest.Has(key)
	}
	e.queue.Lock()
	defer e.queue.Unlock()
	if it := e.queue.At(key); it != nil {
		return it.Heard == 0 && it.Presence == work.Deleted && e.passOn(it.Task())
	}
	return e.goesWithDir(key)
}

// guestKeeps is how many files and deletes a guest keeps to itself.
func (e *Engine) guestKeeps() (files, gone int) {
	e.queue.Lock()
	defer e.queue.Unlock()
	return e.queue.Written() + e.guestForgot, e.guest.Len()
}

// noteGuestDeletes brings the notes of what a guest deleted up to date.
func (e *Engine) noteGuestDeletes() {
	e.guest.Note(func() []*watch.DirID { return e.rootsNow() }, e.admitNoted, func() bool { return e.guard.IsMember() })
}
