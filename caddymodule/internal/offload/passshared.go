package offload

import (
	"context"
	"io/fs"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/cluster"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// maxTouched bounds the directories that other nodes are asked to look at after
// this one was killed.
const maxTouched = 1000

func (e *Engine) newPass(ctx context.Context, what map[scope]struct{}, during window) *pass {
	p := &pass{e: e, ctx: ctx, during: during, began: time.Now(), reported: time.Now(), shared: e.shared(), waits: true}
	_, p.whole = what[everything]
	if p.shared {
		p.logged = e.logged()
		open, _ := e.team.names.state()
		p.waits = open || !p.whole
		if !p.waits {
			e.backlog.clear()
		}
	}
	return p
}

// dir takes note of a directory that the requests of a killed process changed:
// what they deleted may not have been told to the other nodes.
func (p *pass) dir(root int, rel string) {
	e := p.e
	if !p.shared || p.during.from.IsZero() || len(p.touched) >= maxTouched {
		return
	}
	key := e.site.Key(root, rel)
	info, err := e.trees[root].StatDir(rel)
	if err != nil || !p.during.holds(info.ModTime()) {
		return
	}
	if key == "" || media.CheckKey(key) != nil {
		key = everyDir
	}
	p.touched = append(p.touched, key)
}

// isClean reports whether a file is marked as committed and was not changed
// since.
func (p *pass) isClean(root int, rel, key string, info fs.FileInfo) bool {
	m, ok := p.e.trees[root].Mark(rel)
	return ok && m.Place == p.e.markPlace(key) && m.Size == info.Size() && m.ModTime == info.ModTime().UnixNano()
}

// missing has an object fetched of which there is no file.
func (p *pass) missing(l *listing, info *bucket.Info, key string, root int, rel string) {
	e := p.e
	e.queue.mu.Lock()
	if !e.recon.touched(key) && e.queue.items[key] == nil {
		e.index.learn(key, entry{state: bucketOnly, class: l.class, size: info.Size, etag: info.ETag})
	}
	e.queue.mu.Unlock()
	if !p.waits && !e.queue.hasRoom() {
		p.skipped++
		e.backlog.add(key)
		return
	}
	if err := e.enqueueMissing(p.ctx, key, root, rel); err != nil {
		return // ctx has ended: the caller sees it
	}
}

// enqueueMissing adds an item for an object without a file, waiting for room.
func (e *Engine) enqueueMissing(ctx context.Context, key string, root int, rel string) error {
	q := e.queue
	if err := q.awaitRoom(ctx); err != nil {
		return err
	}
	defer q.mu.Unlock()
	if q.items[key] != nil || e.recon.touched(key) {
		return nil
	}
	now := time.Now()
	it := q.hear(key, root, rel, elsewhere{why: putElsewhere}, now)
	it.fetching, it.background = false, true
	q.backgrounds++
	q.schedule(it, now)
	return nil
}

// awaitRoom returns with mu held when there is room for a background item.
func (q *queue) awaitRoom(ctx context.Context) error {
	for {
		q.mu.Lock()
		if q.backgrounds < maxBackground {
			return nil
		}
		q.mu.Unlock()
		select {
		case <-q.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (q *queue) hasRoom() bool { return q.backgroundLen() < maxBackground }

// finish does what can be judged only once everything was looked at.
func (p *pass) finish() error {
	e := p.e
	p.passOnDeletes()
	if !p.shared {
		e.team.names.open()
		return nil
	}
	p.passOnRemovals()
	if err := p.tellTouched(); err != nil {
		return err
	}
	switch {
	case p.whole && p.waits:
		e.backlog.clear() // all of it went through the queue
	case p.whole:
		e.backlog.complete()
		e.team.names.open()
	}
	if p.skipped > 0 {
		e.log().Info("the names of all media are known; content that is missing is fetched or stored in the background",
			keyFiles, p.skipped)
		e.recon.want(everything, window{})
	}
	return nil
}

// passOnRemovals has files removed that other nodes deleted while this one was
// away, unless they are too many.
//
// (Promise 8: "a reconcile never deletes more than a small share of either
// side: it stops and says so".)
func (p *pass) passOnRemovals() {
	e := p.e
	if len(p.removals) == 0 {
		return
	}
	limit := max(10, int(e.cfg.MaxDeleteShare*float64(p.files)))
	if len(p.removals) > limit {
		e.log().Error("too many committed files have lost their objects to be deletes of other nodes: no file is removed, and none is "+
			"stored again. Bring the objects back; or remove the files, or touch them to have them stored again",
			keyDeletes, len(p.removals), "limit", limit)
		return
	}
	e.log().Info("removing files that other nodes deleted", keyDeletes, len(p.removals))
	for _, key := range p.removals {
		e.look(key, deletedElsewhere)
	}
}

// fetchBack has the files fetched that were too many to be deletes.
func (p *pass) fetchBack() {
	if !p.shared {
		return
	}
	for _, key := range p.deletes {
		root, rel, ok := p.e.site.Locate(key)
		if !ok {
			continue
		}
		if err := p.e.enqueueMissing(p.ctx, key, root, rel); err != nil {
			return
		}
	}
}

// tellTouched asks the other nodes to look at the directories that requests of
// a killed process had changed.
func (p *pass) tellTouched() error {
	if len(p.touched) == 0 {
		return nil
	}
	changes := make([]cluster.Change, len(p.touched))
	for i, dir := range p.touched {
		changes[i] = cluster.Change{Op: cluster.DeleteBelow, Key: dir}
	}
	ctx, cancel := context.WithTimeout(p.ctx, callTimeout)
	defer cancel()
	return p.e.team.node.Append(ctx, changes...)
}
