package cluster

import "time"

// instant is a moment by this machine's clocks. Neither is ever compared with
// another machine's.
type instant struct {
	// mono is a clock that nobody sets, but which may stand still while the
	// machine is suspended.
	mono time.Duration
	// wall goes on in a suspended machine, but may be set.
	wall time.Time
}

// systemClock returns this machine's clocks. The monotonic one begins now, so
// that the zero instant is past.
func systemClock() func() instant {
	began := time.Now()
	return func() instant {
		now := time.Now()
		return instant{mono: now.Sub(began), wall: now.Round(0)}
	}
}

// atMost returns the time from a to b by the clock that says more: for what
// must not be believed for too long.
func atMost(a, b instant) time.Duration {
	return max(b.mono-a.mono, b.wall.Sub(a.wall))
}

// atLeast returns the time from a to b that nobody can have added to: for what
// must not be done too early.
func atLeast(a, b instant) time.Duration { return b.mono - a.mono }

func (i instant) add(d time.Duration) instant {
	return instant{mono: i.mono + d, wall: i.wall.Add(d)}
}

// before reports whether both clocks say that a was before b. Both are wrong if
// a machine is suspended and its clock set back within one lease: then only the
// conditions of the Puts keep two files of a name apart.
func (i instant) before(b instant) bool { return i.mono < b.mono && i.wall.Before(b.wall) }
