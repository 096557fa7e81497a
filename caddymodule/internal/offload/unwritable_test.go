package offload

import (
	"syscall"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// A bucket that can be read and not written is an outage also on a site at rest, whose
// uploads are refused before the app has written anything; and one that ends by itself.
//
// Promise 2: "it is committed after recovery, without anyone's help".
func TestUnwritableBucketIsAnOutage(t *testing.T) {
	for name, err := range map[string]error{"full": syscall.ENOSPC, "read-only": bucket.ErrDenied} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newNodes(t, 1, func(c *Config) { c.Poll = 20 * time.Millisecond })[0]
			s.ready()
			mend := s.failPuts(err)
			s.until("uploads to be refused", func() bool {
				s.mustFailSoon(patience, nil)
				_, uploads, _ := s.e.Ready()
				return !uploads
			})
			read := s.e.Stats().Log.Behind
			for polled := 0; polled < 20; {
				if now := s.e.Stats().Log.Behind; now < read {
					polled++ // the log was read again
					read = now
				} else {
					read = now
				}
				if _, uploads, _ := s.e.Ready(); uploads || s.e.Stats().State != "degraded" {
					t.Fatalf("%s: the state is %s, uploads are taken: %t", name, s.e.Stats().State, uploads)
				}
			}
			mend()
			s.until("uploads", func() bool { _, uploads, _ := s.e.Ready(); return uploads })
			s.mustUpload(func() { s.write("a.jpg", "x") })
			s.idle()
			s.equal()
		})
	}
}
