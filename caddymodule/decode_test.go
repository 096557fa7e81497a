package caddymodule

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/decode/decodetest"
)

// TestPageEncodings: compressed answers are decoded and rewritten, or passed as
// they are.
func TestPageEncodings(t *testing.T) {
	app := new(pageApp)
	s := newPageSite(t, app)
	page := strings.Repeat("<p>text</p>", 30_000) + mediaImage
	want := strings.Repeat("<p>text</p>", 30_000) + publicImage
	for _, encoding := range []string{"gzip", "x-gzip", "br", "zstd", "GZIP"} {
		for name, pair := range map[string][2]string{"large": {page, want}, "small": {mediaImage, publicImage}, "empty": {"", ""}} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				t.Run(encoding+" "+name+" "+method, func(t *testing.T) {
					s.t = t
					body := decodetest.Compress(t, strings.ToLower(encoding), pair[0])
					app.status, app.body = 200, body
					app.header = map[string]string{"Content-Type": "text/html", "Content-Encoding": encoding, "Content-Length": strconv.Itoa(len(body)), "Etag": `"v"`}
					a := s.do(method, "/", "", "Accept-Encoding", "gzip, br, zstd")
					if a.err != nil || a.body != pair[1] {
						t.Errorf("%d bytes, want %d; %v", len(a.body), len(pair[1]), a.err)
					}
					if a.Header.Get("Content-Encoding") != "" || !strings.HasPrefix(a.Header.Get("Etag"), `W/"v~mo`) {
						t.Errorf("%v", a.Header)
					}
					if app.request.Get("Accept-Encoding") != "" {
						t.Errorf("the app was asked for %q", app.request.Get("Accept-Encoding"))
					}
				})
			}
		}
	}
	for name, test := range map[string]struct{ encoding, body string }{
		"unknown":  {"deflate", mediaImage},
		"two":      {"gzip, br", mediaImage},
		"not true": {"gzip", mediaImage},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			app.status, app.body = 200, test.body
			app.header = map[string]string{"Content-Type": "text/html", "Content-Encoding": test.encoding, "Etag": `"v"`}
			a := s.get("/")
			if a.body != test.body || a.Header.Get("Content-Encoding") != test.encoding || a.Header.Get("Etag") != `"v"` {
				t.Errorf("%q %v", a.body, a.Header)
			}
		})
	}
}

// TestPageBadEncoding: what cannot be decoded never looks like a whole page.
func TestPageBadEncoding(t *testing.T) {
	app := new(pageApp)
	s := newPageSite(t, app)
	page := decodetest.Compress(t, "gzip", decodetest.Noise(300_000))
	for name, body := range map[string]string{
		"cut":           page[:len(page)-20],
		"cut early":     page[:8],
		"damaged":       page[:len(page)/2] + "damage" + page[len(page)/2+6:],
		"damaged early": page[:12] + "damage" + page[18:],
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			t.Run(name+" "+method, func(t *testing.T) {
				s.t = t
				app.status, app.body = 200, body
				app.header = map[string]string{"Content-Type": "text/html", "Content-Encoding": "gzip"}
				r, err := http.NewRequestWithContext(t.Context(), method, s.url("/"), nil)
				if err != nil {
					t.Fatal(err)
				}
				response, err := s.client.Do(r)
				if err != nil {
					return
				}
				defer response.Body.Close()
				_, err = io.Copy(io.Discard, response.Body)
				if err == nil && response.StatusCode < 500 {
					t.Errorf("status %d and no error", response.StatusCode)
				}
			})
		}
	}
}
