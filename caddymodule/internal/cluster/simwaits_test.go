package cluster

import (
	"fmt"
	"time"
)

// What waits is looked at all the time: somebody must be at work for it, and where
// nothing fails it must be clear what it waits for.

// maxUnexplained is how long a claim waits at most for a slot that no other claim
// has: while a node that had it leaves it to others, another looks again, and
// requests and answers are under way.
const maxUnexplained = 3 * time.Second

// patient is a claim that waits.
type patient struct {
	member  *member
	missing int       // the first slot that it has not got
	since   time.Time // when it got further, or another claim had that slot
}

func (w *world) wait(c *Claim, m *member) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting[c] = &patient{member: m, missing: -1, since: time.Now()}
}

func (w *world) unwait(c *Claim) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waiting, c)
}

// check looks at everything there is at a moment.
func (w *world) check() {
	w.checkHolders()
	for _, m := range w.members {
		if stuck := m.node.stuck(); stuck != "" {
			w.t.Errorf("%s: %s", m.name, stuck)
		}
	}
	if !w.quiet {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for c, p := range w.waiting {
		at, others := w.waitsFor(c)
		if others || at > p.missing {
			p.missing, p.since = max(p.missing, at), time.Now()
		} else if waits := time.Since(p.since); waits > maxUnexplained {
			w.t.Errorf("%s waits for slot %04x for %s though nobody has it", p.member.name, at, waits)
		}
	}
}

// stuck tells of work that nobody does, if there is any.
func (n *Node) stuck() string {
	l := &n.leases
	l.mu.Mutex.Lock()
	defer l.mu.Unlock()
	if len(l.unsettled) > 0 {
		return "claims have been left unsettled"
	}
	for _, s := range l.slots {
		waited := s.owner == nil && len(s.queue) > 0 || s.owner != nil && !s.promised
		if !s.working && (waited || s.mode == mine) {
			return fmt.Sprintf("nobody works for slot %04x: %+v", s.number, s)
		}
	}
	g := &n.log
	g.mu.Mutex.Lock()
	defer g.mu.Unlock()
	if len(g.waiters) > 0 && !g.following || len(g.pending) > 0 && !g.flushing {
		return "nobody reads or writes the change log for those who wait"
	}
	return ""
}

// waitsFor returns the first slot that a claim has not got, and whether another
// claim has it: one whose request is at work, or that has yet to get slots above.
// Those below it would have given back.
func (w *world) waitsFor(c *Claim) (first int, others bool) {
	first = c.missing()
	if first < 0 {
		return first, false
	}
	if c.waitsForRoom() {
		return first, true
	}
	owner, promised := w.owner(uint16(first))
	if owner == nil {
		return first, false
	}
	next := owner.missing()
	return first, promised || next < 0 || next > first
}

// waitsForRoom reports whether others of the client's claims are in its way.
func (c *Claim) waitsForRoom() bool {
	c.leases.mu.Mutex.Lock()
	defer c.leases.mu.Unlock()
	return c.share != nil && !c.seeks
}

// missing returns the first slot that a claim has not got, -1 if it has all.
func (c *Claim) missing() int {
	c.leases.mu.Mutex.Lock()
	defer c.leases.mu.Unlock()
	for _, s := range c.wants {
		if s.owner != c || !s.valid() {
			return int(s.number)
		}
	}
	return -1
}

// owner returns the claim that has a slot, of whatever node.
func (w *world) owner(number uint16) (c *Claim, promised bool) {
	for _, m := range w.members {
		l := &m.node.leases
		l.mu.Mutex.Lock()
		if s := l.slots[number]; s != nil && s.owner != nil && s.valid() {
			c, promised = s.owner, s.promised
		}
		l.mu.Unlock()
	}
	return c, promised
}
