package offload

import (
	"errors"
	"maps"
	"os"
	"testing"
)

// A media root that was removed, and made anew by an app that runs an upload, is a disk
// that was wiped: what it had is fetched, and nothing is taken for the request's delete.
//
// Promise 8: "What is missing after a time without the module is fetched, not deleted".
func TestRootMadeAnewByARequest(t *testing.T) {
	t.Parallel()
	for _, wait := range []string{"at once", "when the deletes are withheld"} {
		t.Run(wait, func(t *testing.T) { testRootMadeAnew(t, wait != "at once") })
	}
}

func testRootMadeAnew(t *testing.T, wait bool) {
	onBothModes(t, func(t *testing.T, s *site, _ nodes) {
		keys := names(40)
		s.mustUpload(func() { s.writeAll(keys) })
		s.mustUpload(func() { s.writeAll([]string{"new-1.jpg", "dir/new-2.jpg"}) })
		s.idle()
		if wait {
			for key := range s.disk() {
				s.remove(key)
			}
			s.until("the deletes to be withheld", func() bool { return s.e.Stats().Withheld >= len(keys) })
			s.idle()
		}
		if err := errors.Join(os.RemoveAll(s.dir), s.e.barrier(t.Context())); err != nil {
			t.Fatal(err)
		}
		r := s.e.beginRunning(t.Context(), "client")
		compared, _, _ := s.e.recon.status()
		s.write("another.jpg", "x")
		if err := r.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		r.End()
		s.until("a comparison", func() bool {
			last, active, _ := s.e.recon.status()
			return last.After(compared) && !active
		})
		s.idle()
		if n := len(s.objects()); n != len(keys)+3 {
			t.Errorf("%d objects", n)
		}
		if s.e.cfg.Local == LocalAll { // once the directories that went are dealt with
			s.until("the files to be fetched", func() bool { return maps.Equal(s.disk(), s.objects()) })
		}
	})
}
