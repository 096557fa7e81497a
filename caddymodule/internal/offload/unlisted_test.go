package offload

import (
	"strings"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// unlist returns a hook that leaves a directory of the bucket out of its listings.
func unlist(dir string) buckettest.Hook {
	part := &bucket.UnlistedError{Key: dir, Err: errOneDenied}
	return buckettest.Always(buckettest.Fault{Unlisted: part}, buckettest.OpList)
}

// A part of the bucket that cannot be listed keeps no server from taking uploads after a
// restart. What lies there is unknown: nothing of it is taken for deleted on either side,
// what a visitor asks for is looked at, and so is a file that may not be stored.
//
// Promise 8: "What is missing after a time without the module is fetched, not deleted".
func TestUnlistedDirectory(t *testing.T) {
	t.Parallel()
	for how, end := range map[string]func(*site){"stopped": (*site).stop, "killed": (*site).kill} {
		t.Run(how, func(t *testing.T) {
			onBothModes(t, func(t *testing.T, s *site, others nodes) {
				for _, key := range []string{"a/1.jpg", "b/1.jpg", "b/2.jpg", "b/3.jpg", "c/1.jpg"} {
					s.mustRequest(func() { s.write(key, "content of "+key) })
				}
				s.idle()
				end(s)
				s.write("b/3.jpg", "written meanwhile")
				s.write("b/4.jpg", "new meanwhile")
				s.remove("b/2.jpg") // the disk lost it
				s.hook = unlist("media/b/")
				s.start()
				s.until("uploads", func() bool { _, uploads, _ := s.e.Ready(); return uploads && !s.e.Stats().Reconciled.IsZero() })
				for _, key := range []string{"a/2.jpg", "b/5.jpg"} {
					s.mustRequest(func() { s.write(key, "content of "+key) })
				}
				s.idle()
				if n := s.logs.count("cannot be listed"); n != 1 {
					t.Errorf("it is logged %d times", n)
				}
				if st := s.e.Stats(); st.State != "running" || !strings.Contains(st.Reason, "cannot be listed") {
					t.Errorf("%s (%s)", st.State, st.Reason)
				}
				objects := s.objects()
				for key, want := range map[string]string{
					"b/1.jpg": "content of b/1.jpg", "b/2.jpg": "content of b/2.jpg", "b/3.jpg": "written meanwhile",
					"b/4.jpg": "new meanwhile", "b/5.jpg": "content of b/5.jpg", "a/2.jpg": "content of a/2.jpg", "c/1.jpg": "content of c/1.jpg",
				} {
					if objects[key] != want {
						t.Errorf("the object %s is %q", key, objects[key])
					}
					if got := s.read(key); key != "b/2.jpg" && got != want {
						t.Errorf("the file %s is %q", key, got)
					}
				}
				if _, _, public := s.e.Public([]byte("b/1.jpg")); !public {
					t.Error("pages do not name what its mark calls committed")
				}
				o, err := s.e.Open(t.Context(), "b/2.jpg", bucket.GetOptions{})
				if err != nil {
					t.Fatal(err)
				}
				_ = o.Body.Close()

				s.faults.SetHook(nil)
				s.hook = nil
				s.compareNow()
				s.idle()
				if st := s.e.Stats(); st.Reason != "" {
					t.Errorf("then %s", st.Reason)
				}
				if s.cfg.Local == LocalAll {
					s.until("what is missing to be fetched", func() bool { return s.read("b/2.jpg") != "" })
					s.equal()
				}
			})
		})
	}
}

// All of it is no part: the comparison is tried until it succeeds.
func TestUnlistedBucketIsNoPart(t *testing.T) {
	t.Parallel()
	onBothModes(t, func(t *testing.T, s *site, _ nodes) {
		s.mustRequest(func() { s.write("a.jpg", "a") })
		s.idle()
		s.stop()
		s.hook = unlist("media/")
		s.start()
		s.until("the comparison to fail", func() bool { return s.e.Stats().State == "degraded" })
		s.faults.SetHook(nil)
		s.until("the comparison", func() bool { return !s.e.Stats().Reconciled.IsZero() })
		s.idle()
		s.equal()
	})
}
