package offload

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// What a guest's app deletes is gone for the guest, also after a restart, although the
// bucket has it yet; what it writes again is there. It counts what it keeps to itself,
// of which nothing waits for anything. When it is a member the bucket's files are there
// again.
//
// Promise 8: "A deleted file does not come back by itself."
func TestGuestKeepsDeletes(t *testing.T) {
	t.Parallel()
	for _, policy := range []LocalPolicy{LocalAll, LocalOwn} {
		for how, command := range copies {
			if command == "" {
				continue // nothing to delete
			}
			t.Run(fmt.Sprintf("%s, %s", policy, how), func(t *testing.T) {
				t.Parallel()
				prod := newProduction(t, policy, productionHost).fill()
				before, keys := prod.everythingIn(), names(5)
				s := prod.copied(command, stagingHost)
				s.start()
				s.untilGuest()
				is := func(gone bool, keys ...string) {
					t.Helper()
					for _, key := range keys {
						o, err := s.e.Open(t.Context(), key, bucket.GetOptions{})
						if err == nil {
							o.Body.Close()
						}
						_, statErr := s.e.Stat(t.Context(), key)
						_, linkErr := s.e.Presign(t.Context(), key, 0)
						if errors.Is(err, bucket.ErrNotFound) != gone || errors.Is(statErr, bucket.ErrNotFound) != gone || errors.Is(linkErr, bucket.ErrNotFound) != gone {
							t.Errorf("%s: %v, %v, %v; gone: %t", key, err, statErr, linkErr, gone)
						}
					}
				}
				is(false, keys[0], "album/a.jpg")
				mustDo(t, s.uploadFor(stagingHost, func() {
					mustDo(t, os.Remove(s.path(keys[0])))
					mustDo(t, os.Rename(s.path(keys[1]), s.path("renamed.jpg")))
					mustDo(t, os.RemoveAll(s.path("album")))
					s.write(keys[2], "edited on staging")
					s.write("temporary.jpg", "an upload on its way")
					mustDo(t, os.Remove(s.path("temporary.jpg")))
				}))
				is(true, keys[0], keys[1], "album/a.jpg", "album/b.jpg")
				is(false, keys[3])
				st := s.e.Stats()
				if st.Pending != 0 || st.OldestPending != 0 || st.GuestFiles < 2 || st.GuestDeletes < 3 || st.GuestDeletes > 5 {
					t.Errorf("%+v", st)
				}
				s.stop()
				s.start()
				s.untilGuest()
				s.until("the deletes to be known", func() bool { return s.e.Stats().GuestDeletes == st.GuestDeletes })
				is(true, keys[0], keys[1], "album/a.jpg", "album/b.jpg")
				if content, err := os.ReadFile(s.path(keys[2])); err != nil || string(content) != "edited on staging" {
					t.Errorf("%s: %q, %v", keys[2], content, err)
				}
				mustDo(t, s.uploadFor(stagingHost, func() { s.write(keys[0], "written again") }))
				if n := s.e.Stats().GuestDeletes; n >= st.GuestDeletes {
					t.Errorf("%d deletes after a file was written again", n)
				}
				if after := prod.everythingIn(); !maps.Equal(before, after) {
					t.Error("the bucket was changed")
				}
				mustDo(t, s.e.guard.Adopt(t.Context()))
				s.untilJoined()
				is(false, keys[1], "album/a.jpg")
				s.idle()
				s.stop()
				if left, err := filepath.Glob(filepath.Join(s.dir, ".media-offload-*")); err != nil || len(left) > 0 {
					t.Errorf("on a member's disk: %q, %v", left, err)
				}
			})
		}
	}
}
