package offload

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/dir"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/health"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/identity"
)

// afterRead is a store that calls a function once, when the identity was read and the
// reader does not have it yet.
type afterRead struct {
	bucket.Store
	mu   sync.Mutex
	then func()
}

func (s *afterRead) Get(ctx context.Context, key string, opts bucket.GetOptions) (*bucket.Object, error) {
	o, err := s.Store.Get(ctx, key, opts)
	s.mu.Lock()
	then := s.then
	if key == "offload/"+identity.ObjectName && err == nil {
		s.then = nil
	} else {
		then = nil
	}
	s.mu.Unlock()
	if then != nil {
		then()
	}
	return o, err
}

// A look at the identity that began before the bucket went is not believed after that
// was seen: else the bucket is back for a moment, and what it lacks then is compared.
//
// Promise 8: "A bucket that is away, empty or another's is never taken for a new one."
func TestLateLookAtTheIdentity(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	inner, err := dir.Open(s.bucket, nil)
	if err != nil {
		t.Fatal(err)
	}
	store := &afterRead{Store: inner}
	s.store = store
	s.ready()
	s.mustRequest(func() { s.write("a.jpg", "a") })
	aside := ""
	store.mu.Lock()
	store.then = func() {
		aside = s.setAside()
		if _, err := s.e.cfg.Store.Head(t.Context(), "media/a.jpg"); !errors.Is(err, health.ErrAway) {
			t.Errorf("it is not seen to be away: %v", err)
		}
	}
	store.mu.Unlock()
	if err := s.e.guard.Check(t.Context()); !errors.Is(err, health.ErrAway) {
		t.Errorf("a look that began before: %v", err)
	}
	if s.logs.count("the bucket is back") > 0 || !s.seesAway() {
		t.Errorf("it is said to be back; away: %v", s.seesAway())
	}
	s.putBack(aside)
	s.until("it to be back", func() bool { return !s.seesAway() })
	s.mustRequest(func() { s.write("b.jpg", "b") })
}
