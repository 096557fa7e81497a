package offload

import (
	"crypto/rand"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/background"
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
		var deletes []*task
		for may && running < e.cfg.Workers {
			it := e.nextItem(now, backgrounds)
			if it == nil {
				break
			}
			if it.nonce == "" {
				it.nonce = rand.Text()
			}
			s := it.task()
			if s.kind == aFile && s.gone() {
				deletes = append(deletes, s)
				continue
			}
			running++
			bg := 0
			if it.from != anEvent {
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
			next = e.queue.nextDue(running < e.cfg.Workers)
		}
		e.queue.Unlock()

		timer.Reset(untilNext(next, now))
		select {
		case <-e.life.Done():
			return
		case <-e.queue.woken():
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
func (e *Engine) nextItem(now time.Time, background int) *item {
	if e.health.isDown() {
		return e.queue.takeDueLongest(now)
	}
	return e.queue.takeFirst(now, background < max(1, e.cfg.Workers-reserved))
}

// takeFirst takes the item of an event that is due first or, if background, else one of
// others' changes, or of a comparison. The caller holds the lock.
func (q *queue) takeFirst(now time.Time, background bool) *item {
	if it := q.take(&q.urgent, now); it != nil || !background {
		return it
	}
	if it := q.take(&q.others, now); it != nil {
		return it
	}
	return q.take(&q.idle, now)
}

// takeDueLongest takes the item that is due first, whatever told of it. The caller holds
// the lock.
func (q *queue) takeDueLongest(now time.Time) *item { return q.take(q.dueLongest(), now) }

// dueLongest returns the heap of the item that is due first. The caller holds mu.
func (q *queue) dueLongest() *itemHeap {
	first := &q.urgent
	for _, h := range []*itemHeap{&q.others, &q.idle} {
		if len(*h) > 0 && (len(*first) == 0 || (*h)[0].due.Before((*first)[0].due)) {
			first = h
		}
	}
	return first
}

// nextDue returns when the next item is due; zero if there is none or no
// worker is free. The caller holds mu.
func (q *queue) nextDue(freeWorkers bool) (t time.Time) {
	if !freeWorkers {
		return time.Time{}
	}
	for _, h := range []itemHeap{q.urgent, q.others, q.idle} {
		if len(h) > 0 && (t.IsZero() || h[0].due.Before(t)) {
			t = h[0].due
		}
	}
	return t
}

// workOn does what an item asks for.
func (e *Engine) workOn(s *task) outcome {
	switch s.kind {
	case aDirGone:
		return e.deleteDir(s)
	case anHtaccess:
		return e.reclass(s)
	case aSearch:
		return e.search(s)
	case aRescan:
		return e.rescan(s)
	}
	return e.converge(s)
}

// woken tells that an item may be due sooner than nextDue said.
func (q *queue) woken() <-chan struct{} { return q.wake }

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

func (q *queue) has(key string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.items[key] != nil
}
