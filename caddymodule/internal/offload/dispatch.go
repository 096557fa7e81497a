package offload

import (
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/background"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// reserved is how many workers background items may not have.
const reserved = 4

// dispatch hands due items to workers until the engine stops.
func (e *Engine) dispatch() {
	free := make(chan struct{}, 1) // a worker has ended
	var running, backgrounds int   // guarded by the queue's lock
	timer := time.NewTimer(0)
	defer timer.Stop()
	end := func(n, bg int) {
		e.queue.Lock()
		running -= n
		backgrounds -= bg
		e.queue.Unlock()
		background.Signal(free)
		e.work.Done()
	}
	if !e.awaitNode() {
		return
	}
	for {
		now := time.Now()
		e.queue.Lock()
		may, next := e.mayWork(now, running > 0)
		var deletes []*work.Task
		for may && running < e.cfg.Workers {
			it := e.nextItem(now, backgrounds)
			if it == nil {
				break
			}
			s := it.Task()
			if s.Kind == work.File && s.Gone() {
				deletes = append(deletes, s)
				continue
			}
			running++
			bg := 0
			if it.From != work.Event {
				backgrounds++
				bg = 1
			}
			e.work.Add(1)
			go func() {
				defer end(1, bg)
				defer e.doubtIfSlow()()
				e.finish(s, e.workOn(s))
			}()
			may, next = e.mayWork(now, running > 0)
		}
		if len(deletes) > 0 {
			running++
			e.work.Add(1)
			go func() {
				defer end(1, 0)
				defer e.doubtIfSlow()()
				e.deleteAll(deletes)
			}()
		}
		if may {
			next = e.queue.NextDue(running < e.cfg.Workers)
		}
		e.queue.Unlock()

		timer.Reset(untilNext(next, now))
		select {
		case <-e.life.Done():
			return
		case <-e.queue.Woken():
		case <-free:
		case <-timer.C:
		}
	}
}

// mayWork reports whether work may begin now, and if not, when; zero: after a signal.
func (e *Engine) mayWork(now time.Time, busy bool) (bool, time.Time) {
	if e.isGuest() {
		return false, time.Time{}
	}
	return e.health.mayTry(now, busy)
}

// untilNext returns how long to sleep; with nothing due a signal ends it.
func untilNext(next, now time.Time) time.Duration {
	if next.IsZero() {
		return time.Hour
	}
	return max(next.Sub(now), time.Millisecond)
}

// nextItem takes the item that is to be worked on next, nil if there is none. Some
// workers are left free for events.
//
// While the bucket is down the one that has been due for longest tries it, whatever told
// of it: else what fails again and again would keep others from being tried at all.
func (e *Engine) nextItem(now time.Time, background int) *work.Item {
	if e.health.isDown() {
		return e.queue.TakeDueLongest(now)
	}
	return e.queue.TakeFirst(now, background < max(1, e.cfg.Workers-reserved))
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
