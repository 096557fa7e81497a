package caddymodule

import (
	"net/http"
	"strings"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// TestCachePolicy: the first rule that fits, for public files only.
func TestCachePolicy(t *testing.T) {
	s := engineSettings{
		CacheControl: "all", CacheControlPrivate: "hidden",
		CacheControlRules: []CacheControlRule{{"*.css", "css"}, {"/fonts/", "fonts"}, {"*.woff2", "woff2"}},
	}
	p, err := s.cachePolicy()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		key   string
		class media.Class
		want  string
	}{
		{"a.css", media.Public, "css"},
		{"fonts/a.CSS", media.Public, "css"},
		{"fonts/a.woff2", media.Public, "fonts"},
		{"a/fonts/a.woff2", media.Public, "woff2"},
		{"a.jpg", media.Public, "all"},
		{"a.css", media.Private, "hidden"},
	} {
		if got := p.value(test.key, test.class); got != test.want {
			t.Errorf("%s, %v: %q, want %q", test.key, test.class, got, test.want)
		}
	}
	s.CacheControlRules = []CacheControlRule{{"[", "x"}}
	if _, err := s.cachePolicy(); err == nil || !strings.HasPrefix(err.Error(), "cache_control: ") {
		t.Errorf("bad pattern: %v", err)
	}
}

// TestCacheControlRules: what is sent from the bucket has the header of its
// rule; what the app lets be sent has that of private files, unless the app
// says another.
func TestCacheControlRules(t *testing.T) {
	s := newShop(t, func(s *testSite) {
		s.handler["cache_control"] = "public, max-age=1"
		s.handler["cache_control_private"] = "no-store"
		s.handler["cache_control_rules"] = []any{map[string]any{"pattern": "*.css", "value": "no-cache"}}
	})
	s.upload(map[string]string{"a.css": "a{}", "a.jpg": "picture"})
	for _, key := range []string{"a.css", "a.jpg", goodsKey} {
		s.drop(key)
	}
	for path, want := range map[string]string{
		"/wp-content/uploads/a.css": "no-cache", "/wp-content/uploads/a.jpg": "public, max-age=1",
		shopPath("X-Sendfile", goodsURL): "no-store",
	} {
		if a := s.get(path); a.StatusCode != http.StatusOK || a.Header.Get("Cache-Control") != want {
			t.Errorf("%s: %d, Cache-Control %q, want %q", path, a.StatusCode, a.Header.Get("Cache-Control"), want)
		}
	}
}
