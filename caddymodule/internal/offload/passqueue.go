package offload

import (
	"context"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// missing is an object of which there is no file.
type missing struct {
	foreign
	under  media.Class // its class in the bucket
	object bucket.Info
}

// enqueue adds an item for a key that nothing else is known to be wrong with,
// waiting for room.
func (p *pass) enqueue(key string, root int, rel string, own *bucket.Info, misplaced string) error {
	e, q := p.e, p.e.queue
	if err := q.AwaitRoom(p.ctx); err != nil {
		return err
	}
	defer q.Unlock()
	if q.At(key) != nil || (e.recon.touched(key) && misplaced == "") {
		if e.shared() {
			q.LookToo(key, root, rel, p.cause())
		}
		return nil
	}
	now := time.Now()
	it, _ := q.Change(work.File, key, root, rel, now)
	it.Wrote, it.Complete = true, true
	it.Misplaced = misplaced
	if p.older && p.shared {
		it.Why = p.why
	}
	if own != nil {
		it.Listed = own
		if p.behind {
			it.Told = own.ETag // for all that is known
		}
	}
	q.ScheduleIdle(it, now)
	return nil
}

// cause is why a key is looked at of which an event has told as well.
func (p *pass) cause() verdict.Cause {
	if p.older {
		return p.why
	}
	return verdict.PutElsewhere
}

// learn remembers that there is an object and no file.
func (p *pass) learn(m *missing) {
	e := p.e
	e.queue.Lock()
	defer e.queue.Unlock()
	if !e.recon.touched(m.key) && e.queue.At(m.key) == nil {
		st := e.classes.UnderPlace(m.key, m.class, m.believe(m.under))
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
