package offload

import (
	"slices"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/deletes"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/trash"
)

// Each file counts once among the deletes outside requests, whether its own event
// told of it, its directory's, or both, and however often its delete is tried.
//
// docs/deletes.md: "more than 5 % of the objects (and more than 10) within a minute".
func TestEachDeleteCountsOnce(t *testing.T) {
	t.Parallel()
	keys := []string{}
	for i := range deletes.Few {
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

// How many may go follows what is stored and deleted, however long ago all was compared.
//
// docs/deletes.md: "more than 5 % of the objects (and more than 10) within a minute".
func TestDeleteLimitFollowsTheBucket(t *testing.T) {
	t.Parallel()
	half := func(c *Config) { c.MaxDeleteShare = 0.5 }
	for name, ns := range map[string]func(t *testing.T) nodes{
		"own": func(t *testing.T) nodes {
			s := newSite(t, half)
			s.ready()
			return nodes{s}
		},
		"all": func(t *testing.T) nodes { return newNodes(t, 2, half).ready() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := ns(t)
			s, by := ns[0], ns[len(ns)-1] // who grows and shrinks the site, and who deletes outside requests
			compared := s.logs.count("disk and bucket compared")
			keys := names(100)
			s.mustUpload(func() { s.writeAll(keys) })
			s.mustUpload(func() {
				for _, key := range keys {
					s.write(key, "replaced")
				}
			})
			ns.agree()
			by.removeAtOnce(keys[:40])
			by.gone(ns, keys[:40]...)
			keys = keys[40:]
			s.mustUpload(func() { s.removeAtOnce(keys[:40]) })
			ns.agree()
			keys = keys[40:]
			by.e.unattended.Forget() // as a minute later
			by.removeAtOnce(keys[:15])
			by.until("the deletes to be withheld", func() bool { return by.e.Stats().Withheld == 15 })
			if n := len(s.everything()); n != 20 {
				t.Errorf("%d objects are left of 20", n)
			}
			if n := s.logs.count("disk and bucket compared"); n != compared {
				t.Errorf("all was compared meanwhile")
			}
		})
	}
}

// After a kill the app may go on with its requests; or somebody at the shell deletes.
// Nobody waits for the answers, so what goes then goes by way of the trash, also where
// only requests' deletes are passed on; and much at once waits for the admin's word.
//
// Promise 8: "much at once outside requests waits for the admin's word".
func TestDeletesAfterAKill(t *testing.T) {
	t.Parallel()
	for _, deletes := range []DeletePolicy{DeletesAlways, DeletesDuringRequests} {
		t.Run(string(deletes), func(t *testing.T) {
			onBothModes(t, func(t *testing.T, s *site, others nodes) {
				s.stop()
				s.cfg.Deletes = deletes
				s.ready()
				keys := names(40)
				s.mustUpload(func() { s.writeAll(keys) })
				append(nodes{s}, others...).agree()
				s.kill()
				s.remove(keys[0]) // before the next start
				s.setNote(window{from: time.Now().Add(-time.Second), to: time.Now()}.String())
				s.ready()
				s.gone(others, keys[0])
				s.remove(keys[1])
				s.gone(others, keys[1])
				if got := s.inTrash(); !slices.Equal(got, []string{as(keys[0], trash.Outside), as(keys[1], trash.Outside)}) {
					t.Errorf("the trash has %q", got)
				}
				s.removeAtOnce(keys[2:22])
				s.until("the deletes to be withheld", func() bool { return s.e.Stats().Withheld == 20 })
				s.idle()
				if got := len(s.everything()); got != 38 {
					t.Errorf("%d objects are left of 38", got)
				}
			})
		})
	}
}
