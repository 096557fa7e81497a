package cluster

import (
	"fmt"
	"slices"
	"time"
)

// turn is how long a node keeps a slot for its own requests one after the
// other while others may want it, and yield how long it then leaves it: longer
// than they wait between two looks.
const (
	turn  = 2 * time.Second
	yield = 3 * pollMax / 2
	// A slot that another node holds is looked at again after a time that
	// grows from pollMin to pollMax.
	pollMin = 20 * time.Millisecond
	pollMax = 250 * time.Millisecond
)

// mode is what is known of a slot's object.
type mode uint8

const (
	unseen mode = iota // nothing
	absent             // there is none
	free               // it says that nobody has it
	other              // another node's
	mine               // this node's, to be given back
)

// slot is one lease object, and this node's claims to it. All but the worker's
// I/O is under leases.mu.
type slot struct {
	leases *leases
	number uint16

	queue    []*Claim // waiting, those that are due before others, first come first served
	owner    *Claim   // has it
	promised bool     // owner's Wait returned nil
	last     uint64   // serial of the claim that had it last; 0: unknown, perhaps another node's
	working  bool     // a worker runs
	wake     chan struct{}
	err      error // of the last call of the store

	mode mode
	etag string // of the object; empty: none
	// The last write.
	nonce   string
	sent    instant
	created bool // if it was done, it made the object
	// next is what the lease says if it is free: see lease.Next.
	next uint64
	// Of mode mine.
	got      instant // when the answer came by which the node has it
	after    uint64  // next of the lease that it took; 0: unknown
	deadline instant // others may take it after that
	renewAt  instant
	turnEnds instant
	// Of mode other.
	seen instant // when this ETag was first seen
	ttl  time.Duration
	// tryAt is when the store is asked next, after tries in vain.
	tryAt instant
	tries int
	// unsure: a write was sent, and what came of it is not known.
	unsure bool
	// asked: the store was asked for the object before.
	asked bool
}

func (s *slot) key() string {
	return fmt.Sprintf("%slease/%04x", s.leases.node.cfg.Prefix, s.number)
}

// valid reports whether no other node can have the slot.
func (s *slot) valid() bool {
	n := s.leases.node
	return n.static || s.mode == mine && n.now().before(s.deadline)
}

// enter puts a claim into the queue, unless it is there or has the slot.
func (s *slot) enter(c *Claim) {
	if s.owner == c || slices.Contains(s.queue, c) {
		return
	}
	s.line(c, false)
	s.oust(c)
	s.grant()
	s.work()
}

// leave takes a claim out of the queue, or the slot from it.
func (s *slot) leave(c *Claim) {
	if s.owner == c {
		s.owner, s.promised = nil, false
		s.grant()
		s.work()
		return
	}
	if at := slices.Index(s.queue, c); at >= 0 {
		s.queue = slices.Delete(s.queue, at, at+1)
		signal(s.wake)
	}
}

// grant gives the slot to the first in the queue if it is to be had.
func (s *slot) grant() {
	n := s.leases.node
	if s.owner != nil || len(s.queue) == 0 || !s.valid() || !n.static && s.turnOver() {
		s.unsettleQueue()
		return
	}
	s.owner, s.promised = s.queue[0], false
	s.queue = slices.Delete(s.queue, 0, 1)
	s.owner.gotSlot(s)
	s.leases.unsettle(s.owner)
	s.unsettleQueue()
}

// covered reports whether the node has read all that those wrote to the log who
// had the lease before: up to the number that they left behind, or in a look that
// began after it had the lease.
func (s *slot) covered(next uint64, synced instant) bool {
	return s.after != 0 && s.after <= next || atLeast(s.got, synced) > 0
}

// leftAt is what a free lease says for its next holder. A claim may have ended
// before the node had read what earlier holders wrote: the next one must, then.
func (s *slot) leftAt(next uint64, synced instant) uint64 {
	if s.after == 0 && !s.covered(next, synced) {
		return 0
	}
	return max(s.after, next)
}

// turnOver reports whether other nodes are to have a chance.
func (s *slot) turnOver() bool { return !s.leases.node.now().before(s.turnEnds) }

// unsettleQueue has the claims that wait looked at again.
func (s *slot) unsettleQueue() {
	for _, c := range s.queue {
		s.leases.unsettle(c)
	}
}

// blocks reports whether the claim has to wait for others to get the slot, and
// not only for an answer of the store.
func (s *slot) blocks(c *Claim) bool {
	if s.owner == c {
		return false
	}
	return s.owner != nil || s.queue[0] != c || s.mode == other || s.err != nil || s.tries > 0
}

// work starts the slot's worker if there is none.
func (s *slot) work() {
	if s.leases.node.static {
		return
	}
	signal(s.wake)
	if !s.working && (s.wanted() || s.mode == mine) {
		s.working = s.leases.node.begin(s.run)
	}
}

// wanted reports whether a claim waits for the slot.
func (s *slot) wanted() bool { return len(s.queue) > 0 }
