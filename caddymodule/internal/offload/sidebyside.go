package offload

import (
	"fmt"
	"sync"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/health"
)

// looksAtOnce bounds the objects that are looked at, copied or deleted side by side.
const looksAtOnce = 8

// sideBySide calls f for each number below n, looksAtOnce of them at a time, waits for all
// and returns their errors by number. An error that may be about one object costs that one
// only. One of the store, or as many of no kind in a row as are at work, ends it early:
// those that were not tried have that error.
func sideBySide(n int, f func(i int) error) (errs []error) {
	errs = make([]error, n)
	var all sync.WaitGroup
	var met failures
	turn := make(chan struct{}, looksAtOnce)
	for i := range n {
		turn <- struct{}{}
		if err := met.ending(); err != nil {
			errs[i] = fmt.Errorf("not tried, as others failed: %w", err)
			<-turn
			continue
		}
		all.Go(func() {
			defer func() { <-turn }()
			errs[i] = f(i)
			met.add(errs[i])
		})
	}
	all.Wait()
	return errs
}

// failures are what was met side by side.
type failures struct {
	mu    sync.Mutex
	inRow int // of no kind: they may be the store's
	end   error
}

func (m *failures) add(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err == nil:
		m.inRow = 0
		return
	case health.IsOfObject(err):
		return
	}
	m.inRow++
	if m.end == nil && (health.IsOfStore(err) || m.inRow == looksAtOnce) {
		m.end = err
	}
}

// ending returns the error that ends it, if one does.
func (m *failures) ending() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.end
}
