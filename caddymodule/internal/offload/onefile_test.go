package offload

import (
	"context"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// A file that fails again and again on a site at rest is no outage; the same file
// while the bucket takes nothing is one.
//
// Promise 2: "No failure of the bucket […] loses a file that the app has on disk".
func TestOneFileThatFailsIsNoOutage(t *testing.T) {
	for _, way := range []bucket.Fault{{Before: bucket.ErrInjected}, {Before: context.DeadlineExceeded}} {
		t.Run(way.Before.Error(), func(t *testing.T) {
			onBothModes(t, func(t *testing.T, s *site, _ nodes) {
				s.faults.SetHook(func(c bucket.Call) bucket.Fault {
					if c.Key == "media/poison.jpg" {
						return way
					}
					return bucket.Fault{}
				})
				began := s.e.Stats().Retries
				s.write("poison.jpg", "x")
				s.until("some tries", func() bool { return s.e.Stats().Retries >= began+2*failuresToDown })
				if st := s.e.Stats(); st.State != "running" || st.Pending != 1 {
					t.Errorf("%s (%s), %d files pending", st.State, st.Reason, st.Pending)
				}
				if _, uploads, why := s.e.Ready(); !uploads {
					t.Errorf("no uploads: %s", why)
				}

				s.faults.SetHook(bucket.Always(way))
				s.write("second.jpg", "x")
				s.until("the outage to be seen", func() bool { return s.e.Stats().State == "degraded" })
				s.faults.SetHook(nil)
				s.until("uploads", func() bool { _, uploads, _ := s.e.Ready(); return uploads })
				s.idle()
				s.equal()
			})
		})
	}
}

// One file is enough to see that the bucket takes none.
func TestOutageWithOneFile(t *testing.T) {
	s := newSite(t)
	s.ready()
	s.faults.SetHook(bucket.Always(bucket.Fault{Before: bucket.ErrInjected}))
	s.write("a.jpg", "x")
	s.until("the outage to be seen", func() bool { return s.e.Stats().State == "degraded" })
	s.faults.SetHook(nil)
	began := time.Now()
	s.idle()
	if took := time.Since(began); took > patience/2 {
		t.Errorf("stored after %v", took)
	}
	s.equal()
}
