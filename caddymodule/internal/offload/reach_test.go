package offload

import (
	"cmp"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// What only an admin mends ends waits at once, with several nodes too, of which
// nothing is known as long as the bucket cannot be used.
func TestWrongFromTheStart(t *testing.T) {
	for _, wrong := range []error{bucket.ErrDenied, bucket.ErrNoBucket, bucket.ErrClock} {
		for _, policy := range []LocalPolicy{LocalOwn, LocalAll} {
			t.Run(wrong.Error()+" "+string(policy), func(t *testing.T) {
				s := newNodes(t, 1, func(c *Config) { c.Local = policy })[0]
				s.hook = bucket.Always(bucket.Fault{Before: wrong})
				s.start()
				for range 2 {
					began := time.Now()
					err := s.request(func() { s.write("a.jpg", "a") })
					if took := time.Since(began); !errors.Is(err, wrong) || took > patience/2 {
						t.Errorf("Wait: %v after %s", err, took)
					}
				}
				if policy == LocalAll {
					s.mustFailSoon(patience/2, wrong)
				}
				s.faults.SetHook(nil)
				s.until("uploads", func() bool { _, uploads, _ := s.e.Ready(); return uploads })
				s.mustRequest(func() { s.write("b.jpg", "b") })
				s.idle()
				s.equal()
			})
		}
	}
}

// mustFailSoon checks that Ready says why (nil: any reason), in good time.
func (s *site) mustFailSoon(soon time.Duration, want error) {
	s.t.Helper()
	r := s.e.Begin(s.t.Context(), "")
	defer r.End()
	r.Name("a.jpg")
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*patience)
	defer cancel()
	began := time.Now()
	err := r.Ready(ctx)
	if took := time.Since(began); took > soon || err == nil || !errors.Is(err, cmp.Or(want, err)) {
		s.t.Errorf("Ready: %v after %s", err, took)
	}
}

// An outage that began while all was quiet costs one upload some seconds, and
// the next nothing, whether calls fail or are never answered.
func TestOutageCostsAShortWait(t *testing.T) {
	never := make(chan struct{})
	for name, fault := range map[string]bucket.Fault{
		"calls fail": {Before: bucket.ErrInjected}, "no answer": {Hang: never, Before: bucket.ErrInjected},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newNodes(t, 1, func(c *Config) { c.Poll = time.Second }).ready()[0]
			s.faults.SetHook(bucket.Always(fault))
			s.mustFailSoon(slowCall+patience/4, nil)
			s.mustFailSoon(time.Second, nil)
			s.faults.SetHook(nil)
			s.until("uploads", func() bool { _, uploads, _ := s.e.Ready(); return uploads })
			s.mustUpload(func() { s.write("a.jpg", "a") }, "a.jpg")
		})
	}
}
