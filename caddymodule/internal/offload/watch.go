package offload

import (
	"context"
	"path"
	"strings"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/watch"
)

// watch runs the watcher until the engine stops.
func (e *Engine) watch() {
	e.requests.mu.Lock()
	e.loadNote()
	e.requests.mu.Unlock()
	e.recallCompared()
	e.noteDeletes()
	e.noteGuestDeletes()
	roots := make([]string, len(e.trees))
	for i, t := range e.trees {
		roots[i] = t.Dir()
	}
	e.rootsSeen.look(e.rootsNow(), e.isMountPoint)
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
		e.noWatch.Store(&err)
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
	e.noteIgnored(events, who != work.Anybody)
	if e.guard.Expects() {
		e.noteUploads(events)
	}
	e.queue.Lock()
	defer e.queue.Unlock()
	guest := e.guard.IsGuest()
	if guest && e.queue.Size() > e.guestMost {
		e.guestForgot += e.queue.Written()
		e.queue.Forget(func(*work.Item) bool { return true })
	}
	for _, ev := range events {
		e.change(ev, who, now)
		if guest {
			e.keepDelete(ev, who == work.InRequest)
		}
	}
	e.followMoves(events)
}

// htaccess is the file that makes what lies below it private.
const htaccess = ".htaccess"

// change puts one event into the queue, whose lock the caller holds.
func (e *Engine) change(ev watch.Event, who work.Doer, now time.Time) {
	key := e.site.Key(ev.Root, ev.Path)
	dir, name := path.Split(ev.Path)
	switch {
	case ev.Op == watch.Rescan:
		e.trees[ev.Root].Reopen()
		e.classes.Reset()
		e.spread(work.Rescan, key, ev, now)
	case ev.Op == watch.DirGone && ev.Path == "":
		// A root that went away (unmounted, moved, wiped) is no app's delete.
		e.trees[ev.Root].Reopen()
		e.classes.Reset()
	case ev.Op == watch.DirGone:
		e.classes.Reset()
		it := e.spread(work.DirGone, key, ev, now)
		it.In = ev.In
		it.By(who)
		due := now.Add(unattendedRest)
		if who == work.InRequest {
			e.queue.ChangedBelow(key + "/")
			due = now.Add(work.Gather)
		}
		e.queue.Schedule(it, due)
	case name == htaccess:
		dir = strings.TrimSuffix(dir, "/")
		e.classes.Reset()
		e.spread(work.Htaccess, e.site.Key(ev.Root, dir), watch.Event{Root: ev.Root, Path: dir}, now)
	case name == "" || (media.CheckKey(key) == nil && e.site.Class(key, nil) == media.Ignored):
		// What depends on the disk (an .htaccess) is judged when it is committed.
	default:
		e.changeFile(ev, key, who, now)
	}
}

func (e *Engine) spread(k work.Kind, key string, ev watch.Event, now time.Time) *work.Item {
	it, _ := e.queue.Change(k, key, ev.Root, ev.Path, now)
	e.queue.Schedule(it, now.Add(work.Rest))
	return it
}

func (e *Engine) changeFile(ev watch.Event, key string, who work.Doer, now time.Time) {
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
	it, isNew := e.queue.Change(work.File, key, ev.Root, ev.Path, now)
	if isNew && ev.Created {
		it.Fresh = !known.Object() && !e.index.HoldsAny(key)
	}
	it.Rewritten = it.Rewritten || ev.Created || ev.Op == watch.Wrote || ev.Op == watch.Writing
	it.By(who)
	it.Written = it.Written || ev.Op == watch.Wrote || (ev.Op == watch.Writing && !ev.Created)
	it.Linked = it.Linked && ev.Op == watch.Touched
	it.Quiet = time.Time{}
	due := now.Add(work.Rest)
	switch ev.Op {
	case watch.Wrote:
		e.queue.Found(it, work.Present)
		it.Complete, it.Wrote, it.Move = true, true, nil
	case watch.Writing:
		e.queue.Found(it, work.Present)
		it.Wrote, it.Move = true, nil
		due = now.Add(work.WritingFor)
		if !isNew && it.Scheduled() {
			// A large file comes in thousands of writes: none of them is worth
			// waking anyone.
			e.soil(it)
			it.Quiet = due
			return
		}
	case watch.Gone:
		e.queue.Found(it, work.Deleted)
		it.In = ev.In
		due = now.Add(work.Gather)
		if !it.InRequest {
			due = now.Add(unattendedRest)
		}
	}
	if ev.Op != watch.Touched {
		e.soil(it)
	}
	// After an error the next try has its time, unless the item waited for the end
	// of a move instead; and a change of mode may be what makes the file readable.
	if it.Attempts == 0 || ev.Op == watch.Touched || !it.Scheduled() {
		e.queue.Schedule(it, due)
	}
}

// soil notes that an item's content may have changed. The caller holds the
// queue's lock.
func (e *Engine) soil(it *work.Item) {
	e.queue.Soil(it)
	e.index.Soil(it.Key)
}
