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
