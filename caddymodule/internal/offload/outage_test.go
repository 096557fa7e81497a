package offload

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// Promise 2: "No failure of the bucket, the network or the node […] loses a
// file that the app has on disk: it is committed after recovery, without
// anyone's help."
func TestOutage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	down := errors.New("connection refused")
	s.calls.set(func(c *calls) {
		c.onPut = func(string) error { return down }
		c.onDelete = func([]string) error { return down }
	})
	err := s.giveUp(func() {
		for _, key := range names(30) {
			s.write(key, key)
		}
	}, func() bool { return s.e.Stats().State == "degraded" })
	var pending *PendingError
	if !errors.As(err, &pending) || pending.Count != 30 || len(pending.Keys) != 10 || !errors.Is(err, down) {
		t.Fatalf("got %v", err)
	}
	if st := s.e.Stats(); st.State != "degraded" || !strings.Contains(st.Reason, "refused") || st.HoldTimeouts != 1 {
		t.Errorf("stats %+v", st)
	}
	s.calls.set(func(c *calls) { c.onPut, c.onDelete = nil, nil })
	s.idle()
	s.equal()
	if n := s.logs.count("level=WARN"); n != 1 {
		t.Errorf("%d warnings, want one for the change of state", n)
	}
	if n := s.logs.count("the bucket takes files again"); n != 1 {
		t.Errorf("%d lines about the recovery, want 1", n)
	}
	if st := s.e.Stats(); st.State != "running" {
		t.Errorf("stats %+v", st)
	}
}

// A lost answer means "unknown", never "failed".
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	n := 0
	s.calls.set(func(c *calls) {
		c.afterPut = func(string) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			if n++; n%3 != 0 {
				return errors.New("connection reset")
			}
			return nil
		}
	})
	s.mustRequest(func() {
		for _, key := range names(9) {
			s.write(key, key)
		}
	})
	s.mustRequest(func() { s.remove("2026/11/photo-0.jpg") })
	s.equal()

	// Gone before the put was known to have worked: the object must go too.
	s.calls.set(func(c *calls) { c.afterPut = func(string) error { return errors.New("connection reset") } })
	tries := s.e.Stats().Retries
	if err := s.giveUp(func() { s.write("lost.jpg", "x") }, func() bool { return s.e.Stats().Retries > tries }); err == nil {
		t.Fatal("no error")
	}
	s.calls.set(func(c *calls) { c.afterPut = nil })
	s.mustRequest(func() { s.remove("lost.jpg") })
	s.idle()
	s.equal()
}

func TestErrorThatOnlyAnAdminMends(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	s.calls.set(func(c *calls) { c.onPut = func(string) error { return bucket.ErrDenied } })
	err := s.request(func() { s.write("a.jpg", "a") }) // must not wait out the patience
	if !errors.Is(err, bucket.ErrDenied) {
		t.Fatalf("got %v", err)
	}
	s.calls.set(func(c *calls) { c.onPut = nil })
	s.idle()
	s.equal()
}

// WordPress' uploader asks again, after an error, with a request that touches
// no file: it must not be told that all is well.
func TestClientThatWasToldOfAFailureWaitsAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	s.calls.set(func(c *calls) { c.onPut = func(string) error { return bucket.ErrDenied } })
	r := s.e.beginRunning(t.Context(), "editor")
	s.write("a.jpg", "a")
	if err := r.Wait(t.Context()); err == nil {
		t.Fatal("no error")
	}
	r.Fail()
	r.End()

	again := s.e.beginRunning(t.Context(), "editor")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := again.Wait(ctx); err == nil {
		t.Error("the same client was told that all is committed")
	}
	again.End()
	other := s.e.beginRunning(t.Context(), "visitor")
	if err := other.Wait(t.Context()); err != nil {
		t.Errorf("another client waited for it: %v", err)
	}
	other.End()

	s.calls.set(func(c *calls) { c.onPut = nil })
	again = s.e.beginRunning(t.Context(), "editor")
	defer again.End()
	if err := again.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	s.equal()
}
