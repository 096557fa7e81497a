package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

var errTest = errors.New("as told")

func TestFaultyOnCall(t *testing.T) {
	t.Parallel()
	f := bucket.NewFaulty(openDir(t), nil)
	defer f.Close()
	get := func() (string, error) {
		o, err := f.Get(t.Context(), "a", bucket.GetOptions{})
		if err != nil {
			return "", err
		}
		defer o.Body.Close()
		b, err := io.ReadAll(o.Body)
		return string(b), err
	}
	put := func(body string) error {
		_, err := buckettest.PutText(t.Context(), f, "a", body, bucket.PutOptions{})
		return err
	}
	want := func(what, body string, err, wantErr error) {
		t.Helper()
		f.SetHook(nil)
		if got, getErr := get(); !errors.Is(err, wantErr) || got != body || getErr != nil {
			t.Errorf("%s: error %v, content %q, %v", what, err, got, getErr)
		}
	}
	want("first Put", "1", put("1"), nil)

	f.SetHook(bucket.OnCall(bucket.OpPut, 2, bucket.Fault{Before: errTest}))
	want("failed before", "1", put("2"), errTest)
	f.SetHook(bucket.OnCall(bucket.OpPut, 3, bucket.Fault{After: errTest}))
	want("answer lost", "3", put("3"), errTest)
	f.SetHook(bucket.Always(bucket.Fault{Cut: true, CutAfter: 2}, bucket.OpPut))
	want("body cut", "3", put("long"), bucket.ErrInjected)
	f.SetHook(bucket.OnCall(bucket.OpPut, 99, bucket.Fault{Before: errTest}))
	want("another call's fault", "4", put("4"), nil)

	f.SetHook(bucket.Always(bucket.Fault{Cut: true, CutAfter: 0}))
	if got, err := get(); got != "" || !errors.Is(err, bucket.ErrInjected) {
		t.Errorf("cut Get: %q, %v", got, err)
	}
	n := 0
	var listErr error
	for _, listErr = range f.List(t.Context(), "", "") {
		n++
	}
	if n != 1 || !errors.Is(listErr, bucket.ErrInjected) {
		t.Errorf("cut List: %d, %v", n, listErr)
	}
	f.SetHook(bucket.Always(bucket.Fault{After: errTest}, bucket.OpDelete))
	if err := f.Delete(t.Context(), "a"); !errors.Is(err, errTest) {
		t.Errorf("Delete: %v", err)
	}
	if _, err := f.Head(t.Context(), "a"); !errors.Is(err, bucket.ErrNotFound) {
		t.Errorf("after a Delete whose answer was lost: %v", err)
	}
	if got := f.Calls(bucket.OpDelete); got != 1 {
		t.Errorf("counted %d deletes", got)
	}
}

func TestFaultyWaits(t *testing.T) {
	t.Parallel()
	f := bucket.NewFaulty(openDir(t), nil)
	defer f.Close()
	release := make(chan struct{})
	for name, fault := range map[string]bucket.Fault{"hang": {Hang: release}, "delay": {Delay: time.Hour}} {
		f.SetHook(bucket.Always(fault))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if _, err := f.Head(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
	f.SetHook(bucket.Always(bucket.Fault{Hang: release}))
	done := make(chan error, 1)
	go func() {
		_, err := f.Head(t.Context(), "a")
		done <- err
	}()
	close(release)
	if err := <-done; !errors.Is(err, bucket.ErrNotFound) {
		t.Errorf("released: %v", err)
	}
}

// The same seed disturbs the same calls, in whatever order they come.
func TestFaultyRandomly(t *testing.T) {
	t.Parallel()
	run := func(seed uint64, backwards bool) map[string]string {
		hook := bucket.Randomly(seed, 0.3)
		faults := map[string]string{}
		for i := range 200 {
			if backwards {
				i = 199 - i
			}
			c := bucket.Call{Op: bucket.OpPut, Key: fmt.Sprint("k", i%10), N: i, ForKey: i / 10}
			faults[fmt.Sprint(c.Key, c.ForKey)] = fmt.Sprint(hook(c))
		}
		return faults
	}
	first := run(1, false)
	if fmt.Sprint(first) != fmt.Sprint(run(1, true)) {
		t.Error("the same seed gave other faults")
	}
	if fmt.Sprint(first) == fmt.Sprint(run(2, false)) {
		t.Error("another seed gave the same faults")
	}
	disturbed := 0
	for _, fault := range first {
		if fault != fmt.Sprint(bucket.Fault{}) {
			disturbed++
		}
	}
	if disturbed < 30 || disturbed > 90 {
		t.Errorf("%d of 200 calls disturbed", disturbed)
	}
}

// lax is a store with a fault that real stores have (facts of 2024 to 2026).
type lax struct {
	bucket.Store
	change func(string, *bucket.PutOptions) error
	get    func(*bucket.Object)
}

func (l lax) Put(ctx context.Context, key string, body io.ReaderAt, size int64, opts bucket.PutOptions) (bucket.Info, error) {
	if l.change != nil {
		if err := l.change(key, &opts); err != nil {
			return bucket.Info{}, err
		}
	}
	return l.Store.Put(ctx, key, body, size, opts)
}

func (l lax) Get(ctx context.Context, key string, opts bucket.GetOptions) (*bucket.Object, error) {
	o, err := l.Store.Get(ctx, key, opts)
	if err == nil && l.get != nil {
		l.get(o)
	}
	return o, err
}

// DESIGN 6: "A store is probed at start, not trusted by name."
func TestProbeFindsFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change               func(string, *bucket.PutOptions) error
		get                  func(*bucket.Object)
		create, swap, failed bool
		text                 string
	}{
		"sound":               {create: true, swap: true},
		"ignores create-only": {change: func(_ string, o *bucket.PutOptions) error { o.IfNoneMatch = false; return nil }, swap: true, text: "If-None-Match"},
		"refuses create-only": {change: func(_ string, o *bucket.PutOptions) error {
			if o.IfNoneMatch {
				return bucket.ErrUnsupported
			}
			return nil
		}, swap: true, text: "If-None-Match"},
		"ignores swap": {change: func(_ string, o *bucket.PutOptions) error { o.IfMatch = ""; return nil }, create: true, text: "If-Match"},
		"refuses swap": {change: func(_ string, o *bucket.PutOptions) error {
			if o.IfMatch != "" {
				return bucket.ErrUnsupported
			}
			return nil
		}, create: true, text: "If-Match"},
		"not atomic": {change: func(key string, o *bucket.PutOptions) error {
			// Those that look at the same time all find nothing.
			o.IfNoneMatch = o.IfNoneMatch && !strings.HasSuffix(key, "/race")
			return nil
		}, swap: true, text: "at once 16 won"},
		"frames bodies": {get: func(o *bucket.Object) {
			o.Body = struct {
				io.Reader
				io.Closer
			}{io.MultiReader(strings.NewReader("5;chunk-signature\r\n"), o.Body), o.Body}
		}, failed: true, text: "checksum"},
	} {
		inner := openDir(t)
		caps, err := bucket.Probe(t.Context(), lax{inner, c.change, c.get}, "offload/")
		if (err != nil) != c.failed || !c.failed && (caps.CreateOnly != c.create || caps.CompareAndSwap != c.swap || caps.Coordinates() != (c.create && c.swap)) {
			t.Errorf("%s: got %+v, %v", name, caps, err)
		}
		if text := fmt.Sprint(caps.Missing, err); !strings.Contains(text, c.text) {
			t.Errorf("%s: got %s", name, text)
		}
		for info := range inner.List(t.Context(), "", "") {
			t.Errorf("%s: the probe left %s", name, info.Key)
		}
		_ = inner.Close()
	}
}

// What the probe wrote is removed also when it fails.
func TestProbeCleansUp(t *testing.T) {
	t.Parallel()
	for n := range 25 {
		for _, fault := range []bucket.Fault{{Before: errTest}, {After: errTest}} {
			inner := openDir(t)
			f := bucket.NewFaulty(inner, bucket.OnCall(bucket.OpPut, n+1, fault))
			// An answer that would have been a refusal cannot be lost.
			if _, err := bucket.Probe(t.Context(), f, "p/"); !errors.Is(err, errTest) && (fault.Before != nil || err != nil) {
				t.Errorf("Put %d: %v", n+1, err)
			}
			for info := range inner.List(t.Context(), "", "") {
				t.Errorf("Put %d: the probe left %s", n+1, info.Key)
			}
			_ = inner.Close()
		}
	}
}
