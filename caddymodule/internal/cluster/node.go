package cluster

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// Errors of a Node.
var (
	// ErrClosed: the node was closed before the work was done.
	ErrClosed = errors.New("the node is closed")
	// ErrNotJoined: Join has not succeeded yet.
	ErrNotJoined = errors.New("the change log has not been found yet")
	// ErrTooManyNames: a claim has more names than MaxNames; those above are
	// not leased.
	ErrTooManyNames = errors.New("too many names for one request")
)

// Bounds of waiting.
const (
	// callTimeout ends a call of the store; what came of it is unknown then.
	callTimeout = 10 * time.Second
	// A failed call is repeated after a random time up to retryMin, doubled
	// with each failure up to retryMax.
	retryMin = 50 * time.Millisecond
	retryMax = 2 * time.Second
)

// Config says where a site's log and leases are and who is told of changes.
type Config struct {
	// Store holds log and leases; its probe said that it Coordinates.
	Store bucket.Store
	// Prefix of control objects in the store, ending in a slash: "offload/".
	Prefix string

	// Apply gets what others changed, in the log's order, one call at a time.
	// It must be quick (it only queues): who catches up waits for it.
	Apply func(changes []Change)
	// Lost says that entries of the log were missed (it was trimmed while this
	// node was away, or has a hole). The log is followed from its present end
	// again; the caller must compare disk and bucket as a whole. It is called
	// between calls of Apply, and must be as quick.
	Lost func()

	// Log returns the logger of the moment.
	Log func() *slog.Logger

	// Poll is the time between looks for others' changes when nothing asks for
	// them sooner. Default: 1s.
	Poll time.Duration
	// LeaseTTL is how long a crashed node keeps its names. Default: 10s, at
	// least 3s.
	LeaseTTL time.Duration
	// ClaimsPerClient is how many claims of one client seek names or have them at
	// the same time; further ones wait for one of these. Default: any number.
	ClaimsPerClient int

	// For tests. Defaults: keepEntries, keepAge, fresh, systemClock, the program's
	// random numbers and nothing.
	keepEntries uint64
	keepAge     time.Duration
	fresh       time.Duration
	clock       func() instant
	random      func(n int64) int64
	preempt     func() // see mutex
}

func (c *Config) complete() error {
	if c.Store == nil || c.Apply == nil || c.Lost == nil {
		return errors.New("a node of several needs a store and who is told of changes")
	}
	if c.Prefix == "" || !strings.HasSuffix(c.Prefix, "/") {
		return fmt.Errorf("prefix %q must end with a slash", c.Prefix)
	}
	setDefault(&c.Poll, time.Second)
	setDefault(&c.LeaseTTL, 10*time.Second)
	setDefault(&c.keepEntries, keepEntries)
	setDefault(&c.keepAge, keepAge)
	setDefault(&c.fresh, fresh)
	if c.Poll < 0 || c.LeaseTTL < minTTL || c.LeaseTTL > maxTTL {
		return fmt.Errorf("the poll interval must be positive, a lease's time to live between %s and %s", minTTL, maxTTL)
	}
	if c.Log == nil {
		c.Log = func() *slog.Logger { return slog.New(slog.DiscardHandler) }
	}
	if c.clock == nil {
		c.clock = systemClock()
	}
	if c.random == nil {
		c.random = mathrand.Int64N
	}
	return nil
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Node is one server's part in the site. Its methods may be called from
// several goroutines at once.
type Node struct {
	cfg    Config
	id     string // the writer and owner in all this node writes
	static bool   // alone: nothing is in the bucket

	log    changeLog
	leases leases
	count  counters

	ctx  context.Context // ends when Close has waited long enough
	kill context.CancelFunc

	life    sync.Mutex
	closing chan struct{}  // closed by Close
	closed  bool           // under life
	tasks   sync.WaitGroup // goroutines of the node
}

// New returns a node of several: change log and leases are in the bucket. It
// does no I/O and starts no goroutine.
func New(cfg Config) (*Node, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("joining the other nodes: %w", err)
	}
	return newNode(cfg), nil
}

// NewStatic returns the only node of a site: there is no log, nothing is
// stored, and claims keep this node's own requests apart. claimsPerClient: see
// Config.
func NewStatic(claimsPerClient int) *Node {
	n := newNode(Config{clock: systemClock(), ClaimsPerClient: claimsPerClient})
	n.static = true
	return n
}

func newNode(cfg Config) *Node {
	n := &Node{cfg: cfg, id: newNonce(), closing: make(chan struct{})}
	n.ctx, n.kill = context.WithCancel(context.Background())
	n.log.node = n
	n.log.mu.before = n.cfg.preempt
	n.log.prefix = cfg.Prefix + "log/"
	n.log.expected = expectations{stems: make(map[string]int), fewer: make(chan struct{}, 1)}
	n.leases.init(n)
	return n
}

// Static reports whether the node is the only one of its site.
func (n *Node) Static() bool { return n.static }

// Run looks for others' changes every Poll and trims the log about once an
// hour, until ctx ends. It is to run once, for as long as the node takes part;
// before Join it waits.
func (n *Node) Run(ctx context.Context) {
	if n.static {
		<-ctx.Done()
		return
	}
	n.log.run(ctx)
}

// Close lets appends under way end and gives leases back, while ctx lasts; then
// it ends all that the node does in the background. Claims are released. No
// call blocks after it. It returns ctx's error if something was cut short:
// appends whose callers got an error may still be in the log, and names stay
// taken until their leases expire.
func (n *Node) Close(ctx context.Context) error {
	n.life.Lock()
	first := !n.closed
	n.closed = true
	if first {
		close(n.closing)
	}
	n.life.Unlock()
	n.leases.close()
	done := make(chan struct{})
	go func() {
		n.tasks.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("leaving the other nodes: %w", ctx.Err())
	}
	n.kill()
	<-done
	return err
}

// begin starts a goroutine of the node, unless the node is closed.
func (n *Node) begin(task func()) bool {
	n.life.Lock()
	defer n.life.Unlock()
	if n.closed {
		return false
	}
	n.tasks.Go(task)
	return true
}

// goOn is begin for goroutines that the node has already: what they do may end
// in peace.
func (n *Node) goOn(task func()) bool {
	n.tasks.Go(task)
	return true
}

func (n *Node) isClosing() bool {
	select {
	case <-n.closing:
		return true
	default:
		return false
	}
}

func (n *Node) now() instant { return n.cfg.clock() }

// put stores a small object and bounds the call.
func (n *Node) put(key string, data []byte, timeout time.Duration, opts bucket.PutOptions) (bucket.Info, error) {
	ctx, cancel := context.WithTimeout(n.ctx, timeout)
	defer cancel()
	opts.ContentType = "application/json"
	return n.cfg.Store.Put(ctx, key, bytes.NewReader(data), int64(len(data)), opts)
}

// getEntry reads an entry of the change log; data is nil if it is larger than any
// node writes. What is in the bucket may be of any size: no time is spent on it.
func (n *Node) getEntry(key string) (data []byte, err error) {
	data, _, err = n.get(key, bucket.GetOptions{AtMost: maxEntry}, maxEntry, callTimeout)
	if errors.Is(err, bucket.ErrTooLarge) {
		return nil, nil
	}
	return data, err
}

// get reads a small object. data is nil if the object is larger than limit.
func (n *Node) get(key string, opts bucket.GetOptions, limit int64, timeout time.Duration) (data []byte, info bucket.Info, err error) {
	ctx, cancel := context.WithTimeout(n.ctx, timeout)
	defer cancel()
	object, err := n.cfg.Store.Get(ctx, key, opts)
	if err != nil {
		return nil, bucket.Info{}, err
	}
	defer object.Body.Close()
	if object.Size > limit {
		return nil, object.Info, nil
	}
	data, err = io.ReadAll(io.LimitReader(object.Body, limit+1))
	if err != nil {
		return nil, bucket.Info{}, fmt.Errorf("reading %s: %w", key, err)
	}
	if int64(len(data)) > limit {
		return nil, object.Info, nil
	}
	return data, object.Info, nil
}

// newNonce returns a random text of 26 characters.
func newNonce() string { return rand.Text() }

// jitter returns a random time below limit.
func (n *Node) jitter(limit time.Duration) time.Duration {
	return time.Duration(n.cfg.random(int64(max(limit, 1))))
}

// backoff returns a random time below low·2ⁿ⁻¹, at most high ("full jitter"),
// but not so little that it were none.
func (n *Node) backoff(tries int, low, high time.Duration) time.Duration {
	limit := high
	if tries < 20 {
		limit = min(high, low<<max(0, tries-1))
	}
	return limit/8 + n.jitter(limit-limit/8)
}

// pause waits; false if done was closed meanwhile.
func pause(done <-chan struct{}, d time.Duration) bool {
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
