package buckettest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

var errTest = errors.New("as told")

func TestFaultyOnCall(t *testing.T) {
	t.Parallel()
	f := buckettest.NewFaulty(openDir(t), nil)
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

	f.SetHook(buckettest.OnCall(buckettest.OpPut, 2, buckettest.Fault{Before: errTest}))
	want("failed before", "1", put("2"), errTest)
	f.SetHook(buckettest.OnCall(buckettest.OpPut, 3, buckettest.Fault{After: errTest}))
	want("answer lost", "3", put("3"), errTest)
	f.SetHook(buckettest.Always(buckettest.Fault{Cut: true, CutAfter: 2}, buckettest.OpPut))
	want("body cut", "3", put("long"), buckettest.ErrInjected)
	f.SetHook(buckettest.OnCall(buckettest.OpPut, 99, buckettest.Fault{Before: errTest}))
	want("another call's fault", "4", put("4"), nil)

	f.SetHook(buckettest.Always(buckettest.Fault{Cut: true, CutAfter: 0}))
	if got, err := get(); got != "" || !errors.Is(err, buckettest.ErrInjected) {
		t.Errorf("cut Get: %q, %v", got, err)
	}
	n := 0
	var listErr error
	for _, listErr = range f.List(t.Context(), "", "") {
		n++
	}
	if n != 1 || !errors.Is(listErr, buckettest.ErrInjected) {
		t.Errorf("cut List: %d, %v", n, listErr)
	}
	f.SetHook(buckettest.Always(buckettest.Fault{After: errTest}, buckettest.OpDelete))
	if err := f.Delete(t.Context(), "a"); !errors.Is(err, errTest) {
		t.Errorf("Delete: %v", err)
	}
	if _, err := f.Head(t.Context(), "a"); !errors.Is(err, bucket.ErrNotFound) {
		t.Errorf("after a Delete whose answer was lost: %v", err)
	}
	if got := f.Calls(buckettest.OpDelete); got != 1 {
		t.Errorf("counted %d deletes", got)
	}
}

func TestFaultyWaits(t *testing.T) {
	t.Parallel()
	f := buckettest.NewFaulty(openDir(t), nil)
	defer f.Close()
	release := make(chan struct{})
	for name, fault := range map[string]buckettest.Fault{"hang": {Hang: release}, "delay": {Delay: time.Hour}} {
		f.SetHook(buckettest.Always(fault))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if _, err := f.Head(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
	f.SetHook(buckettest.Always(buckettest.Fault{Hang: release}))
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
		hook := buckettest.Randomly(seed, 0.3)
		faults := map[string]string{}
		for i := range 200 {
			if backwards {
				i = 199 - i
			}
			c := buckettest.Call{Op: buckettest.OpPut, Key: fmt.Sprint("k", i%10), N: i, ForKey: i / 10}
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
		if fault != fmt.Sprint(buckettest.Fault{}) {
			disturbed++
		}
	}
	if disturbed < 30 || disturbed > 90 {
		t.Errorf("%d of 200 calls disturbed", disturbed)
	}
}
