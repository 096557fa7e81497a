package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"
)

// MaxNames is how many names one claim leases at most.
const MaxNames = 256

// slots is how many lease objects there are. Names share them by hash, so that
// none has ever to be removed; two names in one slot wait for each other.
const slots = 1 << 14

// slotOf returns the slot of a name.
func slotOf(name string) uint16 {
	sum := sha256.Sum256([]byte(name))
	return binary.BigEndian.Uint16(sum[:]) % slots
}

// leases holds all slots that this node has had to do with. One lock guards
// them and the claims; it is never held over I/O.
type leases struct {
	node *Node

	mu     mutex
	slots  map[uint16]*slot
	closed bool
	// known is the share of slots, of those this node had never seen, that
	// turned out to be in the bucket: see slot.acquire.
	known float64
	// unsettled are claims whose slots have changed.
	unsettled []*Claim
	serial    uint64 // of the last claim that was made

	ahead     int // claims that seek slots and are not due
	perClient int // claims of one client that seek slots at a time; 0: any number
	shares    map[string]*share
}

func (l *leases) init(n *Node) {
	l.node = n
	l.mu.before = n.cfg.preempt
	l.slots = make(map[uint16]*slot)
	l.perClient, l.shares = n.cfg.ClaimsPerClient, make(map[string]*share)
}

// Claim is what one request wants: names that no other request, on any node,
// is to use until it is released.
//
// Slots are taken at the same time, but a claim that has to wait for one gives
// back those above it that it has already: so claims never wait for each other
// in a circle.
type Claim struct {
	leases *leases
	client string
	serial uint64

	// Under leases.mu.
	wants    []*slot // ascending
	settled  chan struct{}
	dropped  bool
	released bool
	listed   bool // in leases.unsettled
	waited   bool // for another claim or node

	due         bool        // the request is all there; else the claim is ahead
	patient     bool        // the request waits, though it is not all there
	resting     bool        // it seeks no slots until Turn or Wait
	soon        bool        // Soon was called
	timer       *time.Timer // ends the time ahead; nil: it has not begun
	gaveUp      []*slot     // were promised, and are not since
	interrupted bool        // another claim may have had one of them
	share       *share      // of the client; nil: none yet
	seeks       bool        // slots; counted in share
	isAhead     bool        // counted in leases.ahead

	look   *waiter // asked for by Look; nil once CatchUp goes by it
	looked instant
}

// Claim returns an empty claim. It is to be released in any case. Of a client, if it
// is not empty, only some claims seek names at the same time, see
// Config.ClaimsPerClient.
func (n *Node) Claim(client string) *Claim {
	l := &n.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serial++
	return &Claim{leases: l, client: client, serial: l.serial, settled: make(chan struct{})}
}

// Add wants a name too, normalised by the caller so that names are equal that
// the app might take for one. It returns at once; the lease is sought in the
// background. Names beyond MaxNames are not leased, and Wait says so. A name
// added after Wait returned nil needs another Wait; that may take until the end
// of its context if requests do so crosswise.
func (c *Claim) Add(name string) {
	l := c.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.released || l.closed {
		return
	}
	s := l.slot(slotOf(name))
	at, found := slices.BinarySearchFunc(c.wants, s, func(a, b *slot) int { return int(a.number) - int(b.number) })
	if found {
		return
	}
	if len(c.wants) >= MaxNames {
		c.dropped = true
		return
	}
	c.wants = slices.Insert(c.wants, at, s)
	l.unsettle(c)
	l.settle()
}

// Wait returns nil when all names are leased; the request is all there. When ctx
// ends before, it returns at once, and the names go on being sought until Release.
// It may be called again: after more names were added, or after Held turned false.
func (c *Claim) Wait(ctx context.Context) error {
	l := c.leases
	l.mu.Lock()
	c.becomeDue()
	l.mu.Unlock()
	for {
		l.mu.Lock()
		switch {
		case c.released || l.closed:
			l.mu.Unlock()
			return fmt.Errorf("leasing names: %w", ErrClosed)
		case c.complete():
			c.promise()
			dropped := c.dropped
			l.mu.Unlock()
			if dropped {
				return fmt.Errorf("leasing names: %w", ErrTooManyNames)
			}
			return nil
		}
		c.seekAgain()
		settled := c.settled
		l.mu.Unlock()
		select {
		case <-settled:
		case <-ctx.Done():
			l.mu.Lock()
			defer l.mu.Unlock()
			return fmt.Errorf("leasing names: %w", because(ctx.Err(), c.obstacle()))
		}
	}
}

// maxLookAge is how long before a CatchUp the look at the change log began, at
// most, that it goes by.
const maxLookAge = 2 * time.Second

// Look has the change log read in the background, so that a CatchUp that follows
// need not: for when names are known some time before they are used. Other names
// may still be added. A second call does nothing.
func (c *Claim) Look() {
	n := c.leases.node
	if n.static {
		return
	}
	l := c.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.released || c.looked != (instant{}) {
		return
	}
	c.looked = n.now()
	c.look, _ = n.log.ask(n.ctx, 0, n.begin) // after an error CatchUp asks
}

// CatchUp waits for all names, as Wait does, and meanwhile for all that was in
// the change log at the call, as Node.CatchUp does. After Look it is, once, what
// was there at that call, and two seconds before this one. When it returns nil,
// Apply was also given all that those wrote who had the names before; if Held is
// false then, because it took so long, there may be newer holders.
//
// Mostly the two together take as long as the one that takes longer: a free lease
// says how far its last holder was in the log, so that it shows whether that was
// read at the same time. Otherwise the log is read once more.
func (c *Claim) CatchUp(ctx context.Context) error {
	n := c.leases.node
	if n.static {
		return c.Wait(ctx)
	}
	w, err := c.ask(ctx)
	if err != nil {
		return err
	}
	if err := c.Wait(ctx); err != nil {
		n.log.leaveNow(w)
		return err
	}
	if err := n.log.await(ctx, w); err != nil || c.covered() {
		return err
	}
	return n.CatchUp(ctx)
}

// ask returns who waits for all that CatchUp is to read.
func (c *Claim) ask(ctx context.Context) (*waiter, error) {
	l := c.leases
	log := &l.node.log
	l.mu.Lock()
	look, looked := c.look, c.looked
	c.look = nil
	l.mu.Unlock()
	if look == nil {
		return log.ask(ctx, 0, l.node.begin)
	}
	now := l.node.now()
	if atMost(looked, now) <= maxLookAge {
		return look, nil
	}
	log.leaveNow(look)
	if _, synced := log.place(); atLeast(looked, synced) >= 0 && atMost(synced, now) <= maxLookAge {
		return readAlready(), nil // by a poll
	}
	return log.ask(ctx, 0, l.node.begin)
}

// covered reports whether the node has read what those wrote who had the names
// before.
func (c *Claim) covered() bool {
	l := c.leases
	next, synced := l.node.log.place()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range c.wants {
		if !s.covered(next, synced) {
			return false
		}
	}
	return true
}

// Held reports whether all names that Wait returned nil for are still leased.
// It turns false when the bucket could not be reached for so long that another
// node may have taken them.
func (c *Claim) Held() bool {
	l := c.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	return !c.released && !l.closed && c.complete()
}

// Release gives all names back. It returns at once; the bucket hears of it in
// the background. A second call does nothing.
func (c *Claim) Release() {
	l := c.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	l.release(c)
	l.settle()
}

func (l *leases) release(c *Claim) {
	if c.released {
		return
	}
	c.released = true
	c.stopTimer()
	for _, s := range c.wants {
		s.leave(c)
	}
	c.wants, c.gaveUp = nil, nil
	c.leaveShare()
	if c.look != nil {
		l.node.log.leaveNow(c.look)
		c.look = nil
	}
	c.changed()
}

// seekAgain queues for slots that an earlier Wait promised and that were lost
// since. The caller holds mu.
func (c *Claim) seekAgain() {
	for _, s := range c.wants {
		if s.owner == c && s.promised && !s.valid() {
			s.promised = false
			c.gaveUp = append(c.gaveUp, s)
			s.reclaim()
			s.work()
		}
	}
	c.leases.settle()
}

// complete reports whether the claim has all its slots. The caller holds mu.
func (c *Claim) complete() bool {
	for _, s := range c.wants {
		if s.owner != c || !s.valid() {
			return false
		}
	}
	return true
}

// promise notes that the slots must not be given up any more.
func (c *Claim) promise() {
	n := &c.leases.node.count
	for _, s := range c.wants {
		if !s.promised {
			s.promised = true
			n.leased.Add(1)
		}
	}
	if c.waited {
		c.waited = false
		n.waited.Add(1)
	}
}

// obstacle returns why the first slot that is missing is, or nil.
func (c *Claim) obstacle() error {
	for _, s := range c.wants {
		if s.owner != c || !s.valid() {
			return s.err
		}
	}
	return nil
}

// changed wakes Wait.
func (c *Claim) changed() {
	close(c.settled)
	c.settled = make(chan struct{})
}

// unsettle notes that a claim has to be looked at again.
func (l *leases) unsettle(c *Claim) {
	if c.listed || c.released {
		return
	}
	c.listed = true
	l.unsettled = append(l.unsettled, c)
}

// settle lets claims take and give back slots until none has reason to. The
// caller holds mu.
func (l *leases) settle() {
	for len(l.unsettled) > 0 {
		c := l.unsettled[0]
		l.unsettled = l.unsettled[1:]
		c.listed = false
		if !c.released {
			c.settleSlots()
			c.changed()
		}
	}
}

// settleSlots puts the claim in the queues of its slots up to the first that it
// has to wait for, and takes it out of those above.
func (c *Claim) settleSlots() {
	if c.resting || !c.join() {
		return // it is in no queue
	}
	blocked := false
	for _, s := range c.wants {
		switch {
		case s.owner == c && s.promised:
		case blocked:
			s.leave(c)
		default:
			s.enter(c)
			if s.blocks(c) {
				blocked, c.waited = true, true
			}
		}
	}
}

// slot returns the slot of this number.
func (l *leases) slot(number uint16) *slot {
	s := l.slots[number]
	if s == nil {
		s = &slot{leases: l, number: number, wake: make(chan struct{}, 1)}
		l.slots[number] = s
	}
	return s
}

// held returns how many leases the node holds.
func (l *leases) held() (count int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.slots {
		if s.mode == mine {
			count++
		}
	}
	return count
}

// close releases all claims.
func (l *leases) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, s := range l.slots {
		for _, c := range append(slices.Clone(s.queue), s.owner) {
			if c != nil {
				l.release(c)
			}
		}
		signal(s.wake)
	}
	for _, p := range l.shares {
		for _, c := range slices.Clone(p.waiting) {
			l.release(c)
		}
	}
	l.settle()
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
