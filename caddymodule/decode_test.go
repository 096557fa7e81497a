package caddymodule

import (
	"fmt"
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

// TestPageSloppyEncoding: a body that an app compressed by itself, and not quite right, is
// the page that browsers would show of it.
//
// Promise 4: "A page works as it did before."
func TestPageSloppyEncoding(t *testing.T) {
	app := new(pageApp)
	s := newPageSite(t, app)
	for _, text := range []string{"", strings.Repeat("<p>text</p>", 30_000)} {
		good := decodetest.Compress(t, "gzip", text+mediaImage)
		for name, body := range map[string]string{
			"a newline behind it": good + "\n", "no trailer": good[:len(good)-8], "a wrong trailer": good[:len(good)-8] + "12345678",
		} {
			t.Run(name, func(t *testing.T) {
				s.t = t
				app.status, app.body = 200, body
				app.header = map[string]string{"Content-Type": "text/html", "Content-Encoding": "gzip"}
				if a := s.get("/"); a.err != nil || a.StatusCode != 200 || a.body != text+publicImage {
					t.Errorf("%d bytes, %v", len(a.body), a.err)
				}
			})
		}
	}
}

// TestPageBadEncoding: what cannot be decoded, in browsers neither, never looks like a
// whole page.
func TestPageBadEncoding(t *testing.T) {
	app := new(pageApp)
	s := newPageSite(t, app)
	var text strings.Builder
	for i := range 50_000 {
		fmt.Fprintf(&text, "<p>%x</p>", i*i)
	}
	page := decodetest.Compress(t, "gzip", text.String())
	for name, body := range map[string]string{
		"damaged":       page[:len(page)/2] + strings.Repeat("\xff", 64) + page[len(page)/2+64:],
		"damaged early": page[:12] + strings.Repeat("\xff", 64) + page[76:],
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
