package naming

import (
	"sync"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/lease"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// Config describes a Book.
type Config struct {
	// Leaser returns the one whose claims count by now.
	Leaser func() *lease.Leaser
	Others Others
}

// Book knows the running requests whose app may have given names: those that Ready has
// returned to.
type Book struct {
	cfg Config
	mu  sync.Mutex
	all map[*Names]struct{}
}

// NewBook returns a Book with no request in it.
func NewBook(cfg Config) *Book { return &Book{cfg: cfg, all: make(map[*Names]struct{})} }

// Begin returns the names of a request that begins after a change; none yet. They are to
// be released in any case.
func (b *Book) Begin(since uint64) *Names { return &Names{book: b, since: since} }

func (b *Book) add(n *Names) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all[n] = struct{}{}
}

func (b *Book) remove(n *Names) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.all, n)
}

// bringing calls f for each of the requests that brings a name like a key's,
// until f returns false, and reports whether there was any. f holds the names' lock.
func (b *Book) bringing(key string, f func(n *Names) bool) (found bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.all) == 0 {
		return false
	}
	stem := media.NameStem(key)
	for n := range b.all {
		if more := n.ifBrings(stem, f, &found); !more {
			break
		}
	}
	return found
}

func (n *Names) ifBrings(stem string, f func(n *Names) bool, found *bool) (more bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.stems[stem]; !ok || n.ended {
		return true
	}
	*found = true
	return f(n)
}

// Own reports whether one of the requests brought a key's name, has held its
// lease all the time, and had caught up with the change log before its app
// could choose the name.
func (b *Book) Own(key string) (own bool) {
	b.bringing(key, func(n *Names) bool {
		own = n.held()
		return !own
	})
	return own
}

// Wrote notes that a file was written, on the requests that brought its name.
func (b *Book) Wrote(key string) {
	b.bringing(key, func(n *Names) bool {
		n.wrote = true
		return true
	})
}

// Lost notes that a file, written by the app of this node at change gen, did
// not get its name: for the request that brought the name, or else for all in
// whose time it was written.
func (b *Book) Lost(key string, gen uint64) {
	note := func(n *Names) bool {
		n.lost = append(n.lost, key)
		return true
	}
	if b.bringing(key, note) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for n := range b.all {
		if n.since < gen {
			n.mu.Lock()
			note(n)
			n.mu.Unlock()
		}
	}
}

// Stored notes a version that is about to be written to the change log.
func (b *Book) Stored(key, etag string) {
	b.bringing(key, func(n *Names) bool {
		if n.stored == nil {
			n.stored = make(map[string]string)
		}
		n.stored[key] = etag
		return true
	})
}

// maxContested bounds the keys that a request remembers of others' deletes.
const maxContested = 1000

// Contested notes that another node has told to put an end to a version.
func (b *Book) Contested(key, etag string) {
	b.bringing(key, func(n *Names) bool {
		if n.contested == nil {
			n.contested = make(map[string]string)
		}
		if len(n.contested) < maxContested {
			n.contested[key] = etag
		}
		return true
	})
}
