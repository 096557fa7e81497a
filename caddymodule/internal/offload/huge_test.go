package offload

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
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

// Where several servers write, a huge object that none of them has delays the uploads of
// no other name: neither on a server that starts, nor where an entry of the change log,
// which anybody may have written, says that it is small.
//
// docs/failures.md: "An object that cannot be fetched holds up nobody but uploads of a
// like name."
func TestHugeObjectOfAnother(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2, func(c *Config) { c.Look, c.LeaseTTL = 20*time.Millisecond, 3*time.Second }).ready()
	a, b := ns[0], ns[1]
	a.mustUpload(func() { a.write("a.jpg", "a") })
	ns.agree()
	path := filepath.Join(a.bucket, "media", "huge.jpg")
	mustDo(t, os.WriteFile(path, nil, 0o644))
	mustDo(t, os.Truncate(path, 3<<40))
	in := func(name string) {
		began := time.Now()
		b.mustUpload(func() { b.write(name+".jpg", "x") }, name+".jpg")
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s an upload waited for %s", name, took)
		}
	}
	in("running")
	b.kill()
	b.start()
	in("started")
	mustDo(t, a.e.announce([]changelog.Change{{Op: changelog.Put, Key: "huge.jpg", Class: media.Public, Size: 12, ETag: "0123456789abcdef0123456789abcdef"}}))
	in("told")
	for _, s := range ns {
		s.kill()
	}
}
