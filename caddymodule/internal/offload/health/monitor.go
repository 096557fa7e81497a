package health

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/background"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// Queue is what waits for the bucket.
type Queue interface {
	Len() int
	// AllDue has everything tried at once that failed.
	AllDue(now time.Time)
	// AnyFull reports whether anything waits for which there was no room.
	AnyFull() bool
}

// Config describes a Monitor.
type Config struct {
	Store bucket.Store
	Queue Queue
	Log   func() *slog.Logger
	// Node names this node; Object returns the name in the store of a key's object.
	Node   func() string
	Object func(key string, class media.Class) string
	// Ours reports errors that are this node's own doing: they tell nothing of the store.
	Ours func(error) bool
}

// Monitor knows whether the bucket takes files. Its methods may be called from several
// goroutines.
type Monitor struct {
	cfg   Config
	trial trial

	mu       sync.Mutex
	failures int // in a row
	down     bool
	since    time.Time // when it began to take not all files
	next     time.Time // when down: not tried before
	reason   error
	falls    uint64 // how often an error told that it takes no files
	// short is the size of the largest object for which there was no room, 0 if there was
	// always; fits that of the largest that was stored since.
	short, fits int64
	denies      error // it takes files, but something else that is needed fails
}

// New returns a Monitor of a bucket that is taken to be well.
func New(cfg Config) *Monitor {
	return &Monitor{cfg: cfg, trial: trial{wanted: make(chan struct{}, 1), sizes: make(map[media.Class]int64)}}
}

// Fell notes an error that is the store's, with an object of a size.
func (m *Monitor) Fell(err error, size int64) {
	if !m.fell(err, size) || errors.Is(err, ErrAway) { // that has been said
		return
	}
	m.cfg.Log().Warn("the bucket does not take files; they are kept on disk and tried again until it does",
		keyBucket, m.cfg.Store.String(), keyPending, m.cfg.Queue.Len(), keyError, err)
}

// Keys of log fields.
const (
	keyBucket  = "bucket"
	keyPending = "pending"
	keyError   = "error"
	keyFor     = "for"
)

// Took notes that the bucket took an object of a size.
func (m *Monitor) Took(size int64) {
	ended, lasted := m.took(size)
	if !ended {
		return
	}
	m.cfg.Queue.AllDue(time.Now())
	m.cfg.Log().Info("the bucket takes files again", keyBucket, m.cfg.Store.String(),
		keyFor, lasted.Round(time.Millisecond), keyPending, m.cfg.Queue.Len())
}

// Answered has a bucket that takes no files tried at once, since it answered something
// else. That alone says nothing of a full disk, or of rights to read only.
func (m *Monitor) Answered() {
	if m.IsDown() {
		background.Signal(m.trial.wanted)
	}
}
