package offload

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/health"
)

// While nothing can be handed out, the dispatcher sleeps: whether all workers for the
// background are at work, all workers, or the one that tries a bucket that is down.
func TestDispatcherSleepsWhileAllAreAtWork(t *testing.T) {
	t.Parallel()
	const background, workers = 2, reserved + 2
	for name, c := range map[string]struct {
		atWork int
		begin  func(s *site, keys []string)
	}{
		"background": {background, func(s *site, keys []string) {
			s.writeAll(keys)
			s.start()
		}},
		"events": {workers, func(s *site, keys []string) {
			s.ready()
			s.writeAll(keys)
		}},
		"down": {1, func(s *site, keys []string) {
			s.ready()
			s.e.health.Fell(errors.New("down"), 0)
			s.writeAll(keys)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(c *Config) { c.Workers = workers })
			var wakeups atomic.Int64
			s.set = func(e *Engine) {
				e.dispatcher.clock = func() time.Time { wakeups.Add(1); return time.Now() }
			}
			hang := make(chan struct{})
			var atWork atomic.Int64
			s.hook = func(c buckettest.Call) buckettest.Fault {
				if c.Op != buckettest.OpPut || !strings.HasPrefix(c.Key, "media/") {
					return buckettest.Fault{}
				}
				if !health.IsTrial(strings.TrimPrefix(c.Key, "media/")) {
					atWork.Add(1)
				}
				return buckettest.Fault{Hang: hang}
			}
			c.begin(s, names(3*workers))
			s.until("them to be at work", func() bool { return atWork.Load() >= int64(c.atWork) })
			mustDo(t, s.e.barrier(t.Context()))
			before := wakeups.Load()
			time.Sleep(300 * time.Millisecond) // it is the rate that is measured
			if n := wakeups.Load() - before; n > 30 {
				t.Errorf("it woke up %d times in 300 ms", n)
			}
			if n := atWork.Load(); n != int64(c.atWork) {
				t.Errorf("%d are at work", n)
			}
			close(hang)
			s.idle()
			s.equal()
		})
	}
}
