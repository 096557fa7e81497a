package offload

import (
	"errors"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
)

// A file that is written below a directory while that one's objects are being
// deleted is in the bucket when its request ends.
//
// Promise 1: "Durable before visible." Promise 2: "Nothing is lost."
func TestFileComesBackDuringDeleteOfItsDirectory(t *testing.T) {
	t.Parallel()
	for _, policy := range []LocalPolicy{LocalOwn, LocalAll} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s := newNodes(t, 1, func(c *Config) { c.Local = policy })[0]
			s.ready()
			s.mustRequest(func() { s.write("d/x.jpg", "old") })
			r := s.e.beginRunning(t.Context(), "")
			defer r.End()
			s.calls.set(func(c *calls) {
				c.onDelete = func([]string) error {
					c.set(func(c *calls) { c.onDelete = nil })
					s.write("d/x.jpg", "new")
					s.until("the new file", func() bool { return s.readObject("d/x.jpg") == "new" })
					return nil
				}
			})
			s.rename("d", "e")
			if err := r.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := s.readObject("d/x.jpg"); got != "new" {
				t.Errorf("after the request the bucket has %q", got)
			}
			s.idle()
			s.equal()
		})
	}
}

// A file that came back is not taken for one that another node deleted, when disk
// and bucket are compared before the answer to the delete has come.
//
// Promise 2: "Nothing is lost."
func TestComparedDuringDeleteOfADirectory(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]error{"deleted": nil, "the answer is lost": errors.New("the answer is lost")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newNodes(t, 1).ready()[0]
			s.mustUpload(func() { s.write("d/x.jpg", "old") })
			s.idle()
			s.calls.set(func(c *calls) {
				c.onDelete = func([]string) error {
					c.set(func(c *calls) { c.onDelete = nil })
					s.write("d/x.jpg", "new")
					s.until("the new file", func() bool { return s.readObject("d/x.jpg") == "new" && s.e.queue.Len() == 1 })
					if err := s.faults.Delete(t.Context(), "media/d/x.jpg"); err != nil {
						t.Error(err)
					}
					before := s.e.Stats().Reconciled
					s.e.apply([]changelog.Change{{Op: changelog.DeleteBelow, Key: "d"}})
					s.until("the comparison", func() bool { return s.e.Stats().Reconciled.After(before) })
					return answer
				}
			})
			s.mustUpload(func() { s.rename("d", "e") })
			s.idle()
			if object, file := s.readObject("d/x.jpg"), s.read("d/x.jpg"); object != "new" || file != "new" {
				t.Errorf("the object is %q, the file %q", object, file)
			}
		})
	}
}
