package lease

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/control"
)

const (
	// minTTL leaves something of a lease when the margin is taken off; maxTTL
	// bounds how long a lease that says so itself is waited for.
	minTTL = 3 * time.Second
	maxTTL = 2 * time.Minute
	// maxRecord is the largest lease in bytes that is read.
	maxRecord = 4 << 10
)

// margin is what an owner stops early and others wait longer: for clocks that
// do not run at the same speed.
func margin(ttl time.Duration) time.Duration { return max(time.Second, ttl/10) }

// record is a lease as it is stored.
type record struct {
	Version int    `json:"v"`
	Owner   string `json:"owner"` // a node
	Nonce   string `json:"nonce"` // other in each write, so that each has its own ETag
	State   string `json:"state"`
	TTL     int64  `json:"ttl_ms"`
	// Next, of a free lease, is the number of the entry of the change log that
	// comes after all that its last owner has read or written. 0: unknown.
	Next uint64 `json:"next,omitempty"`
}

// What State says.
const (
	stateHeld = "held"
	stateFree = "free"
)

func (r *record) encode() []byte {
	data, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings and numbers
	}
	return data
}

// decodeRecord reads a lease that anybody may have written.
func decodeRecord(data []byte) (record, error) {
	if len(data) > maxRecord {
		return record{}, control.ErrTooLarge
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return record{}, fmt.Errorf("no JSON of a lease: %w", err)
	}
	if err := control.CheckVersion(r.Version); err != nil {
		return record{}, err
	}
	if !control.IsNonce(r.Owner) || !control.IsNonce(r.Nonce) || r.State != stateHeld && r.State != stateFree {
		return record{}, errors.New("it names no owner or no state")
	}
	return r, nil
}

// ttl is how long the lease is to be respected after it was first seen.
func (r *record) ttl() time.Duration {
	return min(max(time.Duration(r.TTL)*time.Millisecond, minTTL), maxTTL)
}
