package offload

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// A media root that is moved away or removed has no files: they are served from the
// bucket, the status names the root, and what is withheld there is what `trash list`
// shows. When it is back, all is as before.
func TestAMissingRootIsNamed(t *testing.T) {
	t.Parallel()
	onBothModes(t, func(t *testing.T, s *site, others nodes) {
		keys := names(40)
		s.mustUpload(func() { s.writeAll(keys) })
		append(nodes{s}, others...).agree()
		s.removeAtOnce(keys[:20])
		s.until("the deletes to be withheld", func() bool { return s.e.Stats().Withheld == 20 })
		s.idle()
		withheld := func() (n int) {
			for _, err := range s.e.Withheld().List(t.Context()) {
				if err == nil {
					n++
				}
			}
			return n
		}
		key := keys[30]
		for range 2 {
			mustDo(t, os.Rename(s.dir, s.dir+".old"))
			s.until("the status to say so", func() bool {
				st := s.e.Stats()
				return st.State == "degraded" && strings.Contains(st.Reason, s.dir)
			})
			if _, err := s.e.Local(key); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a file of what was moved away counts as one at its URL: %v", err)
			}
			s.until("the count to be that of the list", func() bool { return s.e.Stats().Withheld == withheld() })
			mustDo(t, os.Rename(s.dir+".old", s.dir))
			s.until("the root to be back", func() bool { _, err := s.e.Local(key); return s.e.Stats().State == "running" && err == nil })
			s.until("the withheld deletes to be known", func() bool { return s.e.Stats().Withheld == 20 && withheld() == 20 })
		}
		if got := len(s.everything()); got != 40 {
			t.Errorf("%d objects are left of 40", got)
		}
	})
}

// With a media root goes what was noted in it about its deletes: those that were withheld,
// or waited for the bucket, are passed on no more, and nothing is lost.
//
// Promise 8: "What is missing after a time without the module is fetched, not deleted".
func TestARemovedRootTakesItsDeletesAlong(t *testing.T) {
	t.Parallel()
	for way, before := range map[string]func(s *site, keys []string){
		"withheld": func(s *site, keys []string) {
			s.removeAtOnce(keys[:20])
			s.until("the deletes to be withheld", func() bool { return s.e.Stats().Withheld == 20 })
			s.idle()
		},
		"waiting": func(s *site, keys []string) {
			s.calls.set(func(c *calls) { c.onDelete = func([]string) error { return buckettest.ErrInjected } })
			s.remove(keys[0])
			s.until("it to be noted", func() bool { _, err := os.Stat(s.path(".media-offload-deletes")); return err == nil })
		},
	} {
		t.Run(way, func(t *testing.T) {
			onBothModes(t, func(t *testing.T, s *site, others nodes) {
				keys := names(40)
				s.mustUpload(func() { s.writeAll(keys) })
				append(nodes{s}, others...).agree()
				before(s, keys)
				mustDo(t, os.RemoveAll(s.dir))
				mustDo(t, os.Mkdir(s.dir, 0o755))
				s.calls.set(func(c *calls) { c.onDelete = nil })
				s.until("nothing to be withheld", func() bool { return s.e.Stats().Withheld == 0 })
				s.idle()
				s.stop()
				s.ready()
				s.idle()
				if got := len(s.everything()); got != 40 {
					t.Errorf("%d objects are left of 40", got)
				}
				for _, n := range others {
					append(nodes{s}, n).agree()
				}
			})
		})
	}
}
