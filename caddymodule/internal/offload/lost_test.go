package offload

import (
	"slices"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// What the log did not tell is found by comparing disk and bucket, also of files
// that this node has committed itself.
//
// Promise 6: "Every node sees what a shared disk would show."
func TestComparingFindsWhatTheLogDidNotTell(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2).ready()
	a, b := ns[0], ns[1]
	a.mustUpload(func() { a.write("by-a.jpg", "old"); a.write("by-b.jpg", "old") })
	ns.agree()
	b.mustUpload(func() { b.write("by-b.jpg", "old, of b") })
	ns.agree()
	for _, key := range []string{"by-a.jpg", "by-b.jpg"} {
		a.putObject("media/"+key, "new")
	}
	a.e.lost()
	b.e.lost()
	ns.agree()
	for _, s := range ns {
		if got := s.disk(); got["by-a.jpg"] != "new" || got["by-b.jpg"] != "new" {
			t.Errorf("the disk has %v", got)
		}
	}
	// Nothing tells that a node of the site's stored the new ones.
	if got := a.conflicts(); !slices.Equal(got, []string{"old", "old, of b"}) {
		t.Errorf("kept aside: %q", got)
	}
}

// A file goes that another node deleted, also if a third one tells of the version
// that it had met before, and both are heard of at once.
//
// Promise 6: "Overwrites and deletes reach the other disks within about a second."
func TestDeleteBeforeALatePut(t *testing.T) {
	t.Parallel()
	s := newNodes(t, 1).ready()[0]
	s.mustUpload(func() { s.write("x.jpg", "content") })
	s.idle()
	if err := s.faults.Delete(t.Context(), "media/x.jpg"); err != nil {
		t.Fatal(err)
	}
	etag := fullHash("content")
	s.e.apply([]changelog.Change{
		{Op: changelog.Delete, Key: "x.jpg", ETag: etag},
		{Op: changelog.Put, Key: "x.jpg", Class: media.Public, Size: 7, ETag: etag},
	})
	s.idle()
	if got := s.read("x.jpg"); got != "" {
		t.Errorf("the file is %q", got)
	}
}
