package cluster

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// A claim is made when the first name of a request's body is known, so that the
// lease is there when the body is: ahead. How long a body takes is the client's to
// say, so that a claim ahead keeps no name from others for longer than a turn: then
// it rests, and has its slots again, after others perhaps, when the request is all
// there (Wait). And one that is all there goes before those that are not.

// ahead is how long a claim has slots before its request is all there.
const ahead = turn

// Turn waits until the claim has all its slots, once: it keeps them for no longer
// than any claim ahead. For requests that are not all there, but better follow
// those of the same name that are at work. On a node that has too many claims ahead
// it does not wait.
func (c *Claim) Turn(ctx context.Context) error {
	l := c.leases
	for {
		l.mu.Lock()
		if c.released || l.closed {
			l.mu.Unlock()
			return fmt.Errorf("waiting for the turn of names: %w", ErrClosed)
		}
		if c.complete() {
			l.mu.Unlock()
			return nil
		}
		c.patient = true
		c.resume()
		settled, busy := c.settled, c.resting
		l.mu.Unlock()
		if busy {
			return nil
		}
		select {
		case <-settled:
		case <-ctx.Done():
			l.mu.Lock()
			defer l.mu.Unlock()
			return fmt.Errorf("waiting for the turn of names: %w", because(ctx.Err(), c.obstacle()))
		}
	}
}

// Soon gives a claim another turn ahead, once: its request will be all there soon.
func (c *Claim) Soon() {
	l := c.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.released || c.due || c.soon {
		return
	}
	c.soon = true
	if c.timer != nil {
		c.timer.Reset(ahead)
	}
	c.resume()
}

// Rest gives all names back until the next Wait, whatever Wait has promised: for a
// request that is too slow. Others may have them then, see Interrupted.
func (c *Claim) Rest() {
	l := c.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	c.rest()
	l.settle()
}

// Interrupted reports whether another claim may have had one of the names since
// Wait promised it.
func (c *Claim) Interrupted() bool {
	c.leases.mu.Lock()
	defer c.leases.mu.Unlock()
	return c.interrupted
}

// rest is Rest. The caller holds mu.
func (c *Claim) rest() {
	if c.released || c.resting {
		return
	}
	c.resting, c.due = true, false
	c.stopTimer()
	for _, s := range c.wants {
		if s.owner == c && s.promised {
			c.gaveUp = append(c.gaveUp, s)
		}
		s.leave(c)
	}
	c.leaveShare()
	c.changed()
}

// tire ends a claim's time ahead.
func (c *Claim) tire() {
	l := c.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.due || c.timer == nil { // released, or at rest since
		return
	}
	c.rest()
	l.settle()
}

// resume ends a rest. The caller holds mu.
func (c *Claim) resume() {
	if !c.resting {
		return
	}
	c.resting = false
	c.leases.unsettle(c)
	c.leases.settle()
}

// becomeDue notes that the request is all there: the claim goes before those that
// are ahead. The caller holds mu.
func (c *Claim) becomeDue() {
	if c.due || c.released {
		return
	}
	c.due, c.resting = true, false
	c.leaveAhead()
	c.stopTimer()
	for _, s := range c.wants {
		if at := slices.Index(s.queue, c); at >= 0 {
			s.queue = slices.Delete(s.queue, at, at+1) // to enter before others
		}
	}
	c.leases.unsettle(c)
	c.leases.settle()
}

// gotSlot notes that a slot was granted.
func (c *Claim) gotSlot(s *slot) {
	if s.last != c.serial && slices.Contains(c.gaveUp, s) {
		c.interrupted = true
	}
	s.last = c.serial
	if !c.due && c.timer == nil {
		c.timer = time.AfterFunc(ahead, c.tire)
	}
}

func (c *Claim) stopTimer() {
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
}

// line puts a claim into the queue: those that are due before those that are ahead,
// and first of its kind or last.
func (s *slot) line(c *Claim, first bool) {
	at := len(s.queue)
	if c.due != first { // the end of those that are due is the beginning of the others
		if at = slices.IndexFunc(s.queue, func(other *Claim) bool { return !other.due }); at < 0 {
			at = len(s.queue)
		}
	} else if c.due {
		at = 0
	}
	s.queue = slices.Insert(s.queue, at, c)
}

// oust takes the slot from an owner that is ahead for one that is due.
func (s *slot) oust(c *Claim) {
	if !c.due || s.owner == nil || s.owner.due {
		return
	}
	ousted := s.owner
	s.owner = nil
	s.line(ousted, true)
	s.leases.unsettle(ousted)
}
