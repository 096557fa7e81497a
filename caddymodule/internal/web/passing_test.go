package web

import (
	"net/http"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// TestReadToBeUsed: who gets the bytes.
func TestReadToBeUsed(t *testing.T) {
	const browser, app = "Mozilla/5.0 (X11; Linux x86_64)", "WordPress/6.5; https://site.test"
	for _, test := range []struct {
		contentType, dest, agent string
		want                     bool
	}{
		{"text/css", "style", browser, true},
		{"text/css", "", browser, true}, // without HTTPS
		{"text/css", "", app, false},
		{"text/css", "", "", false},
		{"text/css", "empty", browser, false},
		{"text/css", "document", browser, false}, // saved
		{media.SVG, "image", browser, false},     // nothing that it names is loaded
		{media.SVG, "iframe", browser, true},
		{media.SVG, "document", browser, true},
		{media.SVG, "empty", browser, false},
		{"text/html", "document", browser, true},
		{"text/html", "iframe", browser, true},
		{"text/html", "empty", browser, false},
		{"application/manifest+json", "manifest", browser, true},
		{"application/manifest+json", "document", browser, false},
		{"application/vnd.apple.mpegurl", "video", browser, true},
		{"application/vnd.apple.mpegurl", "empty", browser, true},
		{"audio/mpegurl", "empty", browser, true},
		{"application/dash+xml", "empty", browser, true},
		{"application/dash+xml", "document", browser, false},
	} {
		r := &http.Request{Header: http.Header{}}
		if test.dest != "" {
			r.Header.Set("Sec-Fetch-Dest", test.dest)
		}
		r.Header.Set("User-Agent", test.agent)
		if got := readToBeUsed(r, test.contentType); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}
