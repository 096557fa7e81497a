package offload

import (
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
)

// Which version a disk held is known of more keys than the index has room for.

// Promise 1: "every file that was […] deleted in a media root while it ran is
// committed".
func TestDeleteOfWhatTheIndexForgot(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2, func(c *Config) { c.IndexSize = 2 }).ready()
	a, b := ns[0], ns[1]
	keys := ns.haveFiles(8)
	b.idle()
	b.mustUpload(func() {
		for _, key := range keys[:4] {
			b.remove(key)
		}
	})
	if got := a.objects(); len(got) != 4 {
		t.Errorf("%d objects of 4: %v", len(got), got)
	}
	ns.agree()
	if got := b.disk(); len(got) != 4 {
		t.Errorf("%d files of 4: %v", len(got), got)
	}
}

// Promise 2: "Nothing is lost." A version that was here may be written over.
func TestReplacementOfWhatTheIndexForgot(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2, func(c *Config) { c.IndexSize = 2 }).ready()
	a, b := ns[0], ns[1]
	keys := ns.haveFiles(8)
	b.idle()
	b.mustUpload(func() {
		for _, key := range keys[:4] {
			b.write("tmp", "new content of "+key)
			b.rename("tmp", key) // the mark goes with the old file
		}
	})
	for _, key := range keys[:4] {
		if got := a.readObject(key); got != "new content of "+key {
			t.Errorf("%s is %q", key, got)
		}
	}
	ns.agree()
	if got := a.conflicts(); len(got) > 0 {
		t.Errorf("kept aside: %q", got)
	}
}

// What another node wrote over a version that this disk held is not deleted by
// the delete of that, also if the index forgot all about it.
//
// Promise 2: "Nothing is lost."
func TestDeleteOfAnOlderVersionThatTheIndexForgot(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 1, func(c *Config) { c.IndexSize = 2 }).ready()
	s := ns[0]
	keys := ns.haveFiles(8)
	s.putObjectOf("another node", "media/"+keys[0], "written elsewhere, not told yet")
	s.mustUpload(func() { s.remove(keys[0]) })
	ns.agree()
	if got := s.read(keys[0]); got != "written elsewhere, not told yet" {
		t.Errorf("the file is %q", got)
	}
}

// A read that finds the object of a file that the app has just deleted, before
// the event about it has come, does not make the delete another one's.
//
// Promise 1: "every file that was […] deleted in a media root while it ran is
// committed".
func TestReadBeforeTheEventOfADelete(t *testing.T) {
	t.Parallel()
	s := newNodes(t, 1).ready()[0]
	s.mustUpload(func() { s.write("x.jpg", "content") })
	s.idle()
	known, _ := s.e.index.Get("x.jpg")
	s.e.note("x.jpg", known, index.Entry{State: index.BucketOnly, Class: media.Public, Size: known.Size, ETag: known.ETag})
	s.mustUpload(func() { s.remove("x.jpg") })
	if got := s.readObject("x.jpg"); got != "" {
		t.Errorf("the object is %q", got)
	}
}
