package offload

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/watch"
)

// maxSteps bounds how far a file is followed that was renamed again and again.
const maxSteps = 16

// move is an item of an old name that waits until what was there is committed
// under its new one: no moment may be without an object of it.
//
// An item waits only for one that is not gone itself, and one that is not gone
// waits for none: so none waits for itself.
type move struct {
	old  *item
	left int // items of new names
}

// arrival is the end of the wait of a move for one item.
type arrival struct {
	move *move
	gen  uint64 // the item's change that has to be committed
}

// followMoves notes which names went because a file or directory was renamed
// within the roots. Their objects go whoever renamed it, and not before those of
// the new names are there. The caller holds the queue's lock.
func (e *Engine) followMoves(events []watch.Event) {
	var moved []*item
	for i := range events {
		ev := &events[i]
		k, ok := movedKind(ev)
		if !ok {
			continue
		}
		it := e.queue.at(k.itemKey(e.site.Key(ev.Root, ev.Path)))
		if it == nil {
			continue // not media
		}
		it.movedTo, it.movedAt, it.followed = e.site.Key(ev.ToRoot, ev.To), it.gen, false
		moved = append(moved, it)
		if k == aDirGone {
			moved = append(moved, e.queue.movedBelow(it)...)
		}
	}
	now := time.Now()
	for _, it := range moved {
		e.queue.awaitArrivals(it, now)
	}
}

// movedKind is the kind of the item of what was renamed.
func movedKind(ev *watch.Event) (k kind, ok bool) {
	switch {
	case ev.To == "" || ev.Path == "":
		return 0, false
	case ev.Op == watch.Gone:
		return aFile, true
	case ev.Op == watch.DirGone:
		return aDirGone, true
	}
	return 0, false
}

// movedBelow notes on the items of files below a directory that they were renamed
// with it, and returns them. What had gone before was not.
func (q *queue) movedBelow(dir *item) (moved []*item) {
	for _, it := range q.items {
		rel, below := strings.CutPrefix(it.key, dir.key+"/")
		if below && it.kind == aFile && !it.gone() {
			it.movedTo, it.movedAt, it.in = dir.movedTo+"/"+rel, it.gen, dir.in
			moved = append(moved, it)
		}
	}
	return moved
}

// awaitArrivals makes the item of an old name wait for those of the new one.
func (q *queue) awaitArrivals(it *item, now time.Time) {
	m := &move{old: it}
	if it.kind == aDirGone {
		q.awaitBelow(m)
	} else if to := q.destination(it); to != nil {
		m.await(to)
	}
	if m.left > 0 {
		q.unschedule(it)
		it.move = m
		return
	}
	q.schedule(it, now.Add(rest))
}

// destination returns the item of the name that a file has now, nil if nothing is
// to be done about that.
func (q *queue) destination(it *item) *item {
	for range maxSteps {
		to := q.items[it.movedTo]
		switch {
		case to == nil || to == it:
			return nil
		case !to.gone() && to.move == nil:
			return to
		case to.movedTo == "":
			return nil
		}
		it = to
	}
	return nil
}

// awaitBelow makes a directory's move wait for all files below its new name, or
// the one that it was given after that.
func (q *queue) awaitBelow(m *move) {
	var dirs []string
	for dir := m.old; dir != nil && dir.movedTo != "" && len(dirs) < maxSteps; dir = q.items[aDirGone.itemKey(dir.movedTo)] {
		dirs = append(dirs, dir.movedTo+"/")
	}
	for _, it := range q.items {
		in := func(dir string) bool { return strings.HasPrefix(it.key, dir) }
		if it.kind != aFile || !slices.ContainsFunc(dirs, in) {
			continue
		}
		if it.movedAt != 0 {
			it = q.destination(it)
		}
		if it != nil && !it.gone() && it.move == nil {
			m.await(it)
		}
	}
}

// followed returns those of the items whose turn has come. What was renamed again
// meanwhile has to be committed under its last name first; of that there may be
// events which were not delivered when the item was last looked at.
func (e *Engine) followed(gone []*task) (ready []*task) {
	moved := func(s *task) bool { return s.moved }
	if !slices.ContainsFunc(gone, moved) {
		return gone
	}
	ctx, cancel := context.WithTimeout(e.ctx, callTimeout)
	defer cancel()
	err := e.barrier(ctx)
	now := time.Now()
	for _, s := range gone {
		switch {
		case s.moved && err != nil:
			e.finish(s, outcome{how: lookAtDisk, gone: true, rest: gather})
		case s.moved && e.queue.follow(s.item, now):
		default:
			ready = append(ready, s)
		}
	}
	return ready
}

// follow reports whether the item of an old name, whose turn it is, has to wait
// once more.
func (q *queue) follow(it *item, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if it.followed || it.movedAt == 0 {
		return false
	}
	it.followed = true // once, or who writes without pause below a new name could keep the old one
	q.awaitArrivals(it, now)
	if it.move == nil {
		return false
	}
	it.heapIndex = -1
	return true
}

func (m *move) await(it *item) {
	it.arrivals = append(it.arrivals, arrival{move: m, gen: it.gen})
	m.left++
}

// arrived ends the wait of moves for an item's changes up to gen.
func (q *queue) arrived(it *item, gen uint64, now time.Time) {
	it.arrivals = slices.DeleteFunc(it.arrivals, func(a arrival) bool {
		if a.gen > gen {
			return false
		}
		if a.move.left--; a.move.left == 0 {
			q.endMove(a.move, now)
		}
		return true
	})
}

// endMove lets the item of the old name be worked on, together with others whose
// time comes now.
func (q *queue) endMove(m *move, now time.Time) {
	it := m.old
	if it.move != m {
		return // it has other content since
	}
	it.move = nil
	if q.items[it.kind.itemKey(it.key)] == it {
		q.schedule(it, now.Add(rest))
	}
}
