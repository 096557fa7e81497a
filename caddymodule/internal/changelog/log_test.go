package changelog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/dir"
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

// seen is what a node was told.
type seen struct {
	mu      sync.Mutex
	changes []Change
	lost    int
}

func (s *seen) apply(changes []Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes = append(s.changes, changes...)
}

func (s *seen) miss() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost++
}

func (s *seen) keys() (keys []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.changes {
		keys = append(keys, c.Key)
	}
	return keys
}

// join returns a node that has joined and its record; it is closed at the end.
func join(t testing.TB, store bucket.Store, change ...func(*Config)) (*Log, *seen) {
	t.Helper()
	s := &seen{}
	cfg := Config{Store: store, Prefix: "offload/", Apply: s.apply, Lost: s.miss}
	for _, c := range change {
		c(&cfg)
	}
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := n.Close(ctx); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	if _, err := n.Join(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	return n, s
}

func putOf(key string) Change {
	return Change{Op: Put, Key: key, Class: media.Public, Size: 1, ModTime: time.Unix(1, 2).UTC(), ETag: "abc"}
}

// set stores an object, whatever is there.
func set(store *buckettest.Memory, key, content string) {
	_, _ = buckettest.PutText(context.Background(), store, key, content, bucket.PutOptions{})
}

func TestAppendIsSeen(t *testing.T) {
	store := openDir(t)
	a, sawA := join(t, store)
	b, sawB := join(t, store)
	for i := range 5 {
		if err := a.Append(t.Context(), putOf(fmt.Sprint("a", i))); err != nil {
			t.Fatal(err)
		}
		if err := b.Append(t.Context(), putOf(fmt.Sprint("b", i))); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []*Log{a, b} {
		if err := n.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := sawA.keys(); !slices.Equal(got, []string{"b0", "b1", "b2", "b3", "b4"}) {
		t.Errorf("a saw %v", got)
	}
	if got := sawB.keys(); !slices.Equal(got, []string{"a0", "a1", "a2", "a3", "a4"}) {
		t.Errorf("b saw %v", got)
	}
	if c := sawA.changes[0]; c != putOf("b0") {
		t.Errorf("the change came as %+v", c)
	}
}

func TestWaitEndsWithContext(t *testing.T) {
	store := buckettest.NewFaulty(openDir(t), nil)
	n, _ := join(t, store)
	store.SetHook(buckettest.Always(buckettest.Fault{Before: buckettest.ErrInjected}))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for what, err := range map[string]error{"CatchUp": n.CatchUp(ctx), "Append": n.Append(ctx, putOf("a"))} {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", what, err)
		}
	}
	store.SetHook(nil)
}
