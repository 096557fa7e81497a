package lease

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/dir"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openDir(t testing.TB) bucket.Store {
	t.Helper()
	store, err := dir.Open(filepath.Join(t.TempDir(), "bucket"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// linkTo returns a way to the store of which there and back take so long.
func linkTo(store *buckettest.Memory, latency time.Duration) *buckettest.Link {
	return buckettest.NewLink(store, rand.New(rand.NewPCG(rand.Uint64(), 5)), buckettest.Way{Latency: latency / 2})
}

// node is what a node has of leases and the change log.
type node struct {
	*Leaser
	log *changelog.Log // nil: it is alone
}

// alone returns the only node of a site.
func alone(claimsPerClient int) *node { return &node{Leaser: NewStatic(claimsPerClient)} }

// newNode returns one of several nodes.
func newNode(cfg Config, logConfig changelog.Config) (*node, error) {
	logConfig.Store, logConfig.Prefix = cfg.Store, cfg.Prefix
	log, err := changelog.New(logConfig)
	if err != nil {
		return nil, err
	}
	cfg.Log = log
	leaser, err := New(cfg)
	return &node{Leaser: leaser, log: log}, err
}

func (n *node) append(ctx context.Context, changes ...changelog.Change) error {
	return n.log.Append(ctx, changes...)
}

// Close closes both at the same time.
func (n *node) Close(ctx context.Context) error {
	closed := make(chan error, 1)
	go func() { closed <- n.Leaser.Close(ctx) }()
	var err error
	if n.log != nil {
		err = n.log.Close(ctx)
	}
	return errors.Join(err, <-closed)
}

// seen is what a node was told.
type seen struct {
	mu   sync.Mutex
	all  []string // keys
	lost int
}

func (s *seen) apply(changes []changelog.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range changes {
		s.all = append(s.all, c.Key)
	}
}

func (s *seen) miss() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost++
}

func (s *seen) keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}

// join returns a node that has joined and its record; it is closed at the end.
func join(t testing.TB, store bucket.Store, change ...func(*Config)) (*node, *seen) {
	t.Helper()
	cfg := Config{Store: store, Prefix: "offload/"}
	for _, c := range change {
		c(&cfg)
	}
	s := &seen{}
	n, err := newNode(cfg, changelog.Config{Apply: s.apply, Lost: s.miss})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := n.Close(ctx); err != nil && !errors.Is(err, buckettest.ErrInjected) {
			t.Errorf("closing: %v", err)
		}
	})
	for _, err = n.log.Join(t.Context(), 0); err != nil; _, err = n.log.Join(t.Context(), 0) {
		if !errors.Is(err, buckettest.ErrInjected) {
			t.Fatal(err)
		}
	}
	return n, s
}

func changed(key string) changelog.Change {
	return changelog.Change{Op: changelog.Put, Key: key, Class: media.Public}
}
