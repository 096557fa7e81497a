package lease

import (
	"context"
	"slices"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/clock"
)

// maxLookAge is how long before a CatchUp the look at the change log began, at
// most, that it goes by.
const maxLookAge = 2 * time.Second

// Look has the change log read in the background, so that a CatchUp that follows
// need not: for when names are known some time before they are used. Other names
// may still be added. A second call does nothing.
func (c *Claim) Look() {
	l := c.leaser
	if l.static {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.ended() || !c.looked.IsZero() {
		return
	}
	c.looked = l.now()
	c.look, _ = l.cfg.Log.Look(l.tasks.Context()) // after an error CatchUp looks
}

// CatchUp waits for all names, as Wait does, and meanwhile for all that was in
// the change log at the call, as changelog.Log.CatchUp does. After Look it is, once,
// what was there at that call, and two seconds before this one. When it returns nil,
// Apply was also given all that those wrote who had the names before; if Held is
// false then, because it took so long, there may be newer holders.
//
// Mostly the two together take as long as the one that takes longer: a free lease
// says how far its last owner was in the log, so that it shows whether that was
// read at the same time. Otherwise the log is read once more.
func (c *Claim) CatchUp(ctx context.Context) error {
	l := c.leaser
	if l.static {
		return c.Wait(ctx)
	}
	look, err := c.beginLook(ctx)
	if err != nil {
		return err
	}
	if err := c.Wait(ctx); err != nil {
		look.Cancel()
		return err
	}
	if err := look.Wait(ctx); err != nil {
		return err
	}
	if !c.covered() {
		if err := l.cfg.Log.CatchUp(ctx); err != nil {
			return err
		}
	}
	if !c.logGoesOn() {
		return nil
	}
	l.cfg.Log.Recheck()
	return l.cfg.Log.CatchUp(ctx)
}

// logGoesOn reports whether those who had the names before were further in the log than
// its end seems to be: at a number at which no entry can be written it goes on behind.
func (c *Claim) logGoesOn() bool {
	place := c.leaser.cfg.Log.Place()
	c.leaser.mu.Lock()
	defer c.leaser.mu.Unlock()
	return slices.ContainsFunc(c.wants, func(s *slot) bool { return s.after > place.Next })
}

// beginLook returns the look that CatchUp goes by; nil if it need not wait for one.
func (c *Claim) beginLook(ctx context.Context) (*changelog.Look, error) {
	l, log := c.leaser, c.leaser.cfg.Log
	l.mu.Lock()
	begun, looked := c.look, c.looked
	c.look = nil
	l.mu.Unlock()
	if begun == nil {
		return log.Look(ctx)
	}
	now := l.now()
	if clock.AtMost(looked, now) <= maxLookAge {
		return begun, nil
	}
	begun.Cancel()
	if synced := log.Place().Synced; clock.AtLeast(looked, synced) >= 0 && clock.AtMost(synced, now) <= maxLookAge {
		return nil, nil // a poll has looked
	}
	return log.Look(ctx)
}

// covered reports whether the node has read what those wrote who had the names
// before.
func (c *Claim) covered() bool {
	place := c.leaser.cfg.Log.Place()
	c.leaser.mu.Lock()
	defer c.leaser.mu.Unlock()
	for _, s := range c.wants {
		if !s.covered(place) {
			return false
		}
	}
	return true
}
