package naming

import "sync"

// Known says whether the names of all media are known, for who waits for that.
type Known struct {
	mu    sync.Mutex
	all   bool
	moved chan struct{} // closed with each change of it, or of the reason
}

// NewKnown returns one that says no.
func NewKnown() *Known { return &Known{moved: make(chan struct{})} }

// Set notes whether they are.
func (k *Known) Set(all bool) {
	k.mu.Lock()
	k.all = all
	k.mu.Unlock()
	k.Nudge()
}

// Nudge wakes who waits, to look at why they are not.
func (k *Known) Nudge() {
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.moved)
	k.moved = make(chan struct{})
}

// All reports whether they are; moved is closed when that may have changed.
func (k *Known) All() (all bool, moved <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.all, k.moved
}
