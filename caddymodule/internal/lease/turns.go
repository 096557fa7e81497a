package lease

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

const (
	// turn is how long a claim ahead has its slots, and how long a node keeps a slot
	// for its own requests, one after the other, while others may want it.
	turn = 2 * time.Second
	// respite is how long a node leaves the slot to others then: longer than they
	// wait between two looks.
	respite = 3 * pollMax / 2
)

// Turn waits until the claim has all its slots, once: it keeps them for no longer
// than any claim ahead. For requests that are not all there, but better follow
// those of the same name that are at work. On a node that has too many claims ahead
// it does not wait.
func (c *Claim) Turn(ctx context.Context) error {
	l := c.leaser
	for {
		l.mu.Lock()
		if c.ended() {
			l.mu.Unlock()
			return fmt.Errorf("waiting for the turn of names: %w", ErrClosed)
		}
		if c.complete() {
			l.mu.Unlock()
			return nil
		}
		c.resume(turnCalled)
		moved, busy := c.moved, c.state == resting
		l.mu.Unlock()
		if busy {
			return nil
		}
		if err := c.await(ctx, moved); err != nil {
			return fmt.Errorf("waiting for the turn of names: %w", err)
		}
	}
}

// Soon gives a claim another turn ahead, once: its request will be all there soon.
func (c *Claim) Soon() {
	l := c.leaser
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.state == released || c.state == due || c.soon {
		return
	}
	c.soon = true
	if c.timer != nil {
		c.timer.Reset(turn)
	}
	c.resume(soonCalled)
}

// Rest gives all names back until the next Wait, whatever Wait has promised: for a
// request that is too slow. Others may have them then, see Interrupted.
func (c *Claim) Rest() {
	l := c.leaser
	l.mu.Lock()
	defer l.mu.Unlock()
	c.rest()
	l.settle()
}

// Interrupted reports whether another claim may have had one of the names since
// Wait promised it.
func (c *Claim) Interrupted() bool {
	c.leaser.mu.Lock()
	defer c.leaser.mu.Unlock()
	return c.interrupted
}

// rest is Rest. The caller holds mu.
func (c *Claim) rest() {
	if c.state == released || c.state == resting {
		return
	}
	c.on(rested)
	for _, s := range c.wants {
		if s.holder == c && s.promised {
			c.gaveUp = append(c.gaveUp, s)
		}
		s.leave(c)
	}
	c.leaveShare()
	c.changed()
}

// turnOver ends a claim's turn ahead.
func (c *Claim) turnOver() {
	l := c.leaser
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.timer == nil {
		return // it is due, released, or at rest since
	}
	c.rest()
	l.settle()
}

// resume ends a rest, if there is one. The caller holds mu.
func (c *Claim) resume(e event) {
	wasResting := c.state == resting
	c.on(e)
	if wasResting {
		c.leaser.unsettle(c)
		c.leaser.settle()
	}
}

// becomeDue notes that the request is all there: the claim goes before those that
// are ahead. The caller holds mu.
func (c *Claim) becomeDue() {
	if c.state == due || c.state == released {
		return
	}
	c.on(waitCalled)
	for _, s := range c.wants {
		if at := slices.Index(s.queue, c); at >= 0 {
			s.queue = slices.Delete(s.queue, at, at+1) // to enter before others
		}
	}
	c.leaser.unsettle(c)
	c.leaser.settle()
}

// gotSlot notes that a slot was granted.
func (c *Claim) gotSlot(s *slot) {
	if s.last != c.serial && slices.Contains(c.gaveUp, s) {
		c.interrupted = true
	}
	s.last = c.serial
	if c.isAhead() && c.timer == nil {
		c.timer = time.AfterFunc(turn, c.turnOver)
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
	if isDue := c.state == due; isDue != first { // the end of those that are due is the beginning of the others
		if at = slices.IndexFunc(s.queue, func(other *Claim) bool { return other.state != due }); at < 0 {
			at = len(s.queue)
		}
	} else if isDue {
		at = 0
	}
	s.queue = slices.Insert(s.queue, at, c)
}

// oust takes the slot from a holder that is ahead for one that is due.
func (s *slot) oust(c *Claim) {
	if c.state != due || s.holder == nil || s.holder.state == due {
		return
	}
	ousted := s.holder
	s.holder = nil
	s.line(ousted, true)
	s.leaser.unsettle(ousted)
}
