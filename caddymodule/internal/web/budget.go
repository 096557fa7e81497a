package web

import "sync"

// budget is room that all requests share: how long each keeps its part is its client's to
// say.
type budget struct {
	limit, each int64 // of all, and of one client; 0: as much as there is

	mu   sync.Mutex
	used int64
	by   map[string]int64 // by client
}

// share is what one request has of a budget. It belongs to one goroutine at a time.
type share struct {
	of     *budget
	client string // "": not known, nobody's
	taken  int64
}

// take reports whether n bytes more are the request's now.
func (s *share) take(n int) bool {
	b := s.of
	b.mu.Lock()
	defer b.mu.Unlock()
	bounded := b.each > 0 && s.client != ""
	if b.used+int64(n) > b.limit || bounded && b.by[s.client]+int64(n) > b.each {
		return false
	}
	b.used += int64(n)
	s.taken += int64(n)
	if bounded {
		if b.by == nil {
			b.by = make(map[string]int64)
		}
		b.by[s.client] += int64(n)
	}
	return true
}

// free gives all of it back.
func (s *share) free() {
	b := s.of
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= s.taken
	if _, ok := b.by[s.client]; ok {
		if b.by[s.client] -= s.taken; b.by[s.client] == 0 {
			delete(b.by, s.client)
		}
	}
	s.taken = 0
}

// inUse is how much of the budget is taken.
func (b *budget) inUse() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}
