package work

import (
	"slices"
	"strings"
	"time"
)

// maxSteps bounds how far a file is followed that was renamed again and again.
const maxSteps = 16

// Move is an item of an old name that waits until what was there is committed
// under its new one: no moment may be without an object of it.
//
// An item waits only for one that is not gone itself, and one that is not gone
// waits for none: so none waits for itself.
type Move struct {
	Old  *Item
	Left int // items of new names
}

// arrival is the end of the wait of a move for one item.
type arrival struct {
	move *Move
	gen  uint64 // the item's change that has to be committed
}

// MovedBelow notes on the items of files below a directory that they were renamed
// with it, and returns them. What had gone before was not.
func (q *Queue) MovedBelow(dir *Item) (moved []*Item) {
	for _, it := range q.items {
		rel, below := strings.CutPrefix(it.Key, dir.Key+"/")
		if below && it.Kind == File && !it.Gone() {
			it.MovedTo, it.MovedAt, it.In = dir.MovedTo+"/"+rel, it.Gen, dir.In
			moved = append(moved, it)
		}
	}
	return moved
}

// AwaitArrivals makes the item of an old name wait for those of the new one.
func (q *Queue) AwaitArrivals(it *Item, now time.Time) {
	m := &Move{Old: it}
	if it.Kind == DirGone {
		q.awaitBelow(m)
	} else if to := q.destination(it); to != nil {
		m.await(to)
	}
	if m.Left > 0 {
		q.unschedule(it)
		it.Move = m
		return
	}
	q.Schedule(it, now.Add(Rest))
}

// destination returns the item of the name that a file has now, nil if nothing is
// to be done about that.
func (q *Queue) destination(it *Item) *Item {
	for range maxSteps {
		to := q.items[it.MovedTo]
		switch {
		case to == nil || to == it:
			return nil
		case !to.Gone() && to.Move == nil:
			return to
		case to.MovedTo == "":
			return nil
		}
		it = to
	}
	return nil
}

// awaitBelow makes a directory's move wait for all files below its new name, or
// the one that it was given after that.
func (q *Queue) awaitBelow(m *Move) {
	var dirs []string
	for dir := m.Old; dir != nil && dir.MovedTo != "" && len(dirs) < maxSteps; dir = q.items[DirGone.ItemKey(dir.MovedTo)] {
		dirs = append(dirs, dir.MovedTo+"/")
	}
	for _, it := range q.items {
		in := func(dir string) bool { return strings.HasPrefix(it.Key, dir) }
		if it.Kind != File || !slices.ContainsFunc(dirs, in) {
			continue
		}
		if it.MovedAt != 0 {
			it = q.destination(it)
		}
		if it != nil && !it.Gone() && it.Move == nil {
			m.await(it)
		}
	}
}

// Follow reports whether the item of an old name, whose turn it is, has to wait
// once more.
func (q *Queue) Follow(it *Item, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if it.Followed || it.MovedAt == 0 {
		return false
	}
	it.Followed = true // once, or who writes without pause below a new name could keep the old one
	q.AwaitArrivals(it, now)
	if it.Move == nil {
		return false
	}
	it.heapIndex = -1
	return true
}

func (m *Move) await(it *Item) {
	it.arrivals = append(it.arrivals, arrival{move: m, gen: it.Gen})
	m.Left++
}

// arrived ends the wait of moves for an item's changes up to gen.
func (q *Queue) arrived(it *Item, gen uint64, now time.Time) {
	it.arrivals = slices.DeleteFunc(it.arrivals, func(a arrival) bool {
		if a.gen > gen {
			return false
		}
		if a.move.Left--; a.move.Left == 0 {
			q.EndMove(a.move, now)
		}
		return true
	})
}

// EndMove lets the item of the old name be worked on, together with others whose
// time comes now.
func (q *Queue) EndMove(m *Move, now time.Time) {
	it := m.Old
	if it.Move != m {
		return // it has other content since
	}
	it.Move = nil
	if q.items[it.Kind.ItemKey(it.Key)] == it {
		q.Schedule(it, now.Add(Rest))
	}
}
