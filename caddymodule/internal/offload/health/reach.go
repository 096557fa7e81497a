package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/background"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// ReachPatience is how long calls for control objects may fail before requests no longer
// wait for the bucket.
const ReachPatience = 3 * time.Second

// tryTimeout bounds a try of the control objects.
const tryTimeout = 30 * time.Second

// ReachConfig describes a Reach.
type ReachConfig struct {
	Store   bucket.Store
	Prefix  string        // of control objects
	Node    func() string // names this node
	Changed func()        // called after control objects were lost or found again
}

// Reach knows whether control objects can be read and written: change log and
// leases are tried again without end, but no request should wait for that.
// (A Monitor is about media: what one may do, the other may be denied.)
type Reach struct {
	cfg ReachConfig

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

// NewReach returns a Reach of control objects that are taken to be well.
func NewReach(cfg ReachConfig) *Reach {
	r := &Reach{cfg: cfg, doubted: make(chan struct{}, 1)}
	r.up, r.fall = context.WithCancelCause(context.Background())
	return r
}

// failed notes a failure. certain: there is no use in waiting for another.
func (r *Reach) failed(err error, certain bool) {
	r.mu.Lock()
	now := time.Now()
	if r.reason == nil {
		r.since = now
	}
	r.reason = err
	falls := !r.lost && (certain || now.Sub(r.since) >= ReachPatience)
	if falls {
		r.lost = true
		r.fall(err)
	}
	r.mu.Unlock()
	if falls {
		r.cfg.Changed()
	}
}

// succeeded notes that a call came through.
func (r *Reach) succeeded(write bool) {
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
		r.cfg.Changed()
	}
}

// cannotWrite notes that a write met what reads do not meet.
func (r *Reach) cannotWrite() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unwritable = true
}

// needsTry reports whether a try has to tell that control objects can be used again.
func (r *Reach) needsTry() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unwritable || r.shut != ""
}

// doubt has other objects tell whether an answer was about one object.
func (r *Reach) doubt(part string) {
	r.mu.Lock()
	r.part = part
	r.mu.Unlock()
	background.Signal(r.doubted)
}

// doubtedPart returns the part of the control objects of which another has to tell.
func (r *Reach) doubtedPart() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return cmp.Or(r.shut, r.part)
}

// partAnswered notes what another object of a part met.
func (r *Reach) partAnswered(part string, err error) {
	r.mu.Lock()
	if r.shut = ""; IsOfObject(err) {
		r.shut = part
	}
	r.part = ""
	r.mu.Unlock()
	if IsOfObject(err) {
		r.failed(err, true)
	}
}

// Trouble returns why control objects are out of reach, or nil.
func (r *Reach) Trouble() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.lost {
		return nil
	}
	return r.reason
}

// During returns a context that ends with ctx or, with the reason as its cause,
// when reach is lost. done frees it.
func (r *Reach) During(ctx context.Context) (_ context.Context, done func()) {
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
func (r *Reach) call(write bool, part string) (done func(error)) {
	slow := time.AfterFunc(SlowCall, func() {
		r.failed(fmt.Errorf("the bucket has not answered for %s", SlowCall), true)
	})
	return func(err error) {
		slow.Stop()
		if IsOfObject(err) {
			r.doubt(part)
			return
		}
		r.ended(write, err)
	}
}

// ended notes how a call ended that tells of the bucket as a whole.
func (r *Reach) ended(write bool, err error) {
	switch {
	case err == nil:
		r.succeeded(write)
	case errors.Is(err, bucket.ErrNotFound), errors.Is(err, bucket.ErrExists), errors.Is(err, bucket.ErrChanged), errors.Is(err, bucket.ErrTooLarge):
		r.succeeded(false) // it answers; a condition may be looked at before anything is written
	case errors.Is(err, context.Canceled): // given up on this side
	default:
		if write && (errors.Is(err, bucket.ErrDenied) || IsFull(err)) {
			r.cannotWrite()
		}
		r.failed(err, IsOfStore(err))
	}
}

// Run tries another control object when it takes that to tell how the bucket is, as long
// as ctx lasts: while uploads are refused for what only writes meet, nothing else writes;
// and what was answered about one object may hold for all.
func (r *Reach) Run(ctx context.Context) {
	tick := time.NewTicker(RetryMax)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if !r.needsTry() {
				continue
			}
		case <-r.doubted:
		case <-ctx.Done():
			return
		}
		r.tryOne(ctx)
	}
}

// tryOne tries a control object of its own, and before that one beside the object of which
// an answer was doubted.
func (r *Reach) tryOne(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	probe := bucket.ProbeName + r.cfg.Node()
	if part := r.doubtedPart(); part != "" {
		r.partAnswered(part, r.tryObject(ctx, part+probe))
	}
	r.ended(true, r.tryObject(ctx, r.cfg.Prefix+probe))
}

// tryObject writes, reads and removes a control object that no other node writes.
func (r *Reach) tryObject(ctx context.Context, name string) error {
	_, err := r.cfg.Store.Put(ctx, name, strings.NewReader("x"), 1, bucket.PutOptions{})
	if err == nil {
		_, err = r.cfg.Store.Head(ctx, name)
	}
	_ = r.cfg.Store.Delete(ctx, name) // the next one does, else
	return err
}
