package offload

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// maxStored bounds the objects that are looked for at one look.
const maxStored = 8

// stored is a sample of the objects that this node stored since its last look at the
// bucket, with their ETags: a bucket that lacks one of them was put back to an older state.
// What the node itself deletes or writes over leaves it.
type stored struct {
	mu    sync.Mutex
	n     int               // of all since then
	etags map[string]string // by the object's name
}

// add notes an object that was stored. Each has the same chance to stay in the sample.
func (s *stored) add(name, etag string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	if len(s.etags) >= maxStored {
		if rand.IntN(s.n) >= maxStored {
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

// drop forgets objects that this node is about to change.
func (s *stored) drop(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		delete(s.etags, name)
	}
}

// has reports whether an object is still in the sample.
func (s *stored) has(name, etag string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.etags[name] == etag
}

// sample returns the sample.
func (s *stored) sample() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.etags)
}

// reset begins a new sample.
func (s *stored) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n, s.etags = 0, nil
}

// lacksStored reports whether the bucket lacks what this node stored since the last look.
func (e *Engine) lacksStored(ctx context.Context) (bool, error) {
	for name, etag := range e.stored.sample() {
		info, err := e.store.Head(ctx, name)
		if isOfObject(err) {
			continue // that one may be denied, others tell
		}
		if err != nil && !errors.Is(err, bucket.ErrNotFound) {
			return false, fmt.Errorf("looking for what was stored last: %w", err)
		}
		if (err != nil || info.ETag != etag) && e.stored.has(name, etag) {
			return true, nil
		}
	}
	return false, nil
}
