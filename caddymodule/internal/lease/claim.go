package lease

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/background"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/clock"
)

// MaxNames is how many names one claim leases at most.
const MaxNames = 256

// Claim is what one request wants: names that no other request, on any node,
// is to use until it is released.
//
// Slots are taken at the same time, but a claim that has to wait for one gives
// back those above it that it has already: so claims never wait for each other
// in a circle.
type Claim struct {
	leaser *Leaser
	client string
	serial uint64

	// Under Leaser.mu.
	state   state
	room    room
	share   *share  // of the client; nil: none yet
	wants   []*slot // ascending
	refused error   // why some names are not leased, nil if all are

	listed    bool // in Leaser.unsettled
	contended bool // it has waited for another claim or node since the last Wait

	timer       *time.Timer // ends its turn ahead; nil: it has not begun
	soon        bool        // Soon was called
	gaveUp      []*slot     // were promised, and are not since
	interrupted bool        // another claim may have had one of them

	moved chan struct{} // closed with each change

	look   *changelog.Look // begun by Look; nil once CatchUp goes by it
	looked clock.Instant
}

// Claim returns an empty claim. It is to be released in any case. Of a client, if it
// is not empty, only some claims seek names at the same time, see
// Config.ClaimsPerClient.
func (l *Leaser) Claim(client string) *Claim {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serial++
	return &Claim{leaser: l, client: client, serial: l.serial, moved: make(chan struct{})}
}

// Add wants a name too, normalised by the caller so that names are equal that
// the app might take for one. It returns at once; the lease is sought in the
// background. Names beyond MaxNames are not leased, and Wait says so. A name
// added after Wait returned nil needs another Wait; that may take until the end
// of its context if requests do so crosswise.
func (c *Claim) Add(name string) {
	l := c.leaser
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.ended() {
		return
	}
	s := l.slot(slotOf(name))
	at, found := slices.BinarySearchFunc(c.wants, s, func(a, b *slot) int { return int(a.number) - int(b.number) })
	if found {
		return
	}
	if len(c.wants) >= MaxNames {
		c.refused = ErrTooManyNames
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
	l := c.leaser
	l.mu.Lock()
	c.becomeDue()
	l.mu.Unlock()
	for {
		l.mu.Lock()
		switch {
		case c.ended():
			l.mu.Unlock()
			return fmt.Errorf("leasing names: %w", ErrClosed)
		case c.complete():
			c.promise()
			refused := c.refused
			l.mu.Unlock()
			if refused != nil {
				return fmt.Errorf("leasing names: %w", refused)
			}
			return nil
		}
		c.seekAgain()
		moved := c.moved
		l.mu.Unlock()
		if err := c.await(ctx, moved); err != nil {
			return fmt.Errorf("leasing names: %w", err)
		}
	}
}

// await waits for a change; when ctx ends before, the error says why it took so long.
func (c *Claim) await(ctx context.Context, moved <-chan struct{}) error {
	select {
	case <-moved:
		return nil
	case <-ctx.Done():
		c.leaser.mu.Lock()
		defer c.leaser.mu.Unlock()
		return background.Because(ctx.Err(), c.obstacle())
	}
}

// Held reports whether all names that Wait returned nil for are still leased.
// It turns false when the bucket could not be reached for so long that another
// node may have taken them.
func (c *Claim) Held() bool {
	c.leaser.mu.Lock()
	defer c.leaser.mu.Unlock()
	return !c.ended() && c.complete()
}

// Release gives all names back. It returns at once; the bucket hears of it in
// the background. A second call does nothing.
func (c *Claim) Release() {
	l := c.leaser
	l.mu.Lock()
	defer l.mu.Unlock()
	c.release()
	l.settle()
}

// release is Release. The caller holds mu.
func (c *Claim) release() {
	if c.state == released {
		return
	}
	c.on(releaseCalled)
	for _, s := range c.wants {
		s.leave(c)
	}
	c.wants, c.gaveUp = nil, nil
	c.leaveShare()
	c.look.Cancel()
	c.look = nil
	c.changed()
}

// ended reports whether the claim gets no slots any more. The caller holds mu.
func (c *Claim) ended() bool { return c.state == released || c.leaser.closed }

// seekAgain queues for slots that an earlier Wait promised and that were lost
// since. The caller holds mu.
func (c *Claim) seekAgain() {
	for _, s := range c.wants {
		if s.holder == c && s.promised && !s.valid() {
			s.promised = false
			c.gaveUp = append(c.gaveUp, s)
			s.reclaim()
			s.work()
		}
	}
	c.leaser.settle()
}

// missing returns the first slot that the claim does not have, or nil. The caller
// holds mu.
func (c *Claim) missing() *slot {
	for _, s := range c.wants {
		if s.holder != c || !s.valid() {
			return s
		}
	}
	return nil
}

// complete reports whether the claim has all its slots. The caller holds mu.
func (c *Claim) complete() bool { return c.missing() == nil }

// obstacle returns why the first slot that is missing is, or nil. The caller holds mu.
func (c *Claim) obstacle() error {
	if s := c.missing(); s != nil {
		return s.err
	}
	return nil
}

// promise notes that the slots must not be given up any more.
func (c *Claim) promise() {
	count := &c.leaser.count
	for _, s := range c.wants {
		if !s.promised {
			s.promised = true
			count.leased.Add(1)
		}
	}
	if c.contended {
		c.contended = false
		count.waited.Add(1)
	}
}

// changed wakes who waits.
func (c *Claim) changed() {
	close(c.moved)
	c.moved = make(chan struct{})
}

// takeSlots puts the claim in the queues of its slots up to the first that it
// has to wait for, and takes it out of those above.
func (c *Claim) takeSlots() {
	if c.state == resting || !c.enterShare() {
		return // it is in no queue
	}
	blocked := false
	for _, s := range c.wants {
		switch {
		case s.holder == c && s.promised:
		case blocked:
			s.leave(c)
		default:
			s.enter(c)
			if s.blocks(c) {
				blocked, c.contended = true, true
			}
		}
	}
}
