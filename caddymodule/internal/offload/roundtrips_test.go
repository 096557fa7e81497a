package offload

import (
	"fmt"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// An upload of a picture to one of several nodes takes three round trips to the
// bucket that follow one another, beside the app's work: its names and the change
// log, the files, the entry that tells of them.
func TestUploadRoundTrips(t *testing.T) {
	t.Parallel()
	const (
		trip  = 500 * time.Millisecond // much more than all else takes on a busy machine
		scale = 30 * time.Millisecond  // what the app needs for each size
	)
	ns := newNodes(t, 2, func(c *Config) { c.Poll, c.LeaseTTL = time.Hour, 10*time.Second }).ready()
	a := ns[0]
	a.faults.SetHook(func(buckettest.Call) buckettest.Fault { return buckettest.Fault{Delay: trip} })
	// A busy machine gets more tries; one trip more would show in each.
	for i := range 10 {
		name := fmt.Sprintf("photo%c", 'a'+i)
		began := time.Now()
		a.mustUpload(func() {
			a.write(name+".jpg", "picture")
			for _, size := range []string{"-150x150", "-300x200"} {
				time.Sleep(scale) // the app's work
				a.write(name+size+".jpg", "smaller")
			}
		}, name+".jpg")
		trips := float64(time.Since(began)-2*scale) / float64(trip)
		t.Logf("%.2f round trips", trips)
		if i > 0 && trips < 3.6 { // the first tells how long a write takes
			return
		}
	}
	t.Error("each upload took more than three round trips")
}
