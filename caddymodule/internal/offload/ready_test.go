package offload

import (
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// A bucket that does not answer reads is noticed without an upload.
func TestReadyWithoutTheLog(t *testing.T) {
	t.Parallel()
	s := newNodes(t, 2).ready()[0]
	ready := func() bool { _, uploads, _ := s.e.Ready(); return uploads }
	s.until("ready", ready)
	s.faults.SetHook(buckettest.Always(buckettest.Fault{Before: buckettest.ErrInjected}))
	s.until("not ready without the log", func() bool { return !ready() })
	if reads, _, reason := s.e.Ready(); !reads || reason == "" {
		t.Errorf("reads %v, reason %q", reads, reason)
	}
	s.faults.SetHook(nil)
	s.until("ready again", ready)
}

// A server does not say that it can take uploads before it has looked at the bucket.
//
// docs/operations.md: "with `?for=uploads`, whether it can take uploads".
func TestNotReadyBeforeTheFirstLook(t *testing.T) {
	t.Parallel()
	for _, policy := range []LocalPolicy{LocalOwn, LocalAll} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(c *Config) { c.Local = policy })
			answers := make(chan struct{})
			s.hook = func(buckettest.Call) buckettest.Fault { return buckettest.Fault{Hang: answers} }
			s.start()
			if reads, uploads, reason := s.e.Ready(); !reads || uploads || reason == "" {
				t.Errorf("reads %v, uploads %v: %q", reads, uploads, reason)
			}
			close(answers)
			s.until("uploads", func() bool { _, uploads, _ := s.e.Ready(); return uploads })
		})
	}
}
