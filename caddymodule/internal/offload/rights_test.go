package offload

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// A right that is taken away in a running site costs no file. As long as uploads cannot be
// stored the state says so, the log names the right, and all goes on by itself when it is
// given back.
//
// Promise 2: "No failure of the bucket […] loses a file that the app has on disk: it is
// committed after recovery, without anyone's help."
func TestRightsTakenAway(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		below   string
		actions []string
		say     string
		// storesOwn, storesAll: uploads can be stored all the same.
		storesOwn, storesAll bool
	}{
		"storing":                 {"", []string{"s3:PutObject"}, "s3:PutObject", false, false},
		"storing media":           {"media/", []string{"s3:PutObject"}, "s3:PutObject", false, false},
		"storing control objects": {"offload/", []string{"s3:PutObject"}, "s3:PutObject", true, false},
		"reading":                 {"", []string{"s3:GetObject"}, "s3:GetObject", true, false},
		"listing":                 {"", []string{"s3:ListBucket"}, "", true, true},
		"deleting":                {"", []string{"s3:DeleteObject"}, "s3:DeleteObject", true, true},
		"everything":              {"", []string{"s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:ListBucket"}, "s3:", false, false},
		"storing in the log":      {"offload/log/", []string{"s3:PutObject"}, "s3:PutObject", true, false},
		"storing leases":          {"offload/lease/", []string{"s3:PutObject"}, "s3:PutObject", true, false},
	} {
		for _, policy := range []LocalPolicy{LocalAll, LocalOwn} {
			t.Run(name+"/"+string(policy), func(t *testing.T) {
				t.Parallel()
				admin, user, deny := buckettest.StartVersityGWForUser(t)
				s := newSite(t, func(c *Config) {
					c.Local, c.Look, c.Poll, c.LeaseTTL = policy, 50*time.Millisecond, 20*time.Millisecond, 3*time.Second
				})
				s.s3, s.admin = &user, &admin
				s.ready()
				s.mustUpload(func() { s.writeAll(names(3)) })
				s.idle()
				deny(c.below, c.actions...)
				stores := c.storesAll
				if policy == LocalOwn {
					stores = c.storesOwn
				}
				err := s.uploadAnyway(func() { s.writeAll([]string{"sun.jpg", "moon.jpg"}) }, func() bool { return !s.takesUploads() }, "sun.jpg", "moon.jpg")
				if !stores && err == nil && !maps.Equal(s.disk(), s.objects()) {
					t.Error("the upload was said to be stored")
				}
				if !stores {
					s.until("it to be seen", func() bool { return !s.takesUploads() })
				}
				if stores {
					s.until("the files to be stored", func() bool { return maps.Equal(s.disk(), s.objects()) })
				}
				_ = s.uploadAnyway(func() { s.remove(names(3)[0]) }, always)
				if c.say != "" && s.e.Stats().State != "running" && !strings.Contains(s.e.Stats().Reason, c.say) && s.logs.count(c.say) == 0 {
					t.Errorf("neither log nor status say what is missing: %s", s.e.Stats().Reason)
				}
				t.Logf("%s: %s", s.e.Stats().State, s.e.Stats().Reason)
				for range 20 {
					if !stores && s.takesUploads() {
						t.Error("uploads are taken")
					}
					if _, uploads, reason := s.e.Ready(); stores && !uploads {
						t.Fatalf("uploads could be stored, and are sent elsewhere: %s", reason)
					}
					time.Sleep(20 * time.Millisecond) // nothing signals that it stays so
				}
				deny("")
				s.until("all to be as before", func() bool { return s.takesUploads() && maps.Equal(s.disk(), s.objects()) })
				s.idle()
				if n := len(s.disk()); n != 4 {
					t.Errorf("%d files are left of 4", n)
				}
				s.mustUpload(func() { s.write("stars.jpg", "x") })
			})
		}
	}
}
