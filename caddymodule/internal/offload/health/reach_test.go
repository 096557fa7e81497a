package health

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

var errCut = errors.New("a cut connection")

// reached is a Reach of a store that can fail.
type reached struct {
	*Reach
	store   *buckettest.Faulty
	changes atomic.Int32
}

func newReached() *reached {
	r := &reached{store: buckettest.NewFaulty(buckettest.NewMemory(), nil)}
	r.Reach = NewReach(ReachConfig{
		Store: r.store, Prefix: "offload/",
		Node:    func() string { return "node" },
		Changed: func() { r.changes.Add(1) },
	})
	return r
}

// reaching runs a test beside Run, by a clock that goes on when all sleep.
func reaching(t *testing.T, test func(t *testing.T, r *reached)) {
	synctest.Test(t, func(t *testing.T) {
		r := newReached()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go r.Run(ctx)
		test(t, r)
	})
}

// write and read are what a node does with control objects.
func (r *reached) write(t *testing.T, key string) error {
	_, err := r.Control().Put(t.Context(), key, strings.NewReader("x"), 1, bucket.PutOptions{})
	return err
}

func (r *reached) read(t *testing.T, key string) error {
	o, err := r.Control().Get(t.Context(), key, bucket.GetOptions{})
	if err == nil {
		err = o.Body.Close()
	}
	return err
}

func (r *reached) want(t *testing.T, want error, when string) {
	t.Helper()
	if err := r.Trouble(); !errors.Is(err, want) {
		t.Errorf("%s: %v", when, err)
	}
}

// What may pass is no reason to stop waiting before it has lasted; what will not, is at
// once. Who waits is told, then.
func TestReachIsLost(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		after time.Duration
	}{
		"perhaps":    {errCut, ReachPatience},
		"for sure":   {bucket.ErrNoBucket, 0},
		"it is away": {errGone, 0},
	} {
		t.Run(name, func(t *testing.T) {
			reaching(t, func(t *testing.T, r *reached) {
				ctx, done := r.During(t.Context())
				defer done()
				r.store.SetHook(buckettest.Always(buckettest.Fault{Before: c.err}, buckettest.OpPut, buckettest.OpGet))
				begun := time.Now()
				for r.Trouble() == nil && time.Since(begun) < time.Minute {
					_ = r.read(t, "offload/log/1")
					time.Sleep(100 * time.Millisecond)
				}
				if took := time.Since(begun); took > c.after+200*time.Millisecond || took < c.after {
					t.Errorf("it took %s", took)
				}
				<-ctx.Done()
				if !errors.Is(context.Cause(ctx), c.err) {
					t.Error(context.Cause(ctx))
				}
				r.store.SetHook(nil)
				if err := r.write(t, "offload/log/1"); err != nil {
					t.Fatal(err)
				}
				r.want(t, nil, "after a success")
				if n := r.changes.Load(); n != 2 {
					t.Errorf("told %d times", n)
				}
			})
		})
	}
}

// A call that is never answered is not waited for longer than one may take.
func TestReachHangs(t *testing.T) {
	reaching(t, func(t *testing.T, r *reached) {
		hang := make(chan struct{})
		defer close(hang)
		r.store.SetHook(buckettest.Always(buckettest.Fault{Hang: hang}, buckettest.OpGet))
		go func() { _ = r.read(t, "offload/log/1") }()
		time.Sleep(SlowCall + time.Millisecond)
		if r.Trouble() == nil {
			t.Error("it is not seen")
		}
	})
}

// What only writes meet is not called over by a read, and is found to be over though
// nothing is written.
func TestReachOfWrites(t *testing.T) {
	reaching(t, func(t *testing.T, r *reached) {
		r.store.SetHook(buckettest.Always(buckettest.Fault{Before: bucket.ErrDenied}, buckettest.OpPut))
		_ = r.write(t, "offload/log/1")
		for range 10 {
			_ = r.read(t, "offload/log/1") // that there is none is an answer
			time.Sleep(time.Second)
		}
		r.want(t, bucket.ErrDenied, "after reads")
		r.store.SetHook(nil)
		time.Sleep(2 * RetryMax)
		r.want(t, nil, "when it is over")
	})
}

// What may be about one entry or lease is tried with another beside it: a policy may deny
// them all.
func TestReachOfOnePart(t *testing.T) {
	for name, c := range map[string]struct {
		denied string
		want   error
	}{
		"one entry":      {"offload/log/1", nil},
		"all entries":    {"offload/log/", errOne},
		"all of another": {"offload/lease/", nil},
	} {
		t.Run(name, func(t *testing.T) {
			reaching(t, func(t *testing.T, r *reached) {
				r.store.SetHook(func(call buckettest.Call) buckettest.Fault {
					if call.Op == buckettest.OpPut && strings.HasPrefix(call.Key, c.denied) {
						return buckettest.Fault{Before: errOne}
					}
					return buckettest.Fault{}
				})
				_ = r.write(t, "offload/log/1")
				synctest.Wait()
				r.want(t, c.want, "after a trial")
				time.Sleep(time.Minute)
				r.want(t, c.want, "a minute later")
				r.store.SetHook(nil)
				time.Sleep(2 * RetryMax)
				r.want(t, nil, "when it is over")
			})
		})
	}
}

// What stands where control objects belong, and no node writes, makes way.
func TestControlMakesWay(t *testing.T) {
	store := buckettest.NewFaulty(buckettest.NewMemory(), nil)
	for _, key := range []string{"offload/log", "offload/lease/1/x"} {
		if _, err := buckettest.PutText(t.Context(), store, key, "a stranger's", bucket.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	refused := true
	store.SetHook(func(c buckettest.Call) buckettest.Fault {
		if c.Op == buckettest.OpDelete {
			refused = false
		}
		if c.Op == buckettest.OpPut && refused {
			return buckettest.Fault{Before: bucket.ErrRefused}
		}
		return buckettest.Fault{}
	})
	control := NewReach(ReachConfig{Store: store, Prefix: "offload/", Changed: func() {}}).Control()
	for _, key := range []string{"offload/log/1", "offload/lease/1"} {
		refused = true
		if _, err := control.Put(t.Context(), key, strings.NewReader("x"), 1, bucket.PutOptions{}); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	if _, err := store.Head(t.Context(), "offload/log"); !errors.Is(err, bucket.ErrNotFound) {
		t.Errorf("it is still there: %v", err)
	}
}
