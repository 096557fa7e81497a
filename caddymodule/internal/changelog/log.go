package changelog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/background"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/clock"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/control"
)

// Errors of a Log.
var (
	// ErrClosed: the log was closed before the work was done.
	ErrClosed = background.ErrClosed
	// ErrNotJoined: Join has not succeeded yet.
	ErrNotJoined = errors.New("the change log has not been found yet")
)

// Bounds of waiting.
const (
	// callTimeout ends a call of the store; what came of it is unknown then.
	callTimeout = 10 * time.Second
	// A failed call is repeated after a random time up to retryMin, doubled
	// with each failure up to retryMax.
	retryMin = 50 * time.Millisecond
	retryMax = 2 * time.Second
	// fresh is how long it may be since the cursor was at the log's end for an
	// absent entry to be believed absent, and not trimmed, without a listing: the
	// log keeps what was written since for very much longer.
	fresh = time.Minute
)

// Keys of log attributes.
const (
	keyError  = "error"
	keyObject = "object_key"
	keyNext   = "next"
)

// Config says where a site's change log is and who is told of changes.
type Config struct {
	// Store holds the log; its probe said that it Coordinates.
	Store bucket.Store
	// Prefix of control objects in the store, ending in a slash: "offload/".
	Prefix string

	// Apply gets what others changed, in the log's order, one call at a time.
	// It must be quick (it only queues): who catches up waits for it.
	Apply func(changes []Change)
	// Lost says that entries of the log were missed (it was trimmed while this
	// node was away, has a hole, or one that cannot be read). The log is followed
	// behind them; the caller must compare disk and bucket as a whole. It is called
	// between calls of Apply, and must be as quick.
	Lost func()

	// Logger returns the logger of the moment.
	Logger func() *slog.Logger

	// Poll is the time between looks for others' changes when nothing asks for
	// them sooner. Default: 1s.
	Poll time.Duration

	// Testing is for tests only.
	Testing Testing
}

// Testing is what tests set, of this package and of those that use it. The zero value
// changes nothing.
type Testing struct {
	KeepEntries uint64 // instead of keepEntries
	KeepAge     time.Duration
	Fresh       time.Duration
	Clock       func() clock.Instant
	Random      background.Random
	BeforeLock  func() // see background.Mutex
}

func (c *Config) complete() error {
	if c.Store == nil || c.Apply == nil || c.Lost == nil {
		return errors.New("a node of several needs a store and who is told of changes")
	}
	if c.Prefix == "" || !strings.HasSuffix(c.Prefix, "/") {
		return fmt.Errorf("prefix %q must end with a slash", c.Prefix)
	}
	c.Poll = cmp.Or(c.Poll, time.Second)
	if c.Poll < 0 {
		return errors.New("the poll interval must be positive")
	}
	if c.Logger == nil {
		c.Logger = func() *slog.Logger { return slog.New(slog.DiscardHandler) }
	}
	t := &c.Testing
	t.KeepEntries = cmp.Or(t.KeepEntries, keepEntries)
	t.KeepAge = cmp.Or(t.KeepAge, keepAge)
	t.Fresh = cmp.Or(t.Fresh, fresh)
	if t.Clock == nil {
		t.Clock = clock.System()
	}
	return nil
}

// Log is a node's place in the change log: what it has read, who waits for more to be
// read, and what it is about to append. Its methods may be called from several
// goroutines at once.
type Log struct {
	cfg       Config
	id        string // the writer of all this node appends
	prefix    string // of entries
	tasks     *background.Tasks
	random    background.Random
	count     counters
	strayOnce sync.Once

	mu     background.Mutex
	joined bool
	// next is the number of the next entry to read: all before it were given
	// to Apply or are this node's own.
	next uint64
	// synced is when the last look began that read the log to its end.
	synced clock.Instant
	// proved is a moment at which the log had no entry yet from next on.
	proved clock.Instant
	// jumps counts how often the cursor was set to the log's end.
	jumps int
	// doubted: a listing is to show that the log goes on at next.
	doubted bool
	unread  unread
	// seen are entries that were read or written since Continues asked last.
	seen    []uint64
	watched map[uint64]*watched // by number
	// rival is when another node's entry was last read.
	rival clock.Instant

	following bool // the follower's goroutine runs
	looks     []*Look
	asked     uint64 // counts looks
	readErr   error  // of the last try; nil when it went well
	failures  int    // in a row

	pending  []*appendCall
	expected expectations
	flushing bool   // the flusher's goroutine runs
	batch    *batch // being appended
	writeErr error  // of the last try
	// roundTrip is about how long a write takes; rests are measured by it.
	roundTrip time.Duration
	yielding  yielding
}

// New returns a change log that is not followed yet. It does no I/O and starts no
// goroutine.
func New(cfg Config) (*Log, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("joining the other nodes: %w", err)
	}
	l := &Log{
		cfg: cfg, id: control.NewNonce(), prefix: cfg.Prefix + "log/",
		tasks: background.NewTasks(), random: cfg.Testing.Random, watched: make(map[uint64]*watched),
	}
	l.mu.Before = cfg.Testing.BeforeLock
	l.expected = expectations{stems: make(map[string]int), fewer: make(chan struct{}, 1)}
	return l, nil
}

// Join follows the log from behind the entry to which an earlier process of this
// node had come; from the log's end if that is not known (0), or if the log does not
// go on there any more. It comes before the first listing of the media, so that
// nothing falls between the two. goesOn is whether the node hears of all that came
// after that entry. It may be repeated when it failed.
func (l *Log) Join(ctx context.Context, after uint64) (goesOn bool, err error) {
	if l.tasks.IsClosing() {
		return false, ErrClosed
	}
	began := l.Now()
	var at surroundings // of nothing, if it is not known
	if after > 0 {
		if at, err = l.around(ctx, after+1); err != nil {
			return false, fmt.Errorf("looking where the change log goes on: %w", err)
		}
		goesOn = at.follows()
	}
	end := after
	if !goesOn && !at.goesOnBeyond(after+1) {
		log, err := l.longest(ctx)
		if err != nil {
			return false, fmt.Errorf("finding the end of the change log: %w", err)
		}
		end = log.last
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.joined:
	case at.goesOnBeyond(after + 1):
		l.joined, l.next = true, at.beyond
		l.steppedOver(after+1, at.beyond)
	case at.there && goesOn:
		l.joined, l.next = true, after+1
	default:
		l.joined, l.next, l.synced, l.proved = true, end+1, began, began
	}
	return goesOn, nil
}

// Close lets appends under way end, while ctx lasts; then it ends all that goes on in
// the background. No call blocks after it. It returns ctx's error if something was cut
// short: appends whose callers got an error may still be in the log.
func (l *Log) Close(ctx context.Context) error {
	l.tasks.Close()
	return l.tasks.Wait(ctx)
}

// Now is the moment by the clocks by which the log measures.
func (l *Log) Now() clock.Instant { return l.cfg.Testing.Clock() }

// Place is how far the node is in the log.
type Place struct {
	// Next is the number of the next entry to read, 0 before Join.
	Next uint64
	// Synced is when the last look began that read the log to its end.
	Synced clock.Instant
}

// Place returns how far the node is.
func (l *Log) Place() Place {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Place{Next: l.next, Synced: l.synced}
}

func (l *Log) entryKey(number uint64) string { return l.prefix + entryName(number) }

// getEntry reads an entry. What is in the bucket may be of any size: no time is spent
// on one that is larger than any node writes.
func (l *Log) getEntry(number uint64) ([]byte, error) {
	data, _, err := control.Get(l.tasks.Context(), l.cfg.Store, l.entryKey(number), maxEntry, callTimeout)
	return data, err
}
