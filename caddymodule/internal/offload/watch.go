package offload

import (
	"context"
	"path"
	"strings"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/watch"
)

// watch runs the watcher until the engine stops.
func (e *Engine) watch() {
	e.requests.mu.Lock()
	e.loadNote()
	e.requests.mu.Unlock()
	e.noteDeletes()
	e.noteGuestDeletes()
	roots := make([]string, len(e.trees))
	for i, t := range e.trees {
		roots[i] = t.Dir()
	}
	e.rootsSeen.look(e.rootsNow())
	w, err := watch.New(e.life, watch.Config{
		Roots:        roots,
		Handle:       e.handle,
		Skip:         e.site.SkipDir,
		Logger:       e.log(),
		ScanInterval: e.cfg.ScanInterval,
	})
	if e.life.Err() != nil && err != nil {
		return
	}
	if err != nil {
		// Without a watcher nothing can be promised: every request that may
		// write waits for it, and the admin must know why.
		e.health.unwatched(err)
		e.log().Error("cannot watch the media roots: uploads are held until this is mended", keyError, err)
		return
	}
	e.watcher.Store(&w)
	close(e.watching)
	<-e.life.Done()
	if err := w.Close(); err != nil {
		e.log().Warn("closing the watcher", keyError, err)
	}
}

// barrier returns when all changes made before the call are in the queue.
func (e *Engine) barrier(ctx context.Context) error {
	w := e.watcher.Load()
	if w == nil {
		select {
		case <-e.watching:
			w = e.watcher.Load()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return (*w).Barrier(ctx)
}

// handle takes the watcher's events. It looks at no file: that is the work of
// the queue.
func (e *Engine) handle(events []watch.Event) {
	now := time.Now()
	who := e.requests.doer(now)
	e.noteIgnored(events, who != anybody)
	if e.membership.vouching.Load() > 0 {
		e.noteUploads(events)
	}
	e.queue.Lock()
	defer e.queue.Unlock()
	guest := e.isGuest()
	if guest && e.queue.size() > e.membership.most {
		e.guest.forgot += e.queue.written()
		e.queue.forget(func(*item) bool { return true })
	}
	for _, ev := range events {
		e.change(ev, who, now)
		if guest {
			e.keepDelete(ev, who == aRequest)
		}
	}
	e.followMoves(events)
}

// htaccess is the file that makes what lies below it private.
const htaccess = ".htaccess"

// change puts one event into the queue, whose lock the caller holds.
func (e *Engine) change(ev watch.Event, who doer, now time.Time) {
	key := e.site.Key(ev.Root, ev.Path)
	dir, name := path.Split(ev.Path)
	switch {
	case ev.Op == watch.Rescan:
		e.trees[ev.Root].Reopen()
		e.htaccess.reset()
		e.spread(aRescan, key, ev, now)
	case ev.Op == watch.DirGone && ev.Path == "":
		// A root that went away (unmounted, moved, wiped) is no app's delete.
		e.trees[ev.Root].Reopen()
		e.htaccess.reset()
	case ev.Op == watch.DirGone:
		e.htaccess.reset()
		it := e.spread(aDirGone, key, ev, now)
		it.in = ev.In
		it.by(who)
		due := now.Add(unattendedRest)
		if who == aRequest {
			e.queue.changedBelow(key + "/")
			due = now.Add(gather)
		}
		e.queue.schedule(it, due)
	case name == htaccess:
		dir = strings.TrimSuffix(dir, "/")
		e.htaccess.reset()
		e.spread(anHtaccess, e.site.Key(ev.Root, dir), watch.Event{Root: ev.Root, Path: dir}, now)
	case name == "" || (media.CheckKey(key) == nil && e.site.Class(key, nil) == media.Ignored):
		// What depends on the disk (an .htaccess) is judged when it is committed.
	default:
		e.changeFile(ev, key, who, now)
	}
}

func (e *Engine) spread(k kind, key string, ev watch.Event, now time.Time) *item {
	it, _ := e.queue.change(k, key, ev.Root, ev.Path, now)
	e.queue.schedule(it, now.Add(rest))
	return it
}

func (e *Engine) changeFile(ev watch.Event, key string, who doer, now time.Time) {
	if err := media.CheckKey(key); err != nil {
		e.refuseKey(key, err)
		return
	}
	known, _ := e.index.Peek(key)
	if ev.Op == watch.Touched && known.State == index.Committed {
		return // its content is the same; mostly this is our own mark
	}
	e.recon.touch(key)
	if ev.Op != watch.Gone {
		e.deletedKeys.Remove(key)
	}
	it, isNew := e.queue.change(aFile, key, ev.Root, ev.Path, now)
	if isNew && ev.Created {
		it.fresh = !known.Object() && !e.index.HoldsAny(key)
	}
	it.rewritten = it.rewritten || ev.Created || ev.Op == watch.Wrote || ev.Op == watch.Writing
	it.by(who)
	it.written = it.written || ev.Op == watch.Wrote || (ev.Op == watch.Writing && !ev.Created)
	it.linked = it.linked && ev.Op == watch.Touched
	it.quiet = time.Time{}
	due := now.Add(rest)
	switch ev.Op {
	case watch.Wrote:
		e.queue.found(it, present)
		it.complete, it.wrote, it.move = true, true, nil
	case watch.Writing:
		e.queue.found(it, present)
		it.wrote, it.move = true, nil
		due = now.Add(writingFor)
		if !isNew && it.scheduled() {
			// A large file comes in thousands of writes: none of them is worth
			// waking anyone.
			e.soil(it)
			it.quiet = due
			return
		}
	case watch.Gone:
		e.queue.found(it, deleted)
		it.in = ev.In
		due = now.Add(gather)
		if !it.inRequest {
			due = now.Add(unattendedRest)
		}
	}
	if ev.Op != watch.Touched {
		e.soil(it)
	}
	// After an error the next try has its time, unless the item waited for the end
	// of a move instead; and a change of mode may be what makes the file readable.
	if it.attempts == 0 || ev.Op == watch.Touched || !it.scheduled() {
		e.queue.schedule(it, due)
	}
}

// soil notes that an item's content may have changed. The caller holds the
// queue's lock.
func (e *Engine) soil(it *item) {
	e.queue.soil(it)
	e.index.Soil(it.key)
}
