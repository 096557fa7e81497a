package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// action is what a slot's worker does next.
type action uint8

const (
	stop    action = iota
	wait           // for time or a change
	read           // the object
	take           // write it as held: acquire, renew, take over
	release        // write it as free
)

// run is a slot's worker: it alone reads and writes the slot's object, for as
// long as a claim wants the slot or the node has it.
func (s *slot) run() {
	for {
		next, delay := s.decide()
		switch next {
		case stop:
			return
		case wait:
			s.sleep(delay)
		case read:
			s.read()
		case take:
			s.write(stateHeld)
		case release:
			s.write(stateFree)
		}
	}
}

// sleep waits for d or until something changed.
func (s *slot) sleep(d time.Duration) {
	timer := time.NewTimer(max(d, time.Millisecond))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.wake:
	case <-s.leases.node.ctx.Done():
	}
}

// decide says what to do now, or how long to wait for it.
func (s *slot) decide() (next action, delay time.Duration) {
	l := s.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.settle()
	now := l.node.now()
	if l.node.ctx.Err() != nil {
		s.working = false
		return stop, 0
	}
	s.expire()
	if s.owner == nil && s.valid() {
		s.grant()
	}
	next, at := s.plan(now)
	if next == stop {
		s.working = false
		return stop, 0
	}
	at = later(at, s.tryAt)
	if d := atLeast(now, at); d > 0 {
		return wait, d
	}
	return next, 0
}

func later(a, b instant) instant {
	if a.mono > b.mono {
		return a
	}
	return b
}

// plan says what is to be done, and when at the earliest.
func (s *slot) plan(now instant) (action, instant) {
	wanted := s.owner == nil && len(s.queue) > 0
	if s.mode == mine {
		return s.planMine(now, wanted)
	}
	if !wanted {
		return stop, now
	}
	l := s.leases
	switch {
	case s.unsure, s.mode == unseen && (s.asked || l.known > 0.5):
		return read, now
	case s.mode == other && atLeast(s.seen, now) < s.ttl+margin(s.ttl):
		return read, now
	}
	return take, now
}

func (s *slot) planMine(now instant, wanted bool) (action, instant) {
	switch {
	case s.unsure && s.tries == 0:
		return read, now
	case s.owner != nil:
		return take, s.renewAt
	case wanted && !s.turnOver():
		return take, now // it ran out, but perhaps nobody took it
	case !s.valid() && s.tries > 3:
		s.mode = unseen
		if wanted {
			return read, now
		}
		return stop, now // others will find that it ran out
	}
	return release, now
}

// expire takes a lease that ran out from an owner that Wait has not promised
// it to.
func (s *slot) expire() {
	if s.mode == mine && s.owner != nil && !s.valid() {
		s.reclaim()
	}
}

// write puts the object with a fresh nonce, over the version that is known.
func (s *slot) write(state string) {
	l := s.leases
	n := l.node
	record := lease{Version: formatVersion, Owner: n.id, Nonce: newNonce(), State: state, TTL: n.cfg.LeaseTTL.Milliseconds()}
	l.mu.Lock()
	if state == stateFree && s.owner != nil {
		l.mu.Unlock()
		return // granted since decide said so
	}
	etag, sent := s.etag, n.now()
	s.nonce, s.sent, s.created = record.Nonce, sent, etag == ""
	if state == stateFree {
		record.Next = s.leftAt(n.log.place())
		// From now on it may be free, even long after an error: who wants it
		// again has to write it again.
		s.deadline = instant{}
	}
	l.mu.Unlock()

	info, err := n.put(s.key(), record.encode(), n.cfg.LeaseTTL, bucket.PutOptions{IfNoneMatch: etag == "", IfMatch: etag})

	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.settle()
	if etag == "" && !s.asked {
		l.learn(errors.Is(err, bucket.ErrExists))
	}
	s.asked = true
	switch {
	case err == nil && state == stateHeld:
		if s.mode == other {
			n.count.takeovers.Add(1)
		}
		s.hold(info.ETag, sent)
	case err == nil:
		s.freed(info.ETag, record.Next)
	case errors.Is(err, bucket.ErrExists), errors.Is(err, bucket.ErrChanged):
		s.unsure = true // an earlier write of ours, or another node's
		s.calm()
	default:
		s.unsure = true
		s.trouble(err)
	}
	s.grant()
}

// hold notes that the node has the lease, by a write that was sent then.
func (s *slot) hold(etag string, sent instant) {
	ttl := s.leases.node.cfg.LeaseTTL
	if s.mode != mine {
		// Not from sent on: where a write takes longer than a turn, no claim would
		// ever have one.
		s.got = s.leases.node.now()
		s.turnEnds, s.after = s.got.add(turn), 0
		switch {
		case s.created:
			s.after = 1 // nobody ever had it
		case s.mode == free:
			s.after = s.next
		}
	}
	s.mode, s.etag, s.unsure = mine, etag, false
	s.deadline, s.renewAt = sent.add(ttl-margin(ttl)), sent.add(ttl/3)
	s.calm()
	if s.owner != nil {
		s.leases.unsettle(s.owner) // it may have looked when this answer was late and the lease had run out
	}
}

// freed notes that the object says that nobody has the lease. If this node
// wants it again, others come first.
func (s *slot) freed(etag string, next uint64) {
	gaveBack := s.mode == mine
	s.mode, s.etag, s.next, s.unsure = free, etag, next, false
	s.calm()
	if gaveBack && s.wanted() {
		s.tries, s.tryAt = 1, s.leases.node.now().add(yield)
		s.unsettleQueue()
	}
}

// lose notes that another node has the lease, or nobody.
func (s *slot) lose(mode mode, etag string) {
	if s.mode == mine && s.owner != nil {
		s.leases.node.count.expired.Add(1)
	}
	s.mode, s.etag, s.unsure, s.last = mode, etag, false, 0
	s.reclaim()
}

// reclaim puts an owner that Wait has promised nothing back into the queue.
func (s *slot) reclaim() {
	if s.owner != nil && !s.promised {
		owner := s.owner
		s.owner = nil
		s.line(owner, true)
	}
	s.unsettleQueue()
}

// calm notes that the store answered.
func (s *slot) calm() { s.err, s.tries, s.tryAt = nil, 0, instant{} }

// read looks what the object says.
func (s *slot) read() {
	l := s.leases
	n := l.node
	data, info, err := n.get(s.key(), bucket.GetOptions{AtMost: maxLease}, maxLease, n.cfg.LeaseTTL)
	if errors.Is(err, bucket.ErrTooLarge) {
		err = n.removeHuge(s.key())
	}
	var found lease
	var bad error
	if err == nil {
		found, bad = decodeLease(data)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.settle()
	if !s.asked {
		l.learn(err == nil)
	}
	s.asked = true
	switch {
	case errors.Is(err, bucket.ErrNotFound):
		s.lose(absent, "")
		s.calm()
	case err != nil:
		s.trouble(err)
	case bad == nil && found.State == stateFree:
		if s.mode == mine && found.Owner == n.id {
			s.freed(info.ETag, found.Next)
			break
		}
		s.lose(free, info.ETag)
		s.next = found.Next
		s.calm()
	case bad == nil && found.Owner == n.id:
		s.foundOwn(&found, info.ETag)
	default:
		s.foundOther(&found, info.ETag, bad)
	}
	s.grant()
}

// removeHuge removes what is larger than any lease: to take it over, its version would
// have to be known, and so all of it read. It returns ErrNotFound if that went well.
func (n *Node) removeHuge(key string) error {
	n.count.skipped.Add(1)
	n.cfg.Log().Warn("a name lease is larger than any that a node writes, and is removed", keyObject, key)
	ctx, cancel := context.WithTimeout(n.ctx, callTimeout)
	defer cancel()
	if err := n.cfg.Store.Delete(ctx, key); err != nil {
		return err
	}
	return bucket.ErrNotFound
}

// foundOwn notes that the object is a write of this node's whose answer was
// lost. When it was sent is known of the last one only; the lease by any other
// counts as long as it did before, and is renewed at once.
func (s *slot) foundOwn(found *lease, etag string) {
	if found.Nonce == s.nonce {
		s.hold(etag, s.sent)
		return
	}
	now := s.leases.node.now()
	if s.mode != mine {
		s.mode, s.deadline, s.turnEnds, s.got, s.after = mine, now, now.add(turn), now, 0
	}
	s.etag, s.unsure, s.renewAt = etag, false, now
	s.calm()
}

// foundOther notes that another node has the lease.
func (s *slot) foundOther(found *lease, etag string, bad error) {
	n := s.leases.node
	now := n.now()
	if s.mode != other || s.etag != etag {
		s.lose(other, etag)
		s.seen, s.ttl, s.tries = now, n.cfg.LeaseTTL, 0
		if bad == nil {
			s.ttl = max(s.ttl, found.ttl())
		} else {
			n.count.skipped.Add(1)
			n.cfg.Log().Warn("a name lease is unreadable and counts as taken until it has not changed for a while: no node of this version wrote it",
				keyObject, s.key(), keyError, bad)
		}
	}
	s.unsure, s.err = false, nil
	s.tries++
	s.tryAt = now.add(pollMin/2 + n.jitter(min(pollMax, pollMin<<min(s.tries, 10))))
	s.unsettleQueue()
}

// trouble notes that the store failed.
func (s *slot) trouble(err error) {
	s.err = err
	s.tries++
	s.tryAt = s.leases.node.now().add(s.leases.node.backoff(s.tries, retryMin, time.Second))
	s.unsettleQueue()
}

// learn keeps the share of slots, of those this node asked for the first time,
// that exist.
func (l *leases) learn(exists bool) {
	l.known *= 0.9
	if exists {
		l.known += 0.1
	}
}
