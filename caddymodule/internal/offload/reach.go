package offload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

const (
	// reachPatience is how long calls for control objects may fail before
	// requests no longer wait for the bucket.
	reachPatience = 3 * time.Second
	// slowCall is how long one of them may take without being taken for one
	// that is never answered.
	slowCall = 5 * time.Second
)

// reach knows whether control objects can be read and written: change log and
// leases are tried again without end, but no request should wait for that.
// (Health is about media: what one may do, the other may be denied.)
type reach struct {
	changed func() // called after it was lost or found again

	mu     sync.Mutex
	since  time.Time // of the first failure since the last success
	reason error     // the last failure; nil after a success
	lost   bool
	up     context.Context // ends when reach is lost
	fall   context.CancelCauseFunc
}

func (r *reach) init(changed func()) {
	r.changed = changed
	r.up, r.fall = context.WithCancelCause(context.Background())
}

// failed notes a failure. certain: there is no use in waiting for another.
func (r *reach) failed(err error, certain bool) {
	r.mu.Lock()
	now := time.Now()
	if r.reason == nil {
		r.since = now
	}
	r.reason = err
	falls := !r.lost && (certain || now.Sub(r.since) >= reachPatience)
	if falls {
		r.lost = true
		r.fall(err)
	}
	r.mu.Unlock()
	if falls {
		r.changed()
	}
}

func (r *reach) succeeded() {
	r.mu.Lock()
	rises := r.lost
	r.reason, r.lost = nil, false
	if rises {
		r.up, r.fall = context.WithCancelCause(context.Background())
	}
	r.mu.Unlock()
	if rises {
		r.changed()
	}
}

// status returns why control objects are out of reach, or nil.
func (r *reach) status() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.lost {
		return nil
	}
	return r.reason
}

// during returns a context that ends with ctx or, with the reason as its cause,
// when reach is lost. done frees it.
func (r *reach) during(ctx context.Context) (_ context.Context, done func()) {
	r.mu.Lock()
	up := r.up
	r.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(up, func() { cancel(context.Cause(up)) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// call begins a call of the store; done notes how it ended.
func (r *reach) call() (done func(error)) {
	slow := time.AfterFunc(slowCall, func() {
		r.failed(fmt.Errorf("the bucket has not answered for %s", slowCall), true)
	})
	return func(err error) {
		slow.Stop()
		switch {
		case err == nil, errors.Is(err, bucket.ErrNotFound), errors.Is(err, bucket.ErrExists), errors.Is(err, bucket.ErrChanged), errors.Is(err, bucket.ErrTooLarge):
			r.succeeded()
		case errors.Is(err, context.Canceled): // given up on this side
		default:
			r.failed(err, adminOnly(err) || isAway(err))
		}
	}
}

// controlStore is the store as it is used for control objects.
type controlStore struct {
	bucket.Store
	reach  *reach
	prefix string // of control objects
}

func (s controlStore) Put(ctx context.Context, key string, body io.ReaderAt, size int64, opts bucket.PutOptions) (bucket.Info, error) {
	done := s.reach.call()
	info, err := s.Store.Put(ctx, key, body, size, opts)
	if errors.Is(err, bucket.ErrRefused) && s.makeWay(ctx, key) {
		info, err = s.Store.Put(ctx, key, body, size, opts)
	}
	done(err)
	return info, err
}

// makeWay deletes an object that has the name of the directory of a control object,
// which a store that keeps files cannot hold then. No node writes such an object, and
// with it there somebody else would have ended all leases, or the change log.
func (s controlStore) makeWay(ctx context.Context, key string) bool {
	dir, _ := splitLast(key)
	if !strings.HasPrefix(dir, s.prefix) {
		return false
	}
	_, err := s.Head(ctx, dir)
	return err == nil && s.Delete(ctx, dir) == nil
}

func (s controlStore) Get(ctx context.Context, key string, opts bucket.GetOptions) (*bucket.Object, error) {
	done := s.reach.call()
	o, err := s.Store.Get(ctx, key, opts)
	done(err)
	return o, err
}

func (s controlStore) ListNames(ctx context.Context, prefix, after string) iter.Seq2[bucket.Info, error] {
	return func(yield func(bucket.Info, error) bool) {
		done, first := s.reach.call(), true
		for info, err := range s.Store.ListNames(ctx, prefix, after) {
			if first || err != nil {
				done(err)
				first = false
			}
			if !yield(info, err) {
				return
			}
		}
		if first {
			done(nil)
		}
	}
}
