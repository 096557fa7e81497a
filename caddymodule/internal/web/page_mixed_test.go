package web

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// What a page that came by https names by http is blocked by browsers, but for what is
// on the visitor's own machine: such a page stays as it is.
//
// Promise 4: "a URL moves to the public host only where that makes no difference to a
// browser".
func TestMixedContent(t *testing.T) {
	for publicURL, blocked := range map[string]bool{
		"https://cdn.test/": false, "http://cdn.test/": true, "http://cdn.test:8080/media/": true,
		"http://localhost:8080/": false, "http://media.localhost/": false, "http://localhost.test/": true,
		"http://127.0.0.1:9000/": false, "http://127.8.8.8/": false, "http://[::1]/": false, "http://10.0.0.1/": true,
	} {
		site, _ := newTestSite(t)
		h := newTestHandlerAt(t, publicURL, site, newTestEngine(t, site))
		r := httptest.NewRequest(http.MethodGet, "http://site.test/", nil)
		q := requestPaths{original: r.URL, current: r.URL}
		if h.newPage(r, &q) == nil {
			t.Errorf("%s: a page by http stays as it is", publicURL)
		}
		h.config.Serve = ServeRedirect
		if way := h.wayOf(r, "a.jpg", media.PlaceAnywhere); way != ServeRedirect {
			t.Errorf("%s: a file by http: %s", publicURL, way)
		}
		r.TLS = &tls.ConnectionState{}
		if stays := h.newPage(r, &q) == nil; stays != blocked {
			t.Errorf("%s: a page by https stays as it is: %t", publicURL, stays)
		}
		if way := h.wayOf(r, "a.jpg", media.PlaceAnywhere); (way == ServeProxy) != blocked {
			t.Errorf("%s: a file by https: %s", publicURL, way)
		}
	}
}
