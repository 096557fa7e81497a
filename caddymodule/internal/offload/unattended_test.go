package offload

import (
	"slices"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// Each file counts once among the deletes outside requests, whether its own event
// told of it, its directory's, or both, and however often its delete is tried.
//
// docs/deletes.md: "more than 5 % of the objects (and more than 10) within a minute".
func TestEachDeleteCountsOnce(t *testing.T) {
	t.Parallel()
	keys := []string{}
	for i := range fewDeletes {
		keys = append(keys, "dir/sub/"+string(rune('a'+i))+".jpg")
	}
	for name, fails := range map[string]int{"at once": 0, "after errors": 2} {
		t.Run(name, func(t *testing.T) {
			onBothModes(t, func(t *testing.T, s *site, others nodes) {
				s.mustUpload(func() { s.writeAll(append(slices.Clone(keys), names(3)...)) })
				s.idle()
				s.calls.set(func(c *calls) {
					left := fails
					c.onDelete = func([]string) error {
						c.mu.Lock()
						defer c.mu.Unlock()
						if left--; left >= 0 {
							return buckettest.ErrInjected
						}
						return nil
					}
				})
				s.remove("dir")
				s.gone(others, keys...)
				if n := s.e.Stats().Withheld; n != 0 {
					t.Errorf("%d are withheld", n)
				}
			})
		})
	}
}

func TestCountOfDeletes(t *testing.T) {
	const limit = 10
	now := time.Now()
	none := func(map[string]time.Time) int { return 0 }
	var u unattended
	for range 2 {
		if !u.admits(names(10), none, limit, now) {
			t.Error("ten, twice, are not admitted")
		}
	}
	if u.admits([]string{"another.jpg"}, none, limit, now) {
		t.Error("eleven are admitted")
	}
	if u.admits([]string{"another.jpg"}, none, limit, now.Add(burst-1)) {
		t.Error("eleven are admitted within a burst")
	}
	now = now.Add(2 * burst)
	if !u.admits([]string{"another.jpg"}, none, limit, now) {
		t.Error("one is not admitted after a burst")
	}
	if u.admits(names(10), none, limit, now) {
		t.Error("ten more are admitted")
	}
	u.reset()
	if u.admits(names(5), func(map[string]time.Time) int { return 6 }, limit, now) {
		t.Error("five are admitted with six to come")
	}
	u.reset()
	if u.admits(names(10_000), none, limit, now) || len(u.recent) > limit+1 {
		t.Errorf("%d keys are kept", len(u.recent))
	}
	if u.admits([]string{"one.jpg"}, none, limit, now.Add(burst-1)) {
		t.Error("one is admitted within the burst of many")
	}
}
