package offload

import (
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/background"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// reserved is how many workers background items may not have.
const reserved = 4

// dispatcher hands due items to workers.
type dispatcher struct {
	e                    *Engine
	clock                func() time.Time
	free                 chan struct{} // a worker has ended
	running, backgrounds int           // guarded by the queue's lock
}

func newDispatcher(e *Engine) *dispatcher {
	return &dispatcher{e: e, clock: time.Now, free: make(chan struct{}, 1)}
}

// run hands out items until the engine stops.
func (d *dispatcher) run() {
	e := d.e
	if !e.awaitNode() {
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := d.clock()
		timer.Reset(untilNext(d.handOut(now), now))
		select {
		case <-e.life.Done():
			return
		case <-e.queue.Woken():
		case <-d.free:
		case <-timer.C:
		}
	}
}

// handOut gives the workers that are free the items that are due, and returns when the
// next one is; zero: not before a signal.
func (d *dispatcher) handOut(now time.Time) time.Time {
	e := d.e
	e.queue.Lock()
	defer e.queue.Unlock()
	may, next := e.mayWork(now, d.running > 0)
	var deletes []*work.Task
	for may && d.running < e.cfg.Workers {
		it := d.nextItem(now)
		if it == nil {
			break
		}
		s := it.Task()
		if s.Kind == work.File && s.Gone() {
			deletes = append(deletes, s)
			continue
		}
		d.begin(it.From != work.Event, func() { e.finish(s, e.workOn(s)) })
		may, next = e.mayWork(now, d.running > 0)
	}
	if len(deletes) > 0 {
		d.begin(false, func() { e.deleteAll(deletes) })
	}
	switch {
	case !may:
		return next
	case d.running >= e.cfg.Workers:
		return time.Time{}
	}
	return e.queue.NextDue(d.backgroundFree())
}

// begin has a worker do something. The caller holds the queue's lock.
func (d *dispatcher) begin(background bool, do func()) {
	d.count(1, background)
	d.e.work.Add(1)
	go func() {
		defer d.end(background)
		defer d.e.health.DoubtIfSlow()()
		do()
	}()
}

// end notes that a worker is free again.
func (d *dispatcher) end(isBackground bool) {
	d.e.queue.Lock()
	d.count(-1, isBackground)
	d.e.queue.Unlock()
	background.Signal(d.free)
	d.e.work.Done()
}

// count notes that a worker begins (1) or ends (-1). The caller holds the queue's lock.
func (d *dispatcher) count(n int, background bool) {
	d.running += n
	if background {
		d.backgrounds += n
	}
}

// backgroundFree reports whether there is a worker for an item of no event: some are left
// free for those of events.
func (d *dispatcher) backgroundFree() bool {
	return d.backgrounds < max(1, d.e.cfg.Workers-reserved)
}

// mayWork reports whether work may begin now, and if not, when; zero: after a signal.
func (e *Engine) mayWork(now time.Time, busy bool) (bool, time.Time) {
	if e.guard.IsGuest() {
		return false, time.Time{}
	}
	return e.health.MayTry(now, busy)
}

// untilNext returns how long to sleep; with nothing due a signal ends it.
func untilNext(next, now time.Time) time.Duration {
	if next.IsZero() {
		return time.Hour
	}
	return max(next.Sub(now), time.Millisecond)
}

// nextItem takes the item that is to be worked on next, nil if there is none.
//
// While the bucket is down the one that has been due for longest tries it, whatever told
// of it: else what fails again and again would keep others from being tried at all.
func (d *dispatcher) nextItem(now time.Time) *work.Item {
	if d.e.health.IsDown() {
		return d.e.queue.TakeDueLongest(now)
	}
	return d.e.queue.TakeFirst(now, d.backgroundFree())
}

// workOn does what an item asks for.
func (e *Engine) workOn(s *work.Task) outcome {
	switch s.Kind {
	case work.DirGone:
		return e.deleteDir(s)
	case work.Htaccess:
		return e.reclass(s)
	case work.Search:
		return e.search(s)
	case work.Rescan:
		return e.rescan(s)
	}
	return e.converge(s)
}
