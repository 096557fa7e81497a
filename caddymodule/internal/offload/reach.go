package offload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/background"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/health"
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
	// unwritable: a write met what reads do not meet (a full disk, rights to read only).
	// Until another write has succeeded a read is no success.
	unwritable bool
	// shut is the part of the control objects (the log, the leases) of which an object that
	// nobody wrote meets what the last one met that was doubted: until it does no more, what
	// others answer is no success.
	shut string
	lost bool
	part string // of the last object of which an answer was doubted
	// doubted: an answer was about one object, perhaps; another has to tell.
	doubted chan struct{}
	up      context.Context // ends when reach is lost
	fall    context.CancelCauseFunc
}

func (r *reach) init(changed func()) {
	r.changed, r.doubted = changed, make(chan struct{}, 1)
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

// succeeded notes that a call came through.
func (r *reach) succeeded(write bool) {
	r.mu.Lock()
	if r.unwritable && !write || r.shut != "" {
		r.mu.Unlock()
		return
	}
	rises := r.lost
	r.reason, r.lost, r.unwritable = nil, false, false
	if rises {
		r.up, r.fall = context.WithCancelCause(context.Background())
	}
	r.mu.Unlock()
	if rises {
		r.changed()
	}
}

// cannotWrite notes that a write met what reads do not meet.
func (r *reach) cannotWrite() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unwritable = true
}

// needsTry reports whether a try has to tell that control objects can be used again.
func (r *reach) needsTry() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unwritable || r.shut != ""
}

// doubt has other objects tell whether an answer was about one object.
func (r *reach) doubt(part string) {
	r.mu.Lock()
	r.part = part
	r.mu.Unlock()
	background.Signal(r.doubted)
}

// doubtedPart returns the part of the control objects of which another has to tell.
func (r *reach) doubtedPart() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return cmp.Or(r.shut, r.part)
}

// partAnswered notes what another object of a part met.
func (r *reach) partAnswered(part string, err error) {
	r.mu.Lock()
	if r.shut = ""; health.IsOfObject(err) {
		r.shut = part
	}
	r.part = ""
	r.mu.Unlock()
	if health.IsOfObject(err) {
		r.failed(err, true)
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
func (r *reach) call(write bool, part string) (done func(error)) {
	slow := time.AfterFunc(slowCall, func() {
		r.failed(fmt.Errorf("the bucket has not answered for %s", slowCall), true)
	})
	return func(err error) {
		slow.Stop()
		if health.IsOfObject(err) {
			r.doubt(part)
			return
		}
		r.ended(write, err)
	}
}

// ended notes how a call ended that tells of the bucket as a whole.
func (r *reach) ended(write bool, err error) {
	switch {
	case err == nil:
		r.succeeded(write)
	case errors.Is(err, bucket.ErrNotFound), errors.Is(err, bucket.ErrExists), errors.Is(err, bucket.ErrChanged), errors.Is(err, bucket.ErrTooLarge):
		r.succeeded(false) // it answers; a condition may be looked at before anything is written
	case errors.Is(err, context.Canceled): // given up on this side
	default:
		if write && (errors.Is(err, bucket.ErrDenied) || health.IsFull(err)) {
			r.cannotWrite()
		}
		r.failed(err, health.IsOfStore(err))
	}
}

// tryControl tries another control object when it takes that to tell how the bucket is:
// while uploads are refused for what only writes meet, nothing else writes; and what was
// answered about one object may hold for all.
func (e *Engine) tryControl() {
	tick := time.NewTicker(health.RetryMax)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if !e.reach.needsTry() {
				continue
			}
		case <-e.reach.doubted:
		case <-e.life.Done():
			return
		}
		ctx, cancel := context.WithTimeout(e.life, callTimeout)
		e.tryOne(ctx)
		cancel()
	}
}

// tryOne tries a control object of its own, and before that one beside the object of which
// an answer was doubted.
func (e *Engine) tryOne(ctx context.Context) {
	probe := bucket.ProbeName + e.team.self()
	if part := e.reach.doubtedPart(); part != "" {
		e.reach.partAnswered(part, e.tryControlObject(ctx, part+probe))
	}
	e.reach.ended(true, e.tryControlObject(ctx, e.cfg.ControlPrefix+probe))
}

// tryControlObject writes, reads and removes a control object that no other node writes.
func (e *Engine) tryControlObject(ctx context.Context, name string) error {
	_, err := e.store.Put(ctx, name, strings.NewReader("x"), 1, bucket.PutOptions{})
	if err == nil {
		_, err = e.store.Head(ctx, name)
	}
	_ = e.store.Delete(ctx, name) // the next one does, else
	return err
}

// controlStore is the store as it is used for control objects.
type controlStore struct {
	bucket.Store
	reach  *reach
	prefix string // of control objects
}

func (e *Engine) control() controlStore {
	return controlStore{e.store, &e.reach, e.cfg.ControlPrefix}
}

func (s controlStore) Put(ctx context.Context, key string, body io.ReaderAt, size int64, opts bucket.PutOptions) (bucket.Info, error) {
	done := s.reach.call(true, s.part(key))
	info, err := s.Store.Put(ctx, key, body, size, opts)
	if errors.Is(err, bucket.ErrRefused) && s.makeWay(ctx, key) {
		info, err = s.Store.Put(ctx, key, body, size, opts)
	}
	done(err)
	return info, err
}

// part returns the directory of control objects that a key is in, with its slash; empty if
// it is in none.
func (s controlStore) part(key string) string {
	name, _, in := strings.Cut(strings.TrimPrefix(key, s.prefix), "/")
	if !in {
		return ""
	}
	return s.prefix + name + "/"
}

// Copy makes room as Put does.
func (s controlStore) Copy(ctx context.Context, from bucket.Info, to string, public bool) (bucket.Info, error) {
	info, err := s.Store.Copy(ctx, from, to, public)
	if errors.Is(err, bucket.ErrRefused) && s.makeWay(ctx, to) {
		info, err = s.Store.Copy(ctx, from, to, public)
	}
	return info, err
}

// makeWay deletes an object that has the name of a directory of a control object, or
// those below its own name: a store that keeps files cannot hold it beside them. No node
// writes such objects, and with them there somebody else would have ended all leases, the
// change log, or deletes by way of the trash.
func (s controlStore) makeWay(ctx context.Context, key string) bool {
	if !strings.HasPrefix(key, s.prefix) {
		return false
	}
	for i := len(s.prefix); i < len(key); i++ {
		if key[i] != '/' {
			continue
		}
		if _, err := s.Head(ctx, key[:i]); err == nil {
			return s.Delete(ctx, key[:i]) == nil
		}
	}
	var below []string
	for info, err := range s.Store.ListNames(ctx, key+"/", "") {
		if err != nil || len(below) == maxInTheWay {
			break
		}
		below = append(below, info.Key)
	}
	return len(below) > 0 && s.Delete(ctx, below...) == nil
}

// maxInTheWay bounds what is deleted for one write; the next one goes on.
const maxInTheWay = 1000

func (s controlStore) Get(ctx context.Context, key string, opts bucket.GetOptions) (*bucket.Object, error) {
	done := s.reach.call(false, s.part(key))
	o, err := s.Store.Get(ctx, key, opts)
	done(err)
	return o, err
}

func (s controlStore) ListNames(ctx context.Context, prefix, after string) iter.Seq2[bucket.Info, error] {
	return func(yield func(bucket.Info, error) bool) {
		done, first := s.reach.call(false, s.part(prefix)), true
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
