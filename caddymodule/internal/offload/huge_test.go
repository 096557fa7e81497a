package offload

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/identity"
)

// A huge object that somebody puts into a directory holds no upload, whatever its name.
//
// Promise 7: "Whoever can write to the bucket can change media and nothing else".
func TestHugeObjectHoldsNothing(t *testing.T) {
	t.Parallel()
	for _, policy := range []LocalPolicy{LocalOwn, LocalAll} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(c *Config) { c.Local, c.Look, c.LeaseTTL = policy, 20*time.Millisecond, 3*time.Second })
			s.ready()
			s.stop()
			for _, key := range []string{"media/huge.jpg", "private/huge.jpg", "offload/trash/20260101T000000Z-outside/public/huge.jpg"} {
				path := filepath.Join(s.bucket, filepath.FromSlash(key))
				mustDo(t, os.MkdirAll(filepath.Dir(path), 0o755))
				mustDo(t, os.WriteFile(path, nil, 0o644))
				mustDo(t, os.Truncate(path, 200<<30))
			}
			began := time.Now()
			s.start()
			s.until("the first comparison", func() bool { return !s.e.Stats().Reconciled.IsZero() })
			s.mustUpload(func() { s.write("a.jpg", "a") }, "a.jpg")
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("an upload waited for %s", took)
			}
			if st := s.e.Stats(); st.State != "running" {
				t.Errorf("stats %+v", st)
			}

			site := filepath.Join(s.bucket, "offload", identity.ObjectName)
			mustDo(t, os.Truncate(site, 200<<30))
			s.until("the bucket to be away", s.seesAway)
			s.kill() // it is still looking at the huge one
		})
	}
}
