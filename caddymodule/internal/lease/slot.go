package lease

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/background"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/clock"
)

const (
	// A slot that another node holds is looked at again after a time that
	// grows from pollMin to pollMax.
	pollMin = 20 * time.Millisecond
	pollMax = 250 * time.Millisecond
)

// slots is how many leases there are. Names share them by hash, so that
// none has ever to be removed; two names in one slot wait for each other.
const slots = 1 << 14

// slotOf returns the slot of a name.
func slotOf(name string) uint16 {
	sum := sha256.Sum256([]byte(name))
	return binary.BigEndian.Uint16(sum[:]) % slots
}

// status is what is known of a slot's object.
type status uint8

const (
	unseen status = iota // nothing
	absent               // there is none
	free                 // it says that nobody has it
	other                // another node's
	mine                 // this node's, to be given back
)

// slot is one lease object, and this node's claims to it. All but the worker's
// I/O is under Leaser.mu.
type slot struct {
	leaser *Leaser
	number uint16

	queue    []*Claim // waiting, those that are due before others, first come first served
	holder   *Claim   // has it
	promised bool     // the holder's Wait returned nil
	last     uint64   // serial of the claim that had it last; 0: unknown, perhaps another node's
	working  bool     // a worker runs
	wake     chan struct{}
	err      error // of the last call of the store

	status status
	etag   string // of the object; empty: none
	// The last write.
	nonce   string
	sent    clock.Instant
	created bool // if it was done, it made the object
	// next is what the lease says if it is free: see record.Next.
	next uint64
	// Of status mine.
	got      clock.Instant // when the answer came by which the node has it
	after    uint64        // next of the lease that it took; 0: unknown
	deadline clock.Instant // others may take it after that
	renewAt  clock.Instant
	turnEnds clock.Instant
	// Of status other.
	seen clock.Instant // when this ETag was first seen
	ttl  time.Duration
	// tryAt is when the store is asked next, after tries in vain.
	tryAt clock.Instant
	tries int
	// unsure: a write was sent, and what came of it is not known.
	unsure bool
	// asked: the store was asked for the object before.
	asked bool
}

func (s *slot) key() string {
	return fmt.Sprintf("%slease/%04x", s.leaser.cfg.Prefix, s.number)
}

// valid reports whether no other node can have the slot.
func (s *slot) valid() bool {
	l := s.leaser
	return l.static || s.status == mine && l.now().Before(s.deadline)
}

// enter puts a claim into the queue, unless it is there or has the slot.
func (s *slot) enter(c *Claim) {
	if s.holder == c || slices.Contains(s.queue, c) {
		return
	}
	s.line(c, false)
	s.oust(c)
	s.grant()
	s.work()
}

// leave takes a claim out of the queue, or the slot from it.
func (s *slot) leave(c *Claim) {
	if s.holder == c {
		s.holder, s.promised = nil, false
		s.grant()
		s.work()
		return
	}
	if at := slices.Index(s.queue, c); at >= 0 {
		s.queue = slices.Delete(s.queue, at, at+1)
		background.Signal(s.wake)
	}
}

// grant gives the slot to the first in the queue if it is to be had.
func (s *slot) grant() {
	l := s.leaser
	if s.holder != nil || len(s.queue) == 0 || !s.valid() || !l.static && s.turnOver() {
		s.unsettleQueue()
		return
	}
	s.holder, s.promised = s.queue[0], false
	s.queue = slices.Delete(s.queue, 0, 1)
	s.holder.gotSlot(s)
	s.leaser.unsettle(s.holder)
	s.unsettleQueue()
}

// covered reports whether the node has read all that those wrote to the log who
// had the lease before: up to the number that they left behind, or in a look that
// began after it had the lease.
func (s *slot) covered(place changelog.Place) bool {
	return s.after != 0 && s.after <= place.Next || clock.AtLeast(s.got, place.Synced) > 0
}

// leftAt is what a free lease says for its next owner. A claim may have ended
// before the node had read what earlier owners wrote: the next one must, then.
func (s *slot) leftAt(place changelog.Place) uint64 {
	if s.after == 0 && !s.covered(place) {
		return 0
	}
	return max(s.after, place.Next)
}

// turnOver reports whether other nodes are to have a chance.
func (s *slot) turnOver() bool { return !s.leaser.now().Before(s.turnEnds) }

// unsettleQueue has the claims that wait looked at again.
func (s *slot) unsettleQueue() {
	for _, c := range s.queue {
		s.leaser.unsettle(c)
	}
}

// blocks reports whether the claim has to wait for others to get the slot, and
// not only for an answer of the store.
func (s *slot) blocks(c *Claim) bool {
	if s.holder == c {
		return false
	}
	return s.holder != nil || s.queue[0] != c || s.status == other || s.err != nil || s.tries > 0
}

// work starts the slot's worker if there is none.
func (s *slot) work() {
	if s.leaser.static {
		return
	}
	background.Signal(s.wake)
	if !s.working && (s.wanted() || s.status == mine) {
		s.working = s.leaser.tasks.Begin(s.run)
	}
}

// wanted reports whether a claim waits for the slot.
func (s *slot) wanted() bool { return len(s.queue) > 0 }
