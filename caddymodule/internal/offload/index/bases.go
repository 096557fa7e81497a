package index

import (
	"hash/maphash"
	"sync"
)

// maxHeld bounds the keys of which the version is remembered, at 20 to 40 bytes
// each. What comes beyond is known from the index and the marks only.
const maxHeld = 1 << 22

// bases remembers of all keys which version of the object this disk held last: the base
// of a file that the app replaced or deleted, whose mark went with it. It takes a few bytes
// for each key, so it outlives what the index knows.
//
// Keys and ETags are kept as hashes that no client can foresee. Two of a million
// keys share one with a probability of 1 in 30 million.
type bases struct {
	seed maphash.Seed

	mu sync.Mutex
	of map[uint64]uint64 // ETag by key
}

func newBases() *bases { return &bases{seed: maphash.MakeSeed(), of: make(map[uint64]uint64)} }

// set notes that the disk holds a version.
func (h *bases) set(key, etag string) {
	k, v := maphash.String(h.seed, key), maphash.String(h.seed, etag)
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.of[k]; ok || len(h.of) < maxHeld {
		h.of[k] = v
	}
}

// learn is set, unless a version is known already: that is newer.
func (h *bases) learn(key, etag string) {
	if !h.any(key) {
		h.set(key, etag)
	}
}

// expect notes that the disk is about to hold a version, and returns what takes
// that back.
func (h *bases) expect(key, etag string) (undo func()) {
	k := maphash.String(h.seed, key)
	h.mu.Lock()
	was, ok := h.of[k]
	h.mu.Unlock()
	h.set(key, etag)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.of, k)
		if ok {
			h.of[k] = was
		}
	}
}

// drop notes that the disk holds no version.
func (h *bases) drop(key string) {
	k := maphash.String(h.seed, key)
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.of, k)
}

// any reports whether the disk is known to hold a version of a key.
func (h *bases) any(key string) bool {
	k := maphash.String(h.seed, key)
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.of[k]
	return ok
}

// is reports whether a version is the one that this disk held last.
func (h *bases) is(key, etag string) bool {
	k, v := maphash.String(h.seed, key), maphash.String(h.seed, etag)
	h.mu.Lock()
	defer h.mu.Unlock()
	was, ok := h.of[k]
	return ok && was == v
}
