package lease

import (
	"context"
	"errors"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/clock"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/control"
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
	case <-s.leaser.tasks.Context().Done():
	}
}

// decide says what to do now, or how long to wait for it.
func (s *slot) decide() (next action, delay time.Duration) {
	l := s.leaser
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.settle()
	now := l.now()
	if l.tasks.Context().Err() != nil {
		s.working = false
		return stop, 0
	}
	s.expire()
	if s.holder == nil && s.valid() {
		s.grant()
	}
	next, at := s.plan(now)
	if next == stop {
		s.working = false
		return stop, 0
	}
	at = later(at, s.tryAt)
	if d := clock.AtLeast(now, at); d > 0 {
		return wait, d
	}
	return next, 0
}

func later(a, b clock.Instant) clock.Instant {
	if a.Mono > b.Mono {
		return a
	}
	return b
}

// plan says what is to be done, and when at the earliest.
func (s *slot) plan(now clock.Instant) (action, clock.Instant) {
	wanted := s.holder == nil && len(s.queue) > 0
	if s.status == mine {
		return s.planMine(now, wanted)
	}
	if !wanted {
		return stop, now
	}
	l := s.leaser
	switch {
	case s.unsure, s.status == unseen && (s.asked || l.known > 0.5):
		return read, now
	case s.status == other && clock.AtLeast(s.seen, now) < s.ttl+margin(s.ttl):
		return read, now
	}
	return take, now
}

func (s *slot) planMine(now clock.Instant, wanted bool) (action, clock.Instant) {
	switch {
	case s.unsure && s.tries == 0:
		return read, now
	case s.holder != nil:
		return take, s.renewAt
	case wanted && !s.turnOver():
		return take, now // it ran out, but perhaps nobody took it
	case !s.valid() && s.tries > 3:
		s.status = unseen
		if wanted {
			return read, now
		}
		return stop, now // others will find that it ran out
	}
	return release, now
}

// expire takes a lease that ran out from a holder that Wait has not promised
// it to.
func (s *slot) expire() {
	if s.status == mine && s.holder != nil && !s.valid() {
		s.reclaim()
	}
}

// write puts the object with a fresh nonce, over the version that is known.
func (s *slot) write(state string) {
	l := s.leaser
	r := record{Version: control.Version, Owner: l.id, Nonce: control.NewNonce(), State: state, TTL: l.cfg.TTL.Milliseconds()}
	l.mu.Lock()
	if state == stateFree && s.holder != nil {
		l.mu.Unlock()
		return // granted since decide said so
	}
	etag, sent := s.etag, l.now()
	s.nonce, s.sent, s.created = r.Nonce, sent, etag == ""
	if state == stateFree {
		r.Next = s.leftAt(l.cfg.Log.Place())
		// From now on it may be free, even long after an error: who wants it
		// again has to write it again.
		s.deadline = clock.Instant{}
	}
	l.mu.Unlock()

	info, err := control.Put(l.tasks.Context(), l.cfg.Store, s.key(), r.encode(), l.cfg.TTL, bucket.PutOptions{IfNoneMatch: etag == "", IfMatch: etag})

	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.settle()
	if etag == "" && !s.asked {
		l.learn(errors.Is(err, bucket.ErrExists))
	}
	s.asked = true
	switch {
	case err == nil && state == stateHeld:
		if s.status == other {
			l.count.takeovers.Add(1)
		}
		s.hold(info.ETag, sent)
	case err == nil:
		s.freed(info.ETag, r.Next)
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
func (s *slot) hold(etag string, sent clock.Instant) {
	ttl := s.leaser.cfg.TTL
	if s.status != mine {
		// Not from sent on: where a write takes longer than a turn, no claim would
		// ever have one.
		s.got = s.leaser.now()
		s.turnEnds, s.after = s.got.Add(turn), 0
		switch {
		case s.created:
			s.after = 1 // nobody ever had it
		case s.status == free:
			s.after = s.next
		}
	}
	s.status, s.etag, s.unsure = mine, etag, false
	s.deadline, s.renewAt = sent.Add(ttl-margin(ttl)), sent.Add(ttl/3)
	s.calm()
	if s.holder != nil {
		s.leaser.unsettle(s.holder) // it may have looked when this answer was late and the lease had run out
	}
}

// freed notes that the object says that nobody has the lease. If this node
// wants it again, others come first.
func (s *slot) freed(etag string, next uint64) {
	gaveBack := s.status == mine
	s.status, s.etag, s.next, s.unsure = free, etag, next, false
	s.calm()
	if gaveBack && s.wanted() {
		s.tries, s.tryAt = 1, s.leaser.now().Add(respite)
		s.unsettleQueue()
	}
}

// lose notes that another node has the lease, or nobody.
func (s *slot) lose(status status, etag string) {
	if s.status == mine && s.holder != nil {
		s.leaser.count.expired.Add(1)
	}
	s.status, s.etag, s.unsure, s.last = status, etag, false, 0
	s.reclaim()
}

// reclaim puts a holder that Wait has promised nothing back into the queue.
func (s *slot) reclaim() {
	if s.holder != nil && !s.promised {
		holder := s.holder
		s.holder = nil
		s.line(holder, true)
	}
	s.unsettleQueue()
}

// calm notes that the store answered.
func (s *slot) calm() { s.err, s.tries, s.tryAt = nil, 0, clock.Instant{} }

// read looks what the object says.
func (s *slot) read() {
	l := s.leaser
	data, info, err := control.Get(l.tasks.Context(), l.cfg.Store, s.key(), maxRecord, l.cfg.TTL)
	var found record
	var bad error
	switch {
	case errors.Is(err, bucket.ErrTooLarge):
		info, err = s.describe()
		bad = control.ErrTooLarge
	case err == nil:
		found, bad = decodeRecord(data)
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
		if s.status == mine && found.Owner == l.id {
			s.freed(info.ETag, found.Next)
			break
		}
		s.lose(free, info.ETag)
		s.next = found.Next
		s.calm()
	case bad == nil && found.Owner == l.id:
		s.foundOwn(&found, info.ETag)
	default:
		s.foundOther(&found, info.ETag, bad)
	}
	s.grant()
}

// describe returns what a listing tells of the object: that it is larger than any lease
// is no reason to read it.
func (s *slot) describe() (bucket.Info, error) {
	l := s.leaser
	ctx, cancel := context.WithTimeout(l.tasks.Context(), l.cfg.TTL)
	defer cancel()
	for info, err := range l.cfg.Store.List(ctx, s.key(), "") {
		if err != nil {
			return bucket.Info{}, err
		}
		if info.Key != s.key() {
			break
		}
		return info, nil
	}
	return bucket.Info{}, bucket.ErrNotFound
}

// foundOwn notes that the object is a write of this node's whose answer was
// lost. When it was sent is known of the last one only; the lease by any other
// counts as long as it did before, and is renewed at once.
func (s *slot) foundOwn(found *record, etag string) {
	if found.Nonce == s.nonce {
		s.hold(etag, s.sent)
		return
	}
	now := s.leaser.now()
	if s.status != mine {
		s.status, s.deadline, s.turnEnds, s.got, s.after = mine, now, now.Add(turn), now, 0
	}
	s.etag, s.unsure, s.renewAt = etag, false, now
	s.calm()
}

// foundOther notes that another node has the lease.
func (s *slot) foundOther(found *record, etag string, bad error) {
	l := s.leaser
	now := l.now()
	if s.status != other || s.etag != etag {
		s.lose(other, etag)
		s.seen, s.ttl, s.tries = now, l.cfg.TTL, 0
		if bad == nil {
			s.ttl = max(s.ttl, found.ttl())
		} else {
			l.count.skipped.Add(1)
			l.cfg.Logger().Warn("a name lease is unreadable and counts as taken until it has not changed for a while: no node of this version wrote it",
				keyObject, s.key(), keyError, bad)
		}
	}
	s.unsure, s.err = false, nil
	s.tries++
	s.tryAt = now.Add(pollMin/2 + l.random.Jitter(min(pollMax, pollMin<<min(s.tries, 10))))
	s.unsettleQueue()
}

// trouble notes that the store failed.
func (s *slot) trouble(err error) {
	s.err = err
	s.tries++
	s.tryAt = s.leaser.now().Add(s.leaser.random.Backoff(s.tries, retryMin, retryMax))
	s.unsettleQueue()
}
