package offload

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/deletes"
)

// Promise 8: "Deleting is careful, and lasts." A rename within the roots is a
// move, never a delete, whatever its size and whoever did it: no request runs here.
func TestRenameOutsideARequestIsAMove(t *testing.T) {
	t.Parallel()
	alone(t, func(t *testing.T, s *site) {
		s.mustUpload(func() {
			s.writeAll(names(4))
			s.writeAll([]string{"dir/1.jpg", "dir/sub/2.jpg"})
			for i := range 3 * deletes.Few {
				s.write(fmt.Sprintf("dir/many-%d.jpg", i), "x")
			}
		})
		moved := func(what string) {
			t.Helper()
			s.idle()
			s.equal()
			if trash := s.below("offload/trash/"); len(trash) > 0 {
				t.Errorf("in the trash: %v", trash)
			}
			if t.Failed() {
				t.Fatalf("after: %s", what)
			}
		}
		s.rename("2026/11/photo-0.jpg", "2026/11/renamed.jpg")
		moved("a file renamed")
		s.rename("2026/11/photo-1.jpg", "2026/11/photo-2.jpg")
		moved("a file renamed over another")
		s.rename("dir", "moved")
		moved("a directory renamed")
		s.rename("moved", "in-steps")
		s.rename("in-steps", "dir")
		s.rename("dir/1.jpg", "1.jpg")
		moved("renamed in steps")
		for i := range 3 * deletes.Few {
			s.rename(fmt.Sprintf("dir/many-%d.jpg", i), fmt.Sprintf("dir/renamed-%d.jpg", i))
		}
		moved("many renamed")
		s.rename("1.jpg", "1.jpg.part")
		moved("renamed to a name that is no media")
		s.restart()
		moved("a restart")
		if got := s.read("1.jpg"); got != "" {
			t.Errorf("what was renamed is back on disk: %q", got)
		}
	})
}

// An app that makes a picture on demand writes it under a name of its own first:
// no object of that is left, and it does not return to the disk.
func TestTemporaryFileOfAGetLeavesNoObject(t *testing.T) {
	t.Parallel()
	alone(t, func(t *testing.T, s *site) {
		s.mustUpload(func() { s.write("made/other.jpg", "x") })
		s.write("made/tmp-1.jpg", "a picture that took its time")
		s.idle() // it was committed under the temporary name
		if s.readObject("made/tmp-1.jpg") == "" {
			t.Fatal("the temporary file was not stored: this test shows nothing")
		}
		s.rename("made/tmp-1.jpg", "made/300.jpg")
		s.idle()
		s.equal()
		s.restart()
		s.equal()
		if _, err := os.Stat(s.path("made/tmp-1.jpg")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the temporary file is back: %v", err)
		}
	})
}

// restart ends the engine and starts another.
func (s *site) restart() {
	s.t.Helper()
	s.stop()
	s.ready()
	s.idle()
}

// A name that a file was moved away from, and that was written anew while the move
// waited for its new name to be stored, is stored, also if that had failed before.
func TestOldNameIsWrittenAnewDuringTheMove(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	failing := func(string) error { return errors.New("503 SlowDown") }
	s.calls.set(func(c *calls) { c.onPut = failing })
	s.write("a.jpg", "first")
	s.until("the first try", func() bool { return s.e.Stats().Retries > 0 })
	s.rename("a.jpg", "b.jpg")
	s.until("the move to wait", func() bool {
		s.e.queue.Lock()
		defer s.e.queue.Unlock()
		it := s.e.queue.At("a.jpg")
		return it != nil && it.Move != nil
	})
	s.write("a.jpg", "second")
	s.until("the new file to be seen", func() bool {
		s.e.queue.Lock()
		defer s.e.queue.Unlock()
		it := s.e.queue.At("a.jpg")
		return it != nil && it.Move == nil
	})
	s.calls.set(func(c *calls) { c.onPut = nil })
	s.until("both files to be stored", func() bool { return s.readObject("a.jpg") == "second" && s.readObject("b.jpg") == "first" })
}

// What is removed outside a request is no move.
func TestRemovalAfterARenameIsNoMove(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *Config) { c.Deletes = DeletesDuringRequests })
	s.ready()
	s.mustRequest(func() { s.writeAll(names(2)) })
	s.rename("2026/11/photo-0.jpg", "b.jpg")
	s.idle()
	s.remove("b.jpg")
	s.remove("2026/11/photo-1.jpg")
	s.idle()
	if got := s.objects(); len(got) != 2 || got["b.jpg"] == "" || got["2026/11/photo-1.jpg"] == "" {
		t.Errorf("objects %v", got)
	}
}

// Promise 2: "Nothing is lost." The object of the old name goes when that of the
// new one is there, in a request too.
func TestOldObjectGoesAfterTheNewOneCame(t *testing.T) {
	t.Parallel()
	for name, move := range map[string]struct {
		from, to []string
		do       func(s *site)
	}{
		"file": {
			[]string{"a/1.jpg"}, []string{"b.jpg"},
			func(s *site) { s.rename("a/1.jpg", "b.jpg") },
		},
		"directory": {
			[]string{"a/1.jpg", "a/2.jpg"}, []string{"b/1.jpg", "b/2.jpg"},
			func(s *site) { s.rename("a", "b") },
		},
		"file in steps": {
			[]string{"a/1.jpg"}, []string{"c.jpg"},
			func(s *site) { s.rename("a/1.jpg", "b.jpg"); s.rename("b.jpg", "c.jpg") },
		},
		"directory in steps": {
			[]string{"a/1.jpg", "a/2.jpg"}, []string{"c/1.jpg", "c/2.jpg"},
			func(s *site) { s.rename("a", "b"); s.rename("b", "c") },
		},
		"file, then its directory": {
			[]string{"a/1.jpg"}, []string{"c/1.jpg"},
			func(s *site) { s.rename("a/1.jpg", "d/1.jpg"); s.rename("d", "c") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			alone(t, func(t *testing.T, s *site) {
				s.mustUpload(func() {
					s.writeAll([]string{"a/1.jpg", "a/2.jpg"})
					s.write("d/other.jpg", "x")
				})
				var mu sync.Mutex
				var order []string
				failures := 3
				s.calls.set(func(c *calls) {
					c.onPut = func(key string) error {
						mu.Lock()
						defer mu.Unlock()
						if failures > 0 && strings.HasPrefix(key, "media/") {
							failures--
							return buckettest.ErrInjected
						}
						return nil
					}
					c.afterPut = func(key string) error {
						mu.Lock()
						defer mu.Unlock()
						order = append(order, "put "+key)
						return nil
					}
					c.onDelete = func(keys []string) error {
						mu.Lock()
						defer mu.Unlock()
						for _, key := range keys {
							order = append(order, "delete "+key)
						}
						return nil
					}
				})
				s.mustUpload(func() { move.do(s) })
				s.idle()
				s.equal()
				mu.Lock()
				defer mu.Unlock()
				for _, to := range move.to {
					put := slices.Index(order, "put media/"+to)
					for _, from := range move.from {
						if gone := slices.Index(order, "delete media/"+from); put < 0 || gone < put {
							t.Errorf("%s went before %s came: %v", from, to, order)
						}
					}
				}
			})
		})
	}
}

// A new name that the bucket cannot hold keeps nobody waiting, and a file that
// comes under the old name is stored.
func TestMoveThatCannotBeFollowed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	s.mustRequest(func() { s.writeAll(names(3)) })
	s.mustRequest(func() { s.rename("2026/11/photo-0.jpg", "bad\x01name.jpg") })
	s.mustRequest(func() { s.rename("2026/11/photo-1.jpg", "2026/11/.hidden") })
	if got := s.objects(); len(got) != 1 {
		t.Errorf("objects %v", got)
	}
	stuck := make(chan struct{})
	s.calls.set(func(c *calls) {
		c.onPut = func(key string) error {
			if key == "media/new.jpg" {
				<-stuck
			}
			return nil
		}
	})
	s.rename("2026/11/photo-2.jpg", "new.jpg")
	s.until("the put", func() bool { puts, _, _ := s.calls.did(); return puts == 4 })
	s.mustRequest(func() { s.write("2026/11/photo-2.jpg", "another") })
	if got := s.readObject("2026/11/photo-2.jpg"); got != "another" {
		t.Errorf("the object is %q", got)
	}
	close(stuck)
	s.idle()
}

// "deletes never" keeps every object.
func TestNeverKeepsTheOldObjectOfAMove(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *Config) { c.Deletes = DeletesNever })
	s.ready()
	s.mustRequest(func() { s.write("a.jpg", "a") })
	s.mustRequest(func() { s.rename("a.jpg", "b.jpg") })
	s.idle()
	if got := s.objects(); got["a.jpg"] != "a" || got["b.jpg"] != "a" {
		t.Errorf("objects %v", got)
	}
}
