package offload

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// An object whose Put was answered to nobody, and whose file went before the next
// try, is told to the other nodes where such a delete keeps the object; else the
// object goes.
//
// Promise 6: "Every node sees what a shared disk would show."
func TestObjectOfALostAnswerIsTold(t *testing.T) {
	t.Parallel()
	a, b := loseAnAnswer(t, DeletesDuringRequests)
	b.until("the file", func() bool { return b.read("x.jpg") == "content" })
	a.idle()
	a, b = loseAnAnswer(t, DeletesAlways)
	a.until("the object to go", func() bool { return a.e.Stats().Deleted == 1 && a.readObject("x.jpg") == "" })
	b.until("the file to go", func() bool { return b.read("x.jpg") == "" && b.e.Stats().Pending == 0 })
}

// loseAnAnswer stores x.jpg from node a, whose file goes outside a request before
// the answer, which is lost.
func loseAnAnswer(t *testing.T, deletes DeletePolicy) (a, b *site) {
	ns := newNodes(t, 2, func(c *Config) { c.Deletes = deletes }).ready()
	a, b = ns[0], ns[1]
	a.calls.set(func(c *calls) {
		c.afterPut = func(string) error {
			c.set(func(c *calls) { c.afterPut = nil })
			if err := os.Remove(a.path("x.jpg")); err != nil {
				t.Error(err)
			}
			return errors.New("the answer is lost")
		}
	})
	a.write("x.jpg", "content")
	return a, b
}

// A file that the app deleted before it was known whether it had been stored is
// not brought back by a look at the bucket.
//
// Promise 1: "every file that was written, renamed or deleted in a media root
// while it ran is committed".
func TestLookAfterALostAnswerBringsNothingBack(t *testing.T) {
	t.Parallel()
	s := newNodes(t, 1).ready()[0]
	e := s.e
	_, err := s.calls.Put(t.Context(), "media/x.jpg", strings.NewReader("content"), 7,
		bucket.PutOptions{Info: bucket.Info{Meta: map[string]string{metaNonce: "of this work"}}})
	if err != nil {
		t.Fatal(err)
	}
	func() {
		e.queue.Lock()
		defer e.queue.Unlock()
		it := e.queue.Hear("x.jpg", 0, "x.jpg", work.News{Why: verdict.PutElsewhere}, e.began)
		it.InRequest, it.Unannounced, it.Nonce = true, true, "of this work"
		e.queue.Schedule(it, e.began)
	}()
	s.idle()
	if object, file := s.readObject("x.jpg"), s.read("x.jpg"); object != "" || file != "" {
		t.Errorf("the object is %q, the file %q", object, file)
	}
}

// What a node that was killed had stored, but not told, is told by the one that
// meets it.
//
// Promise 6: "What one node wrote, all others can serve as soon as the answer is
// out."
func TestUntoldObjectIsTold(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"another content": "of this one", "the same content": "of the killed one"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := newNodes(t, 2).ready()
			a, b := ns[0], ns[1]
			a.putObject("media/x.jpg", "of the killed one")
			if err := a.upload(func() { a.write("x.jpg", content) }); err != nil {
				t.Log(err) // the content does not have its name
			}
			b.mustUpload(func() {
				if got := b.read("x.jpg"); got != "of the killed one" {
					t.Errorf("the app of the other node sees %q", got)
				}
			})
			ns.agree()
		})
	}
}

// A file that is written again before it is known whether its first content was
// stored: the last content gets the name, and the first is kept, as another
// node may have seen it.
//
// Promise 2: "Nothing is lost."
func TestOverwrittenAfterALostAnswer(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]string{"a new file": "", "a known file": "before"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newNodes(t, 1).ready()[0]
			if before != "" {
				s.mustUpload(func() { s.write("x.jpg", before) })
				s.idle()
			}
			s.calls.set(func(c *calls) {
				c.afterPut = func(key string) error {
					if key != "media/x.jpg" {
						return nil
					}
					c.set(func(c *calls) { c.afterPut = nil })
					s.write("x.jpg", "the second content")
					return errors.New("the answer is lost")
				}
			})
			s.mustUpload(func() { s.write("x.jpg", "the first") })
			s.idle()
			if object, file := s.readObject("x.jpg"), s.read("x.jpg"); object != "the second content" || file != object {
				t.Errorf("the object is %q, the file %q", object, file)
			}
			if got := s.conflicts(); len(got) != 1 || got[0] != "the first" {
				t.Errorf("kept aside: %q", got)
			}
		})
	}
}
