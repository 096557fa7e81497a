package offload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// maxTouched bounds the directories that other nodes are asked to look at after
// this one was killed; beyond that they look at everything.
const maxTouched = 1000

func (e *Engine) newPass(ctx context.Context, what map[scope]struct{}, during window) *pass {
	p := &pass{e: e, ctx: ctx, what: what, during: during, withheld: make(map[string]struct{}), began: time.Now(), reported: time.Now(), shared: e.shared(), waits: true}
	_, p.whole = what[everything]
	p.why, p.older = e.olderCause()
	if p.shared {
		p.logged, p.unclear, p.behind = e.logged(), e.recon.unclearNow(), e.recon.behind.Load()
		p.writes = e.identity.writesNow()
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
	if !p.shared || p.during.from.IsZero() || (len(p.touched) == 1 && p.touched[0] == everyDir) {
		return
	}
	key := e.site.Key(root, rel)
	info, err := e.trees[root].StatDir(rel)
	if err != nil || !p.during.holds(info.ModTime()) {
		return
	}
	if key == "" || media.CheckKey(key) != nil || len(p.touched) == maxTouched {
		p.touched, key = p.touched[:0], everyDir
	}
	p.touched = append(p.touched, key)
}

// isClean reports whether a file is marked as committed and was not changed
// since.
func (p *pass) isClean(root int, rel, key string, st index.Standing, info fs.FileInfo) bool {
	m, ok := p.e.trees[root].Mark(rel)
	return ok && m.Class == index.Entry{Class: st.Class, Kept: st.Kept}.Letter() && m.Binding == p.e.binding(key) && m.Size == info.Size() && m.ModTime == info.ModTime().UnixNano()
}

// lacks notes that a committed file has no object any more. Pages do not name it. A file
// of which another node has told a newer version is left as it is: that one has it.
func (p *pass) lacks(f foreign) {
	if p.unclear.covers(f) {
		p.removals = append(p.removals, f)
		return
	}
	q := p.e.queue
	q.Lock()
	defer q.Unlock()
	known, ok := p.e.index.Peek(f.key)
	switch {
	case ok && (known.State == index.Announced || known.State == index.Removed):
		return
	case ok && known.State == index.Committed && q.At(f.key) == nil:
		known.State = index.Dirty
		p.e.index.Set(f.key, known)
	}
	if len(p.lacking) <= maxLacking {
		p.lacking = append(p.lacking, f)
	}
}

// missing is an object of which there is no file.
type missing struct {
	foreign
	under  media.Class // its class in the bucket
	object bucket.Info
}

// learn remembers that there is an object and no file.
func (p *pass) learn(m *missing) {
	e := p.e
	e.queue.Lock()
	defer e.queue.Unlock()
	if !e.recon.touched(m.key) && e.queue.At(m.key) == nil {
		st := e.underPlace(m.key, m.class, m.believe(m.under))
		e.index.Learn(m.key, index.Entry{State: index.BucketOnly, Class: st.Class, Kept: st.Kept, Size: m.object.Size, ETag: m.object.ETag})
	}
}

// fetch has a missing file fetched.
func (p *pass) fetch(m *missing) {
	e := p.e
	p.only++
	p.learn(m)
	if !p.waits && !e.queue.HasRoom() {
		p.skipped++
		e.backlog.add(m.key)
		return
	}
	if err := e.enqueueMissing(p.ctx, m.foreign); err != nil {
		return // ctx has ended: the caller sees it
	}
}

// lookToo has a missing file looked at of which an event has told: it need not
// have been this object's.
func (p *pass) lookToo(key string, root int, rel string) {
	q := p.e.queue
	q.Lock()
	defer q.Unlock()
	if it := q.At(key); it == nil || it.Heard == 0 {
		q.LookToo(key, root, rel, p.cause())
	}
}

// keepHeld leaves in deletes what this disk held, and has the rest fetched:
// other nodes stored that while this one did not look.
func (p *pass) keepHeld() error {
	p.deletes = slices.DeleteFunc(p.deletes, func(m missing) bool { return p.isOld(m.key) })
	here := make([]bool, len(p.deletes))
	failed := make([]error, len(p.deletes))
	sideBySide(len(p.deletes), func(i int) { here[i], failed[i] = p.wasHeld(&p.deletes[i]) })
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("looking at what is missing on disk: %w", err)
	}
	held := p.deletes[:0]
	for i, m := range p.deletes {
		if here[i] {
			held = append(held, m)
			continue
		}
		p.fetch(&m)
	}
	p.deletes = held
	return nil
}

// wasHeld reports whether a missing file was on this disk: in this process'
// time, or an earlier one stored it.
func (p *pass) wasHeld(m *missing) (bool, error) {
	if err := p.ctx.Err(); err != nil {
		return false, err
	}
	e := p.e
	if e.index.HoldsAny(m.key) {
		return e.index.Holds(m.key, m.object.ETag), nil
	}
	info, err := e.head(m.key, m.under)
	if errors.Is(err, bucket.ErrNotFound) {
		return false, nil
	}
	return err == nil && e.wasHere(info), err
}

// enqueueMissing adds an item for an object without a file, waiting for room.
func (e *Engine) enqueueMissing(ctx context.Context, f foreign) error {
	return e.enqueueLook(ctx, f, verdict.PutElsewhere)
}

// enqueueLook has disk and bucket looked at in the background, waiting for room.
func (e *Engine) enqueueLook(ctx context.Context, f foreign, why verdict.Cause) error {
	q := e.queue
	if err := q.AwaitRoom(ctx); err != nil {
		return err
	}
	defer q.Unlock()
	if q.At(f.key) != nil || e.recon.touched(f.key) {
		return nil
	}
	now := time.Now()
	it := q.Hear(f.key, f.root, f.rel, work.News{Why: why}, now)
	q.ScheduleIdle(it, now)
	return nil
}

// finish does what can be judged only once everything was looked at.
func (p *pass) finish() error {
	e := p.e
	if len(p.deletes)+len(p.removals) > 0 {
		// What is missing in a bucket that went while it was listed was not deleted.
		if err := e.checkState(p.ctx); err != nil {
			return err
		}
		if e.isOlder() && !p.older {
			return nil // the next comparison, which is wanted already, knows
		}
	}
	if p.shared {
		if err := p.keepHeld(); err != nil {
			return err
		}
	}
	p.passOnDeletes()
	if p.whole {
		e.foundUnlisted(p.leftOut)
		p.forgetSettled()
	}
	if p.older && p.whole && len(p.leftOut) == 0 {
		if err := e.compared(p.ctx, p.lost); err != nil {
			return err
		}
	}
	if !p.shared {
		e.team.names.open()
		return nil
	}
	settled := p.passOnRemovals()
	p.passOnLacking()
	if err := p.tellTouched(); err != nil {
		return err
	}
	if settled && len(p.leftOut) == 0 {
		e.recon.settle(p.what, p.unclear)
		if p.whole {
			e.identity.sawWrites(p.writes)
		}
	}
	if p.whole && p.skipped == 0 && len(p.leftOut) == 0 {
		e.recon.behind.Store(false)
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

// forgetSettled drops the withheld deletes of which there is no object any more.
func (p *pass) forgetSettled() {
	if len(p.leftOut) > 0 || p.older || p.e.rootsSeen.missing() >= 0 {
		return
	}
	for _, key := range p.e.withheld.before(p.began) {
		if _, found := p.withheld[key]; !found && !p.isOld(key) {
			p.e.withheld.remove(key)
		}
	}
}

// passOnRemovals has files removed that other nodes deleted without this one's
// knowing, unless they are too many: then it is left to the admin which they were.
//
// (Promise 8: "a reconcile never deletes more than a small share of either
// side: it stops and says so".)
func (p *pass) passOnRemovals() (settled bool) {
	e := p.e
	if len(p.removals) == 0 {
		return true
	}
	limit := max(10, int(e.cfg.MaxDeleteShare*float64(p.files)))
	if len(p.removals) > limit {
		e.log().Error("too many committed files have lost their objects to be deletes of other nodes: no file is removed, and none is "+
			"stored again. Bring the objects back; or remove the files, or touch them to have them stored again",
			keyDeletes, len(p.removals), "limit", limit)
		return false
	}
	e.log().Info("removing files that other nodes deleted", keyDeletes, len(p.removals))
	for _, f := range p.removals {
		e.look(f, verdict.DeletedElsewhere)
	}
	return true
}

// fetchBack has the files fetched that were too many to be deletes.
func (p *pass) fetchBack() {
	if !p.shared {
		return
	}
	for i := range p.deletes {
		p.fetch(&p.deletes[i])
	}
}

// tellTouched asks the other nodes to look at the directories that requests of
// a killed process had changed.
func (p *pass) tellTouched() error {
	if len(p.touched) == 0 {
		return nil
	}
	changes := make([]changelog.Change, len(p.touched))
	for i, dir := range p.touched {
		changes[i] = changelog.Change{Op: changelog.DeleteBelow, Key: dir}
	}
	ctx, cancel := context.WithTimeout(p.ctx, callTimeout)
	defer cancel()
	return p.e.team.log.Append(ctx, changes...)
}
