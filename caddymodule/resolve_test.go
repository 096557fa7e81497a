package caddymodule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/rewrite"
)

// TestResolvedURLs: what is remembered is returned for nothing else.
func TestResolvedURLs(t *testing.T) {
	c := newResolvedURLs()
	long := rewrite.Match{Raw: []byte(strings.Repeat("a", maxResolved))}
	c.add(rewrite.Match{Prefix: 1, Raw: []byte("a.jpg")}, []byte("https://cdn.test/a.jpg"), media.PlaceWithCORS("woff2"), 5)
	c.add(long, []byte("https://cdn.test/"), media.PlaceAnywhere, 5)
	for _, test := range []struct {
		match   rewrite.Match
		changes uint64
		want    string
	}{
		{rewrite.Match{Prefix: 1, Raw: []byte("a.jpg")}, 5, "x https://cdn.test/a.jpg"},
		{rewrite.Match{Prefix: 1, Raw: []byte("a.jpg")}, 6, ""},
		{rewrite.Match{Prefix: 0, Raw: []byte("a.jpg")}, 5, ""},
		{rewrite.Match{Prefix: 1, Raw: []byte("a.jpgh")}, 5, ""},
		{rewrite.Match{Prefix: 1, Raw: []byte("a.jp")}, 5, ""},
		{rewrite.Match{Prefix: 1}, 5, ""},
		{long, 5, ""},
	} {
		// As if all had one slot.
		c.slot(test.match.Raw).CompareAndSwap(nil, c.slot([]byte("a.jpg")).Load())
		got, place, ok := c.append([]byte("x "), test.match, test.changes)
		if ok != (test.want != "") || ok && (string(got) != test.want || place != media.PlaceWithCORS("woff2")) {
			t.Errorf("%+v, %d: %q, %s, %v", test.match, test.changes, got, place, ok)
		}
	}
}

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
