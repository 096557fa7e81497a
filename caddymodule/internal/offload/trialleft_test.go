package offload

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// What a trial of a node left that never came back any member removes, when a listing shows
// it; not what may be another node's of just now, and a guest removes nothing.
func TestTrialsOfNodesThatNeverReturn(t *testing.T) {
	for _, policy := range []LocalPolicy{LocalAll, LocalOwn} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s := newProduction(t, policy, productionHost).fill()
			var left []string
			for _, prefix := range []string{"media/", "private/"} {
				for node, age := range map[string]time.Duration{"long-ago": 2 * time.Hour, "now": 0} {
					name := filepath.Join(s.bucket, prefix+".media-offload-trial-"+node)
					mustDo(t, os.MkdirAll(filepath.Dir(name), 0o755))
					mustDo(t, writeAlone(name, "x"))
					mustDo(t, os.Chtimes(name, time.Time{}, time.Now().Add(-age)))
					left = append(left, name)
				}
			}
			there := func() (n int) {
				for _, name := range left {
					if _, err := os.Stat(name); err == nil {
						n++
					}
				}
				return n
			}
			guest := s.copied("cp -a", stagingHost)
			guest.start()
			guest.untilGuest()
			for _, err := range guest.e.objects(t.Context(), media.Public, "") {
				mustDo(t, err)
			}
			if n := there(); n != 4 {
				t.Errorf("a guest left %d of 4", n)
			}
			s.e.recon.want(everything, window{})
			s.until("what is old to be removed", func() bool { return there() == 2 })
			for _, name := range left {
				if _, err := os.Stat(name); (err == nil) != (filepath.Base(name) == ".media-offload-trial-now") {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}
