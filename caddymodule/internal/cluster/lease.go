package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	// minTTL leaves something of a lease when the margin is taken off; maxTTL
	// bounds how long a lease that says so itself is waited for.
	minTTL = 3 * time.Second
	maxTTL = 2 * time.Minute
	// maxLease is the largest lease in bytes that is read.
	maxLease = 4 << 10
)

// margin is what a holder stops early and others wait longer: for clocks that
// do not run at the same speed.
func margin(ttl time.Duration) time.Duration { return max(time.Second, ttl/10) }

// lease is the object of a slot.
type lease struct {
	Version int    `json:"v"`
	Owner   string `json:"owner"`
	Nonce   string `json:"nonce"` // other in each write, so that each has its own ETag
	State   string `json:"state"`
	TTL     int64  `json:"ttl_ms"`
	// Next, of a free lease, is the number of the entry of the change log that
	// comes after all that its last holder has read or written. 0: unknown.
	Next uint64 `json:"next,omitempty"`
}

const (
	stateHeld = "held"
	stateFree = "free"
)

func (l *lease) encode() []byte {
	data, err := json.Marshal(l)
	if err != nil {
		panic(err) // strings and numbers
	}
	return data
}

// decodeLease reads a lease that anybody may have written.
func decodeLease(data []byte) (lease, error) {
	if len(data) > maxLease {
		return lease{}, errTooLarge
	}
	var l lease
	if err := json.Unmarshal(data, &l); err != nil {
		return lease{}, fmt.Errorf("no JSON of a lease: %w", err)
	}
	if l.Version != formatVersion {
		return lease{}, fmt.Errorf("format version %d, this program knows %d", l.Version, formatVersion)
	}
	if !isNonce(l.Owner) || !isNonce(l.Nonce) || l.State != stateHeld && l.State != stateFree {
		return lease{}, errors.New("it names no owner or no state")
	}
	return l, nil
}

// ttl is how long the lease is to be respected after it was first seen.
func (l *lease) ttl() time.Duration {
	return min(max(time.Duration(l.TTL)*time.Millisecond, minTTL), maxTTL)
}
