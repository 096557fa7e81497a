package lease

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/background"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/clock"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/control"
)

// Errors of a Claim.
var (
	// ErrClosed: the leaser was closed, or the claim released, before it had its names.
	ErrClosed = background.ErrClosed
	// ErrTooManyNames: a claim has more names than MaxNames; those above are
	// not leased.
	ErrTooManyNames = errors.New("too many names for one request")
)

// Bounds of waiting for the store.
const (
	// A failed call is repeated after a random time up to retryMin, doubled
	// with each failure up to retryMax.
	retryMin = 50 * time.Millisecond
	retryMax = time.Second
)

// Keys of log attributes.
const (
	keyError  = "error"
	keyObject = "object_key"
)

// Config says where a site's leases are.
type Config struct {
	// Store holds the leases; its probe said that it Coordinates.
	Store bucket.Store
	// Prefix of control objects in the store, ending in a slash: "offload/".
	Prefix string
	// Log is the change log: what those wrote there who had a name before is read
	// before the next has it.
	Log *changelog.Log
	// Logger returns the logger of the moment.
	Logger func() *slog.Logger
	// TTL is how long a crashed node keeps its names. Default: 10s, at least 3s.
	TTL time.Duration
	// ClaimsPerClient is how many claims of one client seek names or have them at
	// the same time; further ones wait for one of these. Default: any number.
	ClaimsPerClient int

	// For tests.
	random     background.Random
	beforeLock func() // see background.Mutex
}

func (c *Config) complete() error {
	if c.Store == nil || c.Log == nil {
		return errors.New("a node of several needs a store and the change log")
	}
	if c.Prefix == "" || !strings.HasSuffix(c.Prefix, "/") {
		return fmt.Errorf("prefix %q must end with a slash", c.Prefix)
	}
	c.TTL = cmp.Or(c.TTL, 10*time.Second)
	if c.TTL < minTTL || c.TTL > maxTTL {
		return fmt.Errorf("a lease's time to live must be between %s and %s", minTTL, maxTTL)
	}
	if c.Logger == nil {
		c.Logger = func() *slog.Logger { return slog.New(slog.DiscardHandler) }
	}
	return nil
}

// Leaser leases names for the requests of one node. Its methods may be called from
// several goroutines at once.
type Leaser struct {
	cfg    Config
	id     string // the owner of all leases of this node
	static bool   // alone: nothing is in the bucket
	now    func() clock.Instant
	random background.Random
	tasks  *background.Tasks
	count  counters

	// One lock guards all slots and claims; it is never held over I/O.
	mu     background.Mutex
	slots  map[uint16]*slot // that this node has had to do with
	closed bool
	// known is the share of slots, of those this node had never seen, that
	// turned out to be in the bucket: see slot.plan.
	known float64
	// unsettled are claims whose slots have changed.
	unsettled []*Claim
	serial    uint64 // of the last claim that was made

	ahead  int               // claims that seek slots and are ahead
	shares map[string]*share // by client
}

// New returns a leaser of one of several nodes. It does no I/O and starts no goroutine.
func New(cfg Config) (*Leaser, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("joining the other nodes: %w", err)
	}
	return newLeaser(cfg, cfg.Log.Now), nil
}

// NewStatic returns the leaser of the only node of a site: nothing is stored, and
// claims keep this node's own requests apart. claimsPerClient: see Config.
func NewStatic(claimsPerClient int) *Leaser {
	l := newLeaser(Config{ClaimsPerClient: claimsPerClient}, clock.System())
	l.static = true
	return l
}

func newLeaser(cfg Config, now func() clock.Instant) *Leaser {
	l := &Leaser{
		cfg: cfg, id: control.NewNonce(), now: now, random: cfg.random, tasks: background.NewTasks(),
		slots: make(map[uint16]*slot), shares: make(map[string]*share),
	}
	l.mu.Before = cfg.beforeLock
	return l
}

// Close releases all claims and gives leases back while ctx lasts; then it ends all
// that goes on in the background. No call blocks after it. It returns ctx's error if
// something was cut short: names stay taken until their leases expire.
func (l *Leaser) Close(ctx context.Context) error {
	l.tasks.Close()
	l.releaseAll()
	return l.tasks.Wait(ctx)
}

// releaseAll releases all claims.
func (l *Leaser) releaseAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, s := range l.slots {
		for _, c := range append(slices.Clone(s.queue), s.holder) {
			if c != nil {
				c.release()
			}
		}
		background.Signal(s.wake)
	}
	for _, p := range l.shares {
		for _, c := range slices.Clone(p.waiting) {
			c.release()
		}
	}
	l.settle()
}

// slot returns the slot of this number.
func (l *Leaser) slot(number uint16) *slot {
	s := l.slots[number]
	if s == nil {
		s = &slot{leaser: l, number: number, wake: make(chan struct{}, 1)}
		l.slots[number] = s
	}
	return s
}

// unsettle notes that a claim has to be looked at again.
func (l *Leaser) unsettle(c *Claim) {
	if c.listed || c.state == released {
		return
	}
	c.listed = true
	l.unsettled = append(l.unsettled, c)
}

// settle lets claims take and give back slots until none has reason to. The
// caller holds mu.
func (l *Leaser) settle() {
	for len(l.unsettled) > 0 {
		c := l.unsettled[0]
		l.unsettled = l.unsettled[1:]
		c.listed = false
		if c.state != released {
			c.takeSlots()
			c.changed()
		}
	}
}

// learn keeps the share of slots, of those this node asked for the first time,
// that exist.
func (l *Leaser) learn(exists bool) {
	l.known *= 0.9
	if exists {
		l.known += 0.1
	}
}

// Stats tells what a node has done with names since its start.
type Stats struct {
	// Leased counts names that were leased, Waited those that others held or
	// wanted first, Takeovers leases of nodes that had stopped, Expired leases
	// that this node could not renew in time, Skipped those that no node wrote.
	Leased, Waited, Takeovers, Expired, Skipped int64
	// Held is how many leases this node holds.
	Held int
}

type counters struct {
	leased, waited, takeovers, expired, skipped atomic.Int64
}

// Stats returns what the node has done.
func (l *Leaser) Stats() Stats {
	c := &l.count
	s := Stats{
		Leased: c.leased.Load(), Waited: c.waited.Load(),
		Takeovers: c.takeovers.Load(), Expired: c.expired.Load(), Skipped: c.skipped.Load(),
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, slot := range l.slots {
		if slot.status == mine {
			s.Held++
		}
	}
	return s
}
