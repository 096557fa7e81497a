package offload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/health"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
)

// What only an admin mends ends waits at once, with several nodes too, of which
// nothing is known as long as the bucket cannot be used.
func TestWrongFromTheStart(t *testing.T) {
	t.Parallel()
	for _, wrong := range []error{bucket.ErrDenied, bucket.ErrNoBucket, bucket.ErrClock} {
		for _, policy := range []LocalPolicy{LocalOwn, LocalAll} {
			t.Run(wrong.Error()+" "+string(policy), func(t *testing.T) {
				s := newNodes(t, 1, func(c *Config) { c.Local = policy })[0]
				s.hook = buckettest.Always(buckettest.Fault{Before: wrong})
				s.start()
				for range 2 {
					began := time.Now()
					err := s.request(func() { s.write("a.jpg", "a") })
					if took := time.Since(began); !errors.Is(err, wrong) || took > patience/2 {
						t.Errorf("Wait: %v after %s", err, took)
					}
				}
				if policy == LocalAll {
					s.mustFailSoon(patience/2, wrong)
				}
				s.faults.SetHook(nil)
				s.until("uploads", func() bool { _, uploads, _ := s.e.Ready(); return uploads })
				s.mustRequest(func() { s.write("b.jpg", "b") })
				s.idle()
				s.equal()
			})
		}
	}
}

// mustFailSoon checks that Ready says why (nil: any reason), in good time.
func (s *site) mustFailSoon(soon time.Duration, want error) {
	s.t.Helper()
	r := s.e.beginRunning(s.t.Context(), "")
	defer r.End()
	r.Name("a.jpg")
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*patience)
	defer cancel()
	began := time.Now()
	err := r.Ready(ctx)
	if took := time.Since(began); took > soon || err == nil || !errors.Is(err, cmp.Or(want, err)) {
		s.t.Errorf("Ready: %v after %s", err, took)
	}
}

// An outage that began while all was quiet costs one upload some seconds, and
// the next nothing, whether calls fail or are never answered.
func TestOutageCostsAShortWait(t *testing.T) {
	t.Parallel()
	never := make(chan struct{})
	for name, fault := range map[string]buckettest.Fault{
		"calls fail": {Before: buckettest.ErrInjected}, "no answer": {Hang: never, Before: buckettest.ErrInjected},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newNodes(t, 1, func(c *Config) { c.Poll = time.Second }).ready()[0]
			s.faults.SetHook(buckettest.Always(fault))
			s.mustFailSoon(health.SlowCall+patience/4, nil)
			s.mustFailSoon(health.SlowCall/2, nil)
			s.faults.SetHook(nil)
			s.until("uploads", func() bool { _, uploads, _ := s.e.Ready(); return uploads })
			s.mustUpload(func() { s.write("a.jpg", "a") }, "a.jpg")
		})
	}
}

// An object in the place of the leases' directory goes: a store that keeps files could
// hold none of them beside it.
func TestControlObjectsMakeWay(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2).ready()
	a, b := ns[0], ns[1]
	a.mustUpload(func() { a.write("a.jpg", "a") }, "a.jpg")
	for _, dir := range []string{"lease", "log"} {
		ns.agree() // nothing is in the log that a node has not read
		at := a.bucket + "/offload/" + dir
		a.until("the attack to succeed", func() bool { // nodes write there meanwhile
			return os.RemoveAll(at) == nil && os.WriteFile(at, []byte("evil"), 0o644) == nil
		})
		began := time.Now()
		a.mustUpload(func() { a.write(dir+".jpg", "after") }, dir+".jpg")
		b.mustUpload(func() { b.write(dir+"-b.jpg", "after") }, dir+"-b.jpg")
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("%s in the way: two uploads took %s", dir, took)
		}
	}
	ns.agree()
}

// One object that cannot be used, whoever put it there, is no reason to refuse uploads:
// the next file shows that the bucket takes others.
func TestPoisonedObjectStopsNoUploads(t *testing.T) {
	t.Parallel()
	s := newNodes(t, 1).ready()[0]
	s.faults.SetHook(func(c buckettest.Call) buckettest.Fault {
		if c.Key == "media/poison.jpg" && c.Op == buckettest.OpGet {
			return buckettest.Fault{Before: context.DeadlineExceeded}
		}
		return buckettest.Fault{}
	})
	s.putObject("media/poison.jpg", "poison")
	s.e.lookAt("poison.jpg", verdict.PutElsewhere)
	s.until("it to fail", func() bool { return s.e.Stats().Retries > 3 })
	for i := range 2 {
		key := fmt.Sprintf("fine-%d.jpg", i)
		s.mustUploadNamed(key)
		tries := s.e.Stats().Retries
		s.until("it to fail again", func() bool { return s.e.Stats().Retries > tries })
		if st := s.e.Stats(); st.State != "running" {
			t.Fatalf("%s: %s", st.State, st.Reason)
		}
	}
	s.faults.SetHook(nil)
	s.idle()
}

// mustUploadNamed uploads a file as a request of that name does, which waits for what
// resembles it alone.
func (s *site) mustUploadNamed(key string) {
	s.t.Helper()
	r := s.e.beginRunning(s.t.Context(), "client")
	defer r.End()
	r.Name(key)
	if err := r.Ready(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.write(key, key)
	if err := r.Wait(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// One entry of the change log that cannot be read or written, whoever put there what, is no
// reason to refuse uploads, and all nodes hear of each other's files.
//
// Promise 7: "Whoever can write to the bucket can change media and nothing else".
func TestOneLogEntryStopsNobody(t *testing.T) {
	t.Parallel()
	refuse := func(with error, ops ...buckettest.Op) func(ns nodes, key string) {
		return func(ns nodes, key string) {
			for _, s := range ns {
				s.faults.SetHook(func(c buckettest.Call) buckettest.Fault {
					if c.Key == key && slices.Contains(ops, c.Op) {
						return buckettest.Fault{Before: with}
					}
					return buckettest.Fault{}
				})
			}
		}
	}
	for name, block := range map[string]func(ns nodes, key string){
		"a directory with an object": func(ns nodes, key string) {
			mustDo(t, os.MkdirAll(filepath.Join(ns[0].bucket, key, "a/b"), 0o755))
			mustDo(t, os.WriteFile(filepath.Join(ns[0].bucket, key, "a/b/c"), []byte("evil"), 0o644))
		},
		"a directory with no objects": func(ns nodes, key string) {
			mustDo(t, os.MkdirAll(filepath.Join(ns[0].bucket, key, "a"), 0o755))
			mustDo(t, os.Symlink("nothing", filepath.Join(ns[0].bucket, key, "a/symlink")))
			mustDo(t, syscall.Mkfifo(filepath.Join(ns[0].bucket, key, "a/fifo"), 0o600))
		},
		"a directory with what no key names": func(ns nodes, key string) {
			mustDo(t, os.MkdirAll(filepath.Join(ns[0].bucket, key), 0o755))
			mustDo(t, os.WriteFile(filepath.Join(ns[0].bucket, key, "\x01"), []byte("evil"), 0o644))
		},
		"unreadable": func(ns nodes, key string) {
			mustDo(t, os.WriteFile(filepath.Join(ns[0].bucket, key), []byte("evil"), 0o644))
			refuse(errOneDenied, buckettest.OpGet, buckettest.OpPut)(ns, key)
		},
		"input/output error": func(ns nodes, key string) {
			mustDo(t, os.WriteFile(filepath.Join(ns[0].bucket, key), []byte("evil"), 0o644))
			refuse(syscall.EIO, buckettest.OpGet, buckettest.OpPut)(ns, key)
		},
		"denied":     refuse(errOneDenied, buckettest.OpGet, buckettest.OpPut),
		"unwritable": refuse(errOneDenied, buckettest.OpPut),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := newNodes(t, 2, func(c *Config) { c.Poll = time.Second }).ready()
			a, b := ns[0], ns[1]
			a.mustUpload(func() { a.write("a.jpg", "a") }, "a.jpg")
			ns.agree()
			block(ns, fmt.Sprintf("offload/log/%020d", a.e.team.log.Place().Next))
			for _, s := range []*site{a, b, a, b} {
				key := fmt.Sprintf("%d.jpg", len(s.disk()))
				began := time.Now()
				s.mustUpload(func() { s.write(key, key) }, key)
				if took := time.Since(began); took > 2*health.ReachPatience {
					t.Errorf("%s took %s", key, took)
				}
				if st := s.e.Stats(); st.State != "running" {
					t.Errorf("%s: %s (%s)", key, st.State, st.Reason)
				}
				if name != "unwritable" && !strings.HasSuffix(name, "no key names") {
					ns.agree() // else who reads learns of it when it writes
				}
			}
			ns.agree()
			for _, s := range ns {
				if st := s.e.Stats(); st.State != "running" {
					t.Errorf("%s (%s)", st.State, st.Reason)
				}
			}
		})
	}
}

// A change log of which nothing can be used is an outage, though other control objects can
// be: an upload costs some seconds once, and the status says why.
func TestUnusableLogIsAnOutage(t *testing.T) {
	t.Parallel()
	s := newNodes(t, 1, func(c *Config) { c.Poll = time.Second }).ready()[0]
	s.mustUpload(func() { s.write("a.jpg", "a") }, "a.jpg")
	s.faults.SetHook(func(c buckettest.Call) buckettest.Fault {
		if strings.HasPrefix(c.Key, "offload/log/") {
			return buckettest.Fault{Before: errOneDenied}
		}
		return buckettest.Fault{}
	})
	s.mustFailSoon(health.SlowCall+patience/4, bucket.ErrDenied)
	for range 3 { // whatever other control objects answer meanwhile
		s.mustFailSoon(health.SlowCall/2, bucket.ErrDenied)
		if st := s.e.Stats(); st.State == "running" {
			t.Errorf("%s: %s", st.State, st.Reason)
		}
	}
	s.faults.SetHook(nil)
	s.until("uploads", func() bool { _, uploads, _ := s.e.Ready(); return uploads })
	s.mustUpload(func() { s.write("b.jpg", "b") }, "b.jpg")
}
