// Package clock tells how long something lasted in spite of clocks that are set and
// machines that are suspended.
//
// It promises that no instant is ever compared with another machine's: all that it
// tells are differences between two looks at this machine's own clocks. It knows
// nothing of what is measured.
package clock

import "time"

// Instant is a moment by this machine's clocks. The zero value is past.
type Instant struct {
	// Mono is a clock that nobody sets, but which may stand still while the
	// machine is suspended.
	Mono time.Duration
	// Wall goes on in a suspended machine, but may be set.
	Wall time.Time
}

// System returns this machine's clocks. The monotonic one begins now, so that two
// instants can be compared only if they come from the same call of System.
func System() func() Instant {
	began := time.Now()
	return func() Instant {
		now := time.Now()
		return Instant{Mono: now.Sub(began), Wall: now.Round(0)}
	}
}

// AtMost returns the time from a to b by the clock that says more: for what
// must not be believed for too long.
func AtMost(a, b Instant) time.Duration {
	return max(b.Mono-a.Mono, b.Wall.Sub(a.Wall))
}

// AtLeast returns the time from a to b that nobody can have added to: for what
// must not be done too early.
func AtLeast(a, b Instant) time.Duration { return b.Mono - a.Mono }

// Add returns the instant d later.
func (i Instant) Add(d time.Duration) Instant {
	return Instant{Mono: i.Mono + d, Wall: i.Wall.Add(d)}
}

// Before reports whether both clocks say that i was before b. Both are wrong if
// a machine is suspended and its clock set back in between.
func (i Instant) Before(b Instant) bool { return i.Mono < b.Mono && i.Wall.Before(b.Wall) }

// IsZero reports whether i is no instant that a clock showed.
func (i Instant) IsZero() bool { return i == Instant{} }
