package offload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// errOneDenied is what a store answers that does not take this very object.
var errOneDenied = fmt.Errorf("%w, %w", bucket.ErrDenied, bucket.ErrOfObject)

// poison has Puts of the keys fail that begin with one of the names.
func (s *site) poison(err error, names ...string) {
	s.faults.SetHook(func(c buckettest.Call) buckettest.Fault {
		for _, name := range names {
			if c.Op == buckettest.OpPut && strings.HasPrefix(c.Key, "media/"+name) {
				return buckettest.Fault{Before: err}
			}
		}
		return buckettest.Fault{}
	})
}

// A file that the bucket does not take, whatever its sizes, is no outage on a site at
// rest: it alone is shown as failing, and uploads go on.
//
// Promise 2: "No failure of the bucket […] loses a file that the app has on disk".
func TestOneFileThatFailsIsNoOutage(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"denied": errOneDenied, "bad request": fmt.Errorf("400, %w", bucket.ErrOfObject),
	} {
		t.Run(name, func(t *testing.T) {
			onBothModes(t, func(t *testing.T, s *site, _ nodes) {
				s.poison(err, "poison")
				s.write("poison.jpg", "x")
				s.write("poison-150x150.jpg", "x")
				s.write("poison-300x200.jpg", "x")
				s.until("the files to be called failing", func() bool { return s.e.Stats().Failing == 3 })
				st := s.e.Stats()
				if st.State != "running" || st.Pending != 3 || !strings.Contains(st.Reason, "poison") {
					t.Errorf("%s (%s), %d files pending", st.State, st.Reason, st.Pending)
				}
				if _, uploads, why := s.e.Ready(); !uploads {
					t.Errorf("no uploads: %s", why)
				}
				s.mustRequest(func() { s.write("another.jpg", "x") })

				s.faults.SetHook(nil)
				s.idle()
				s.equal()
				if st := s.e.Stats(); st.Failing != 0 || st.Reason != "" {
					t.Errorf("%d failing (%s)", st.Failing, st.Reason)
				}
			})
		})
	}
}

// One file is enough to see that the bucket takes none: it hangs, is full, does not know
// the credentials, or fails in a way that tells nothing.
func TestOutageIsSeenByOneFile(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"no answer": context.DeadlineExceeded, "credentials": bucket.ErrDenied, "gone": bucket.ErrNoBucket,
		"full": errFull, "an error": buckettest.ErrInjected,
	} {
		t.Run(name, func(t *testing.T) {
			onBothModes(t, func(t *testing.T, s *site, _ nodes) {
				s.poison(err, "")
				s.write("a.jpg", "x")
				s.until("the outage to be seen", func() bool { _, uploads, _ := s.e.Ready(); return !uploads && s.e.Stats().State == "degraded" })
				s.faults.SetHook(nil)
				s.idle()
				s.equal()
			})
		})
	}
}

// A bucket that denies whatever is tried is down, although each answer is about one
// object.
func TestOutageByManyDenials(t *testing.T) {
	t.Parallel()
	onBothModes(t, func(t *testing.T, s *site, _ nodes) {
		s.poison(errOneDenied, "")
		for _, key := range []string{"sun.jpg", "moon.jpg", "stars.jpg"} {
			if err := s.request(func() { s.write(key, "x") }); !errors.Is(err, bucket.ErrDenied) {
				t.Fatalf("%s: %v", key, err)
			}
		}
		s.until("the outage to be seen", func() bool { return s.e.Stats().State == "degraded" })
		s.faults.SetHook(nil)
		s.idle()
		s.equal()
	})
}

// An outage ends although the only file that is left is one that the bucket denies.
func TestOutageEndsWithADeniedFile(t *testing.T) {
	t.Parallel()
	onBothModes(t, func(t *testing.T, s *site, _ nodes) {
		s.poison(buckettest.ErrInjected, "")
		s.write("poison.jpg", "x")
		s.until("the outage to be seen", func() bool { return s.e.Stats().State == "degraded" })
		s.poison(errOneDenied, "poison")
		s.until("uploads", func() bool { _, uploads, _ := s.e.Ready(); return uploads })
		s.faults.SetHook(nil)
		s.idle()
		s.equal()
	})
}

// What the disk cannot read is no fault of the bucket's.
func TestDiskReadKnowsWhoFailed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		failed bool
	}{{syscall.EIO, true}, {io.EOF, false}} {
		r := &diskRead{from: failingReader{c.err}}
		if _, err := r.ReadAt(make([]byte, 1), 0); !errors.Is(err, c.err) || r.failed.Load() != c.failed {
			t.Errorf("%v: failed is %v", err, r.failed.Load())
		}
	}
}

type failingReader struct{ err error }

func (r failingReader) ReadAt([]byte, int64) (int, error) { return 0, r.err }

// An outage of which only writes tell (a full disk, rights to read only) is not taken for
// over because the bucket can be read.
//
// Promise 2: "it is committed after recovery, without anyone's help".
func TestReadsEndNoOutageOfWrites(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{"full": errFull, "read-only": bucket.ErrDenied} {
		t.Run(name, func(t *testing.T) {
			onBothModes(t, func(t *testing.T, s *site, _ nodes) {
				mend := s.failPuts(err)
				s.writeAll(names(3))
				s.until("the outage to be seen", func() bool { return s.e.Stats().State == "degraded" })
				before, _, _ := s.e.recon.status()
				s.e.recon.want(everything, window{})
				s.until("a comparison", func() bool {
					last, active, _ := s.e.recon.status()
					return last.After(before) && !active
				})
				if n := s.logs.count("takes files again"); n != 0 {
					t.Error("the outage was called over")
				}
				mend()
				s.until("all to be stored", func() bool { return s.e.Stats().State == "running" })
				s.idle()
				s.equal()
			})
		})
	}
}
