// Package clocktest has the clocks of a machine that go wrong on demand, for tests.
package clocktest

import (
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/clock"
)

// Clock is the clock of one machine. Its time is that of the bubble it is used in.
type Clock struct {
	origin time.Time
	speed  float64

	mu        sync.Mutex
	wall      time.Duration // off by
	suspended time.Time     // since when; zero: it runs
	lost      time.Duration // what the monotonic clock has missed
	// One that was suspended once is not set, and the other way round: together they
	// deceive (see clock.Instant.Before).
	steady, moved bool
}

// New returns a clock that has run since origin, at a speed of about 1, and whose wall
// clock is off by some time.
func New(origin time.Time, speed float64, wall time.Duration) *Clock {
	return &Clock{origin: origin, speed: speed, wall: wall}
}

// Now returns what the clocks show.
func (c *Clock) Now() clock.Instant {
	c.mu.Lock()
	defer c.mu.Unlock()
	passed := c.pass(time.Since(c.origin))
	mono := passed - c.lost
	if !c.suspended.IsZero() {
		mono -= c.pass(time.Since(c.suspended))
	}
	return clock.Instant{Mono: mono, Wall: c.origin.Add(passed + c.wall).Round(0)}
}

func (c *Clock) pass(d time.Duration) time.Duration { return time.Duration(float64(d) * c.speed) }

// Suspend has the monotonic clock stand still, as in a suspended machine.
func (c *Clock) Suspend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.suspended.IsZero() && !c.moved {
		c.suspended, c.steady = time.Now(), true
	}
}

// Resume has the monotonic clock go on.
func (c *Clock) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.suspended.IsZero() {
		c.lost += c.pass(time.Since(c.suspended))
		c.suspended = time.Time{}
	}
}

// Set moves the wall clock. To go by what it shows then, the machine was suspended for
// that long.
func (c *Clock) Set(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.steady {
		c.wall, c.moved = c.wall+by, true
	}
}
