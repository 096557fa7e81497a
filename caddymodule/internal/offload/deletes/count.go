package deletes

import (
	"maps"
	"sync"
	"time"
)

const (
	// Burst is the time within which deletes are counted together.
	Burst = time.Minute
	// Few may always go at once, whatever their share.
	Few = 10
)

// Limit is how many of a number of files may go within a burst.
func Limit(share float64, files int) int { return max(Few, int(share*float64(files))) }

// Count counts deletes of a kind. Its zero value is ready.
type Count struct {
	mu sync.Mutex
	// recent are the keys of the last burst, passed on or withheld, and when they were
	// seen last: of a file its own event may tell, its directory's, and a second try.
	// They are no more than it takes to know that there are too many; more is when
	// others came.
	recent map[string]time.Time
	more   time.Time
	said   time.Time // when the log had a line about many
}

// Admits reports whether the deletes of keys are few enough to be passed on, with
// others that are known to come; waiting tells how many these are, besides those that
// have been counted. limit is how many may go within a burst.
func (c *Count) Admits(keys []string, waiting func(counted map[string]time.Time) int, limit int, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.recent == nil {
		c.recent = make(map[string]time.Time)
	}
	maps.DeleteFunc(c.recent, func(_ string, seen time.Time) bool { return now.Sub(seen) >= Burst })
	for _, key := range keys {
		if _, ok := c.recent[key]; !ok && len(c.recent) > limit {
			c.more = now
			break
		}
		c.recent[key] = now
	}
	return now.Sub(c.more) >= Burst && len(c.recent)+waiting(c.recent) <= limit
}

// Says reports whether it is time for a line in the log about many deletes.
func (c *Count) Says(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.said) < Burst {
		return false
	}
	c.said = now
	return true
}

// Forget begins a new count.
func (c *Count) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recent, c.more = nil, time.Time{}
}
