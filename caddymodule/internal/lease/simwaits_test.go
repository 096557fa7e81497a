package lease

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
func (n *node) stuck() string {
	l := n.Leaser
	l.mu.Mutex.Lock()
	defer l.mu.Unlock()
	if len(l.unsettled) > 0 {
		return "claims have been left unsettled"
	}
	for _, s := range l.slots {
		waited := s.holder == nil && len(s.queue) > 0 || s.holder != nil && !s.promised
		if !s.working && (waited || s.status == mine) {
			return fmt.Sprintf("nobody works for slot %04x: %+v", s.number, s)
		}
	}
	if err := n.log.Check(); err != nil {
		return err.Error()
	}
	return ""
}

// waitsFor returns the first slot that a claim has not got, and whether another
// claim has it: one whose request is at work, or that has yet to get slots above.
// Those below it would have given back.
func (w *world) waitsFor(c *Claim) (first int, others bool) {
	first = c.lacks()
	if first < 0 {
		return first, false
	}
	if c.waitsForRoom() {
		return first, true
	}
	holder, promised := w.holder(uint16(first))
	if holder == nil {
		return first, false
	}
	next := holder.lacks()
	return first, promised || next < 0 || next > first
}

// waitsForRoom reports whether others of the client's claims are in its way.
func (c *Claim) waitsForRoom() bool {
	c.leaser.mu.Mutex.Lock()
	defer c.leaser.mu.Unlock()
	return c.room == waiting
}

// lacks returns the first slot that a claim has not got, -1 if it has all.
func (c *Claim) lacks() int {
	c.leaser.mu.Mutex.Lock()
	defer c.leaser.mu.Unlock()
	if s := c.missing(); s != nil {
		return int(s.number)
	}
	return -1
}

// holder returns the claim that has a slot, of whatever node.
func (w *world) holder(number uint16) (c *Claim, promised bool) {
	for _, m := range w.members {
		l := m.node.Leaser
		l.mu.Mutex.Lock()
		if s := l.slots[number]; s != nil && s.holder != nil && s.valid() {
			c, promised = s.holder, s.promised
		}
		l.mu.Unlock()
	}
	return c, promised
}
