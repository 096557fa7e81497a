package offload

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/health"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// finish does what can be judged only once everything was looked at.
func (p *pass) finish() error {
	e := p.e
	if len(p.deletes)+len(p.removals) > 0 {
		// What is missing in a bucket that went while it was listed was not deleted.
		if err := e.guard.CheckState(p.ctx); err != nil {
			return err
		}
		if older, _ := e.guard.Older(); older && !p.older {
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
		if err := e.guard.Compared(p.ctx, p.lost); err != nil {
			return err
		}
	}
	if p.whole && p.skipped == 0 && len(p.leftOut) == 0 && e.rootsSeen.missing() < 0 {
		e.powerCut.compared.Store(true)
	}
	if !p.shared {
		e.team.known.Set(true)
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
			e.guard.SawWrites(p.writes)
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
		e.team.known.Set(true)
	}
	if p.skipped > 0 {
		e.log().Info("the names of all media are known; content that is missing is fetched or stored in the background",
			keyFiles, p.skipped)
		e.recon.want(everything, window{})
	}
	return nil
}

// passOnDeletes hands the deletes that were found to the queue, unless they
// are too many.
//
// (Promise 8: "a reconcile never deletes more than a small share of either
// side: it stops and says so".)
func (p *pass) passOnDeletes() {
	e := p.e
	if len(p.deletes) == 0 {
		return
	}
	limit := e.shareOf(p.objects)
	if len(p.deletes) > limit {
		p.fetchBack()
		e.log().Error("too many files are missing on disk to be the app's deletes: no object is deleted. "+
			"Put the files back, or delete the objects by hand if this was meant",
			keyDeletes, len(p.deletes), "limit", limit)
		return
	}
	e.log().Info("passing on deletes that an earlier run could not", keyDeletes, len(p.deletes))
	e.lookAtRoots() // another directory may have taken the place of the one that was compared
	now, roots := time.Now(), e.rootsNow()
	e.queue.Lock()
	defer e.queue.Unlock()
	for _, m := range p.deletes {
		if e.queue.At(m.key) != nil || roots[m.root] == nil || !e.rootsSeen.wasThere(m.root, p.during.from) {
			continue
		}
		it, _ := e.queue.Change(work.File, m.key, m.root, m.rel, now)
		e.queue.Found(it, work.Deleted)
		it.In = *roots[m.root]
		it.By(work.KilledRequest)
		if p.shared {
			e.index.Evict(m.key) // it tells what the bucket has
		}
		e.queue.Schedule(it, now)
	}
}

// untoldRest is how long a file without an object waits for the log to tell of its delete:
// who deletes an object tells of that just after.
const untoldRest = 2 * time.Second

// passOnRemovals has files removed that other nodes may have deleted without telling,
// unless they are too many: then it is left to the admin which they were.
//
// (Promise 8: "a reconcile never deletes more than a small share of either
// side: it stops and says so".)
func (p *pass) passOnRemovals() (settled bool) {
	e := p.e
	if len(p.removals) == 0 {
		return true
	}
	limit := e.shareOf(p.files)
	if len(p.removals) > limit {
		e.log().Error("too many committed files have lost their objects to be deletes of other nodes: no file is removed, and none is "+
			"stored again. Bring the objects back; or remove the files, or touch them to have them stored again",
			keyDeletes, len(p.removals), "limit", limit)
		return false
	}
	e.log().Warn("removing files without objects, which other servers may have deleted without telling; they go to the trash",
		keyDeletes, len(p.removals))
	due := time.Now().Add(untoldRest)
	for _, f := range p.removals {
		e.lookFor(f, work.News{Why: verdict.DeletedPerhaps}, due)
	}
	return true
}

// keepHeld leaves in deletes what this disk held, and has the rest fetched:
// other nodes stored that while this one did not look.
func (p *pass) keepHeld() error {
	p.deletes = slices.DeleteFunc(p.deletes, func(m missing) bool { return p.isOld(m.key) })
	here := make([]bool, len(p.deletes))
	failed := sideBySide(len(p.deletes), func(i int) (err error) {
		here[i], err = p.wasHeld(&p.deletes[i])
		return err
	})
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
	switch {
	case errors.Is(err, bucket.ErrNotFound), errors.Is(err, bucket.ErrUnread):
		return false, nil // what nobody has read was on no disk
	case health.IsOfObject(err):
		e.log().Warn("an object whose file is missing cannot be looked at; it stays in the bucket", keyObject, m.object.Key, keyError, err)
		return false, nil
	}
	return err == nil && e.wasHere(info), err
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

// forgetSettled drops the withheld deletes of which there is no object any more. The other
// nodes are told of those that the admin had accepted when the process was killed.
func (p *pass) forgetSettled() {
	if len(p.leftOut) > 0 || p.older || p.e.rootsSeen.missing() >= 0 {
		return
	}
	var gone []string
	for _, key := range p.e.withheld.Before(p.began) {
		if _, found := p.withheld[key]; !found && !p.isOld(key) {
			gone = append(gone, key)
		}
	}
	if err := p.e.settler.Tell(p.ctx, gone); err != nil {
		p.e.log().Debug("telling of deletes that were accepted", keyError, err) // by the next comparison
		return
	}
	for _, key := range gone {
		p.e.withheld.Remove(key)
	}
}
