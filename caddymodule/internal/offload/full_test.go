package offload

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// errFull is what a store answers that has no room.
var errFull = fmt.Errorf("%w: %w", bucket.ErrFull, syscall.ENOSPC)

// hasRoomFor has the bucket refuse files and control objects of more bytes.
func (s *site) hasRoomFor(size int64) {
	s.faults.SetHook(func(c buckettest.Call) buckettest.Fault {
		if c.Op == buckettest.OpPut && c.Size > size {
			return buckettest.Fault{Before: errFull}
		}
		return buckettest.Fault{}
	})
}

// takesUploads reports what a load balancer is told.
func (s *site) takesUploads() bool {
	_, uploads, _ := s.e.Ready()
	return uploads && s.e.Stats().State == "running"
}

const large = 200 << 10

// A store that has room for small files only is full as long as a large one waits: its
// state says so whatever small ones are stored meanwhile, and these do not wait for it.
//
// Promise 2: "No failure of the bucket […] loses a file that the app has on disk: it is
// committed after recovery, without anyone's help."
func TestNoRoomForLargeFiles(t *testing.T) {
	t.Parallel()
	onBothModes(t, func(t *testing.T, s *site, _ nodes) {
		s.hasRoomFor(large / 2)
		s.write("large.jpg", strings.Repeat("x", large))
		s.until("it to be seen", func() bool { return !s.takesUploads() })
		for i := range 5 {
			s.mustRequest(func() { s.write(fmt.Sprintf("small-%c.jpg", 'a'+i), "x") })
			if s.takesUploads() {
				t.Errorf("after %d small files: uploads are taken", i+1)
			}
		}
		if n := s.logs.count("takes files again"); n != 0 {
			t.Error("the outage was called over")
		}
		s.faults.SetHook(nil)
		s.until("uploads", s.takesUploads)
		s.idle()
		s.equal()
		if n := s.logs.count("does not take files"); n != 1 {
			t.Errorf("%d lines about it", n)
		}
	})
}

// The state of a full store comes back by itself, and not before there is room, though no
// file is left that could tell.
func TestRoomIsSeenWithoutAnUpload(t *testing.T) {
	t.Parallel()
	onBothModes(t, func(t *testing.T, s *site, _ nodes) {
		s.hasRoomFor(large / 2)
		s.write("large.jpg", strings.Repeat("x", large))
		s.until("it to be seen", func() bool { return !s.takesUploads() })
		s.mustRequest(func() { s.remove("large.jpg") })
		s.mustRequest(func() { s.write("small.jpg", "x") })
		s.idle()
		tried := s.faults.Calls(buckettest.OpPut)
		s.until("it to be tried", func() bool { return s.faults.Calls(buckettest.OpPut) > tried+1 })
		if s.takesUploads() {
			t.Error("uploads are taken")
		}
		s.faults.SetHook(nil)
		s.until("uploads", s.takesUploads)
		s.equal()
	})
}

// A disk that is full but for some kilobytes takes control objects and small files. The
// state says that it is full, in every run, until there is room.
//
// Issue: "state never running while it is away", full as well.
func TestDiskThatIsNearlyFull(t *testing.T) {
	t.Parallel()
	for _, policy := range []LocalPolicy{LocalAll, LocalOwn} {
		for _, left := range []int{0, 16, 64} { // KiB
			t.Run(fmt.Sprintf("%s/%d KiB", policy, left), func(t *testing.T) {
				t.Parallel()
				s := newSite(t, func(c *Config) { c.Local = policy })
				s.onDisk()
				s.ready()
				s.mustUpload(func() { s.writeAll(names(3)) })
				s.idle()
				filler, keep := s.mount.disk+"/filler", s.mount.disk+"/keep"
				mustDo(t, os.WriteFile(keep, make([]byte, left<<10), 0o600))
				s.sh(`while dd if=/dev/zero bs=4k count=1 >>"$1" 2>/dev/null; do :; done`, filler)
				mustDo(t, os.Remove(keep))
				if err := s.uploadAnyway(func() { s.write("large.jpg", strings.Repeat("x", large)) }, func() bool { return !s.takesUploads() }); err == nil {
					t.Error("the upload was said to be stored")
				}
				for range 3 {
					tries := s.e.Stats().Retries + uint64(s.faults.Calls(buckettest.OpPut))
					s.until("another try", func() bool { return s.e.Stats().Retries+uint64(s.faults.Calls(buckettest.OpPut)) > tries })
					if s.takesUploads() {
						t.Error("uploads are taken")
					}
				}
				mustDo(t, os.Remove(filler))
				s.until("uploads", s.takesUploads)
				s.idle()
				s.equal()
			})
		}
	}
}

// A bucket in which nothing may be written below media/ is down, though all else can be
// done, and one file is enough to see it; so is one that denies private files.
func TestOnePrefixIsDenied(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"media/", "private/"} {
		t.Run(prefix, func(t *testing.T) {
			onBothModes(t, func(t *testing.T, s *site, _ nodes) {
				s.mustRequest(func() { s.write("closed/.htaccess", "Require all denied") })
				s.faults.SetHook(func(c buckettest.Call) buckettest.Fault {
					if c.Op == buckettest.OpPut && strings.HasPrefix(c.Key, prefix) {
						return buckettest.Fault{Before: errOneDenied}
					}
					return buckettest.Fault{}
				})
				key := map[string]string{"media/": "a.jpg", "private/": "closed/a.jpg"}[prefix]
				s.write(key, "x")
				s.until("it to be seen", func() bool { return !s.takesUploads() })
				s.mustRequest(func() { s.remove(key) }) // nothing is left that could tell
				s.faults.SetHook(nil)
				s.until("uploads", s.takesUploads)
			})
		})
	}
}

// A bucket that denies deletes, or reads, takes files as before, and the status says what
// is missing until it is granted. A load balancer goes on to send uploads.
//
// docs/failures.md: "Where only deleting or reading is denied, files are stored as before".
func TestOneRightIsDenied(t *testing.T) {
	t.Parallel()
	for op, say := range map[buckettest.Op]string{buckettest.OpDelete: "to delete an object", buckettest.OpGet: "to read an object"} {
		t.Run(say, func(t *testing.T) {
			onBothModes(t, func(t *testing.T, s *site, _ nodes) {
				s.mustRequest(func() { s.write("a.jpg", "x") })
				s.faults.SetHook(func(c buckettest.Call) buckettest.Fault {
					if c.Op == op && strings.HasPrefix(c.Key, "media/") {
						return buckettest.Fault{Before: errOneDenied}
					}
					return buckettest.Fault{}
				})
				if op == buckettest.OpGet {
					_, _ = s.e.Open(t.Context(), "a.jpg", bucket.GetOptions{})
				} else {
					_ = s.request(func() { s.remove("a.jpg") })
				}
				s.until("it to be seen", func() bool {
					st := s.e.Stats()
					return st.State == "degraded" && strings.Contains(st.Reason, say)
				})
				for i := range 3 {
					s.mustUpload(func() { s.write(fmt.Sprintf("b%d.jpg", i), "x") }, fmt.Sprintf("b%d.jpg", i))
				}
				if reads, uploads, reason := s.e.Ready(); !reads || !uploads {
					t.Errorf("it is ready for reads: %t, for uploads: %t, %s", reads, uploads, reason)
				}
				if n := s.logs.count("does not take files"); n != 0 {
					t.Error("the log says that it takes no files")
				}
				s.faults.SetHook(nil)
				s.until("uploads", s.takesUploads)
				s.idle()
				s.equal()
			})
		})
	}
}

// A store that never answers is seen while it lasts, by the file that waits for it.
func TestNoAnswerIsSeenSoon(t *testing.T) {
	t.Parallel()
	onBothModes(t, func(t *testing.T, s *site, _ nodes) {
		answer := make(chan struct{})
		s.faults.SetHook(func(c buckettest.Call) buckettest.Fault {
			if strings.HasPrefix(c.Key, "media/") {
				return buckettest.Fault{Hang: answer}
			}
			return buckettest.Fault{}
		})
		s.write("a.jpg", "x")
		s.until("it to be seen", func() bool { return !s.takesUploads() })
		s.faults.SetHook(nil)
		close(answer)
		s.until("uploads", s.takesUploads)
		s.idle()
		s.equal()
	})
}

// An object that was stored to try the bucket goes, also if the answer to that was lost, or
// the process was stopped.
func TestTrialLeavesNothing(t *testing.T) {
	t.Parallel()
	left := func(s *site) (n int) {
		found, err := filepath.Glob(s.bucket + "/media/.media-offload-trial-*")
		mustDo(s.t, err)
		return len(found)
	}
	for name, stop := range map[string]bool{"the answer is lost": false, "the process is stopped": true} {
		t.Run(name, func(t *testing.T) {
			onBothModes(t, func(t *testing.T, s *site, _ nodes) {
				s.faults.SetHook(func(c buckettest.Call) buckettest.Fault {
					if c.Op == buckettest.OpPut && strings.HasPrefix(c.Key, "media/") {
						return buckettest.Fault{After: buckettest.ErrInjected}
					}
					return buckettest.Fault{}
				})
				s.write("a.jpg", "x")
				s.until("a trial", func() bool { return !s.takesUploads() && left(s) == 1 })
				if stop {
					s.kill()
					s.start()
				}
				s.faults.SetHook(nil)
				s.until("it to go", func() bool { return left(s) == 0 && s.takesUploads() })
				s.idle()
				s.equal()
			})
		})
	}
}

// The status tells of the files that wait also after a restart, while the bucket is full
// or away, so that they cannot be compared with it.
//
// Promise 2: "it is committed after recovery, without anyone's help".
func TestWhatWaitsIsPendingAfterARestart(t *testing.T) {
	for name, after := range map[string]struct {
		away bool
		fail buckettest.Fault
	}{
		"full": {fail: buckettest.Fault{Before: errFull}},
		"away": {away: true},
	} {
		t.Run(name, func(t *testing.T) {
			onBothModes(t, func(t *testing.T, s *site, _ nodes) {
				s.mustUpload(func() { s.writeAll(names(3)) })
				stop := s.failPuts(errFull)
				s.write("waits/a.jpg", "a")
				s.write("waits/b.jpg", "b")
				s.write("waits/c.php", "no media")
				s.until("them to wait", func() bool { return s.e.Stats().Pending == 2 })
				s.kill()
				var back func()
				if after.away {
					stop()
					aside := s.setAside()
					back = func() { s.putBack(aside) }
				} else {
					back = s.fail(buckettest.Always(after.fail, buckettest.OpPut, buckettest.OpProbe))
				}
				s.start()
				s.until("them to be pending", func() bool { st := s.e.Stats(); return st.Pending == 2 && st.OldestPending > 0 })
				s.write("waits/d.jpg", "d")
				s.until("one more", func() bool { return s.e.Stats().Pending == 3 })
				back()
				s.until("the first reconcile", func() bool { return !s.e.Stats().Reconciled.IsZero() })
				s.idle()
				s.equal()
			})
		})
	}
}
