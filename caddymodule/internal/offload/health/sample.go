package health

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// maxSample bounds the objects that are looked for at one look.
const maxSample = 8

// Sample is a sample of the objects that this node stored since its last look at the
// bucket, with their ETags: a bucket that lacks one of them was put back to an older state.
// What the node itself deletes or writes over leaves it.
type Sample struct {
	mu    sync.Mutex
	n     int               // of all since then
	etags map[string]string // by the object's name
}

// Add notes an object that was stored. Each has the same chance to stay in the sample.
func (s *Sample) Add(name, etag string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	if len(s.etags) >= maxSample {
		if rand.IntN(s.n) >= maxSample {
			return
		}
		for other := range s.etags { // any
			delete(s.etags, other)
			break
		}
	}
	if s.etags == nil {
		s.etags = make(map[string]string)
	}
	s.etags[name] = etag
}

// Drop forgets objects that this node is about to change.
func (s *Sample) Drop(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		delete(s.etags, name)
	}
}

// has reports whether an object is still in the sample.
func (s *Sample) has(name, etag string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.etags[name] == etag
}

func (s *Sample) all() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.etags)
}

// Reset begins a new sample.
func (s *Sample) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n, s.etags = 0, nil
}

// Lost reports whether the store lacks any of them.
func (s *Sample) Lost(ctx context.Context, store bucket.Store) (bool, error) {
	for name, etag := range s.all() {
		info, err := store.Head(ctx, name)
		if IsOfObject(err) {
			continue // that one may be denied, others tell
		}
		if err != nil && !errors.Is(err, bucket.ErrNotFound) {
			return false, fmt.Errorf("looking for what was stored last: %w", err)
		}
		if (err != nil || info.ETag != etag) && s.has(name, etag) {
			return true, nil
		}
	}
	return false, nil
}
