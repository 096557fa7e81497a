package background

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Pause waits; false if done was closed meanwhile.
func Pause(done <-chan struct{}, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-done:
		return false
	}
}

// Because adds to the error of an ended wait what was waited for.
func Because(err, last error) error {
	if last == nil {
		return err
	}
	return fmt.Errorf("%w (%w)", err, last)
}

// Random returns a random number from 0 up to, but not including, n. A nil Random
// takes the program's random numbers.
type Random func(n int64) int64

// Jitter returns a random time below limit.
func (r Random) Jitter(limit time.Duration) time.Duration {
	if r == nil {
		r = rand.Int64N
	}
	return time.Duration(r(int64(max(limit, 1))))
}

// Backoff is Random.Backoff with the program's random numbers.
func Backoff(tries int, low, high time.Duration) time.Duration {
	return Random(nil).Backoff(tries, low, high)
}

// Backoff returns how long to wait after so many tries in vain: a random time below
// low·2ᵗʳⁱᵉˢ⁻¹, at most high ("full jitter"), but not so little that it were none.
func (r Random) Backoff(tries int, low, high time.Duration) time.Duration {
	limit := high
	if tries < 20 {
		limit = min(high, low<<max(0, tries-1))
	}
	return limit/8 + r.Jitter(limit-limit/8)
}

// Signal wakes who waits for a channel that has room for one, now or when it looks.
func Signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Mutex is a sync.Mutex before which tests let other goroutines go first, as a
// machine may at any time: what was decided before it is locked need not hold any
// more.
type Mutex struct {
	sync.Mutex
	Before func() // nil: nothing
}

// Lock locks the mutex.
func (m *Mutex) Lock() {
	if m.Before != nil {
		m.Before()
	}
	m.Mutex.Lock()
}
