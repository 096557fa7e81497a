package caddymodule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPageForgets: a page that was served with a public URL has the local one
// when the object is known to be gone.
//
// Promise 3: "A URL whose object is not known to be committed stays as it is;
// the local URL always works."
func TestPageForgets(t *testing.T) {
	app := &pageApp{status: 200, header: map[string]string{"Content-Type": "text/html"}, body: mediaImage}
	s := newPageSite(t, app)
	for range 3 { // the last one is remembered whole
		if got := s.get("/").body; got != publicImage {
			t.Fatalf("page: %q", got)
		}
	}
	s.drop("a.jpg")
	if err := os.Remove(filepath.Join(s.bucket, "media", "a.jpg")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the page has the local URL", func() bool {
		s.get("/wp-content/uploads/a.jpg") // finds out
		return s.get("/").body == mediaImage
	})
}

// TestPageLearns: a page that was served with a local URL, more than once, has
// the public one as soon as the file is in the bucket.
func TestPageLearns(t *testing.T) {
	local := strings.ReplaceAll(mediaImage, "a.jpg", "b.jpg")
	app := &pageApp{status: 200, header: map[string]string{"Content-Type": "text/html"}, body: local}
	s := newPageSite(t, app)
	for range 3 {
		if got := s.get("/").body; got != local {
			t.Fatalf("page: %q", got)
		}
	}
	s.upload(map[string]string{"b.jpg": "picture"})
	if got := s.get("/").body; got != strings.ReplaceAll(publicImage, "a.jpg", "b.jpg") {
		t.Errorf("page: %q", got)
	}
}
