package s3

import (
	"errors"
	"io"
	"sync"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// guardedBody lends the caller's body to the HTTP transport, which may read
// from it for a while after a request has failed. It notes why a body could
// not be read: the transport's own error says only that a request was short.
type guardedBody struct {
	body io.ReaderAt
	size int64

	// using is held for reading while body is read, so that release returns
	// only when nobody reads it any more. It guards no other state, and
	// nobody but release ever waits for it.
	using    sync.RWMutex
	released bool

	mu  sync.Mutex
	bad error
}

var errReleased = errors.New("the body is no longer readable")

// ReadAt implements io.ReaderAt.
func (b *guardedBody) ReadAt(p []byte, off int64) (int, error) {
	b.using.RLock()
	defer b.using.RUnlock()
	if b.released {
		return 0, errReleased
	}
	n, err := b.body.ReadAt(p, off)
	switch {
	case err == nil, errors.Is(err, io.EOF) && off+int64(n) >= b.size:
	case errors.Is(err, io.EOF):
		b.note(bucket.ShortBody(off+int64(n), b.size))
	default:
		b.note(err)
	}
	return n, err
}

func (b *guardedBody) note(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bad == nil {
		b.bad = err
	}
}

// fault returns why the body could not be read; nil if it could.
func (b *guardedBody) fault() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bad
}

// release gives the body back to the caller.
func (b *guardedBody) release() {
	b.using.Lock()
	defer b.using.Unlock()
	b.released = true
}
