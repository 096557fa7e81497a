package offload

import (
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// takes returns the state, and whether uploads are taken.
func takes(e *Engine) (state string, uploads bool) {
	_, uploads, _ = e.Ready()
	return e.Stats().State, uploads
}

// A bucket that can be read and not written is an outage also on a site at rest, whose
// uploads are refused before the app has written anything; and one that ends by itself.
//
// Promise 2: "it is committed after recovery, without anyone's help".
func TestUnwritableBucketIsAnOutage(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{"full": errFull, "read-only": bucket.ErrDenied} {
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
			// Reads go on, and say nothing of it.
			reads := s.faults.Calls(buckettest.OpGet)
			s.until("twenty reads", func() bool {
				if st, uploads := takes(s.e); uploads || st != "degraded" {
					t.Fatalf("the state is %s, uploads are taken: %t", st, uploads)
				}
				return s.faults.Calls(buckettest.OpGet) >= reads+20
			})
			mend()
			s.until("uploads", func() bool { _, uploads, _ := s.e.Ready(); return uploads })
			s.mustUpload(func() { s.write("a.jpg", "x") })
			s.idle()
			s.equal()
		})
	}
}
