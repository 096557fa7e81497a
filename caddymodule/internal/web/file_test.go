package web

import (
	"strconv"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// TestContentTypeOfObject: what another program put into the bucket does not
// become a page of the site.
func TestContentTypeOfObject(t *testing.T) {
	for _, test := range []struct{ key, stored, want string }{
		{"a.jpg", "image/jpeg", "image/jpeg"},
		{"a.jpg", "", "image/jpeg"},
		{"a.jpg", "binary/octet-stream", "image/jpeg"},
		{"a.jpg", "text/html", "image/jpeg"},
		{"a.jpg", "Text/HTML; charset=utf-8", "image/jpeg"},
		{"a.jpg", "image/svg+xml", "image/jpeg"},
		{"a", "text/html", "application/octet-stream"},
		{"a.svg", "image/svg+xml", "image/svg+xml"},
		{"a.custom", "application/x-custom", "application/x-custom"},
	} {
		if got := contentType(bucket.Info{ContentType: test.stored}, test.key); got != test.want {
			t.Errorf("%s stored as %q: %q, want %q", test.key, test.stored, got, test.want)
		}
	}
}

// TestEntityTag: without a modification time the store's ETag counts.
func TestEntityTag(t *testing.T) {
	for _, test := range []struct {
		info bucket.Info
		want string
	}{
		{bucket.Info{ETag: "abc", Size: 5, ModTime: time.Unix(1_700_000_000, 123)}, `"cyxwktg1p3d7-5"`},
		{bucket.Info{ETag: "abc", Size: 5}, `"abc"`},
		{bucket.Info{ETag: "abc", Size: 5, ModTime: time.Unix(1, 0)}, `"abc"`},
		{bucket.Info{ETag: `a"c`}, ""},
		{bucket.Info{}, ""},
	} {
		if test.info.ModTime.Unix() > 1 {
			test.want = `"` + strconv.FormatInt(test.info.ModTime.UnixNano(), 36) + `-5"`
		}
		if got := entityTag(test.info); got != test.want {
			t.Errorf("%+v: %s, want %s", test.info, got, test.want)
		}
	}
}
