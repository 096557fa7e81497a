package offload

import (
	"strings"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
)

// A disk that was emptied while its engine was down has the identity that it
// had, so the bucket is full of objects that were stored from it. What its app
// writes under their names, and deletes again before anything could be learnt of
// them, takes none of them along.
//
// Promise 2: "Nothing is lost." Promise 8: "Deleting is careful."
func TestWipedDiskDeletesNothingOld(t *testing.T) {
	t.Parallel()
	const key = "2026/x.jpg"
	tests := map[string]struct {
		down    bool // it is written before the engine starts, and found by a comparison
		unknown bool // the outcome of Puts is unknown; else they wait
		write   func(s *site)
		gone    string // what the app deletes
	}{
		"after a Put of unknown outcome": {
			unknown: true, gone: key,
			write: func(s *site) { s.write(key, "new") },
		},
		"moved into place, after a Put of unknown outcome": {
			unknown: true, gone: key,
			write: func(s *site) { s.write("tmp", "new"); s.rename("tmp", key) },
		},
		"with its directory, after a Put of unknown outcome": {
			unknown: true, gone: "2026",
			write: func(s *site) { s.write(key, "new") },
		},
		"found by a comparison, after a Put of unknown outcome": {
			down: true, unknown: true, gone: key,
			write: func(s *site) { s.write(key, "new") },
		},
		"moved into place, before a Put": {
			gone:  key,
			write: func(s *site) { s.write("tmp", "new"); s.rename("tmp", key) },
		},
		"before a Put": {
			gone:  key,
			write: func(s *site) { s.write(key, "new") },
		},
		"while the object is looked at, before a Put": {
			gone: key,
			write: func(s *site) {
				s.write(key, "new")
				s.barrier()
				s.e.lookAt(key, verdict.PutElsewhere)
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := newNodes(t, 1).ready()
			s := ns[0]
			s.mustUpload(func() { s.write(key, "old") })
			s.stop()
			s.remove(key)
			release := make(chan struct{})
			s.hook = func(c buckettest.Call) buckettest.Fault {
				switch {
				case !strings.HasPrefix(c.Key, "media/"):
				case c.Op == buckettest.OpList && !test.down, c.Op == buckettest.OpPut && test.unknown:
					return buckettest.Fault{Before: buckettest.ErrInjected}
				case c.Op == buckettest.OpPut:
					return buckettest.Fault{Hang: release}
				}
				return buckettest.Fault{}
			}
			if test.down {
				test.write(s)
			}
			s.start()
			s.barrier()
			r := s.e.beginRunning(t.Context(), "")
			if !test.down {
				test.write(s)
			}
			if test.unknown {
				s.until("the failure", func() bool { return s.e.Stats().Retries > 0 })
			}
			s.barrier()
			s.remove(test.gone)
			s.barrier()
			close(release)
			// A Put that has begun must not come through now: that would be the app's
			// overwrite, which keeps the old content aside.
			s.faults.SetHook(func(c buckettest.Call) buckettest.Fault {
				if test.unknown && c.Op == buckettest.OpPut && strings.HasPrefix(c.Key, "media/") {
					return buckettest.Fault{Before: buckettest.ErrInjected}
				}
				return buckettest.Fault{}
			})
			r.End()
			ns.agree()
			if object, file := s.readObject(key), s.read(key); object != "old" || file != "old" {
				t.Errorf("the object is %q, the file %q", object, file)
			}
		})
	}
}

// barrier waits until the engine knows what was done on disk until now.
func (s *site) barrier() {
	s.t.Helper()
	if err := s.e.barrier(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}
