package caddymodule

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestCORS: the site's own origins may read public media, from disk, from the
// bucket and by redirects, and nobody may read anything else.
//
// Promise 7: "Private stays private."
func TestCORS(t *testing.T) {
	var s *testSite
	s = newTestSite(t, uploadApp(&s, func(w http.ResponseWriter, r *http.Request) error {
		switch r.URL.Query().Get("as") {
		case "goods": // hands out what is private, under the address of what is public
			w.Header().Set("X-Accel-Redirect", "/wp-content/uploads/"+goodsKey)
			return nil
		case "own":
			w.Header().Set("Access-Control-Allow-Origin", "*")
			w.WriteHeader(http.StatusOK)
			return nil
		case "silent":
			_, err := io.WriteString(w, "made")
			return err
		}
		return notFound(w, r)
	}))
	s.handler["missing"] = "app"
	s.handler["site_hosts"] = []string{"WWW.site.test:8080", "site.test"}
	s.after = []map[string]any{{"handler": "file_server", "root": s.docRoot, "pass_thru": true}}
	s.start()
	s.upload(map[string]string{"font.woff2": "on disk", "gone.woff2": "in the bucket"})
	s.uploadGoods(goodsKey, goods)
	s.drop("gone.woff2")

	const base = "/wp-content/uploads/"
	const www = "https://www.site.test"
	for _, test := range []struct{ name, method, path, origin, allowed string }{
		{"disk", "GET", base + "font.woff2", www, www},
		{"bucket", "GET", base + "gone.woff2", www, www},
		{"HEAD", "HEAD", base + "gone.woff2", www, www},
		{"other port and scheme", "GET", base + "font.woff2", "http://site.test:81", "http://site.test:81"},
		{"the host that is asked", "GET", base + "font.woff2", "https://127.0.0.1", "https://127.0.0.1"},
		{"no origin", "GET", base + "font.woff2", "", ""},
		{"another's", "GET", base + "font.woff2", "https://evil.test", ""},
		{"another's that looks like it", "GET", base + "font.woff2", "https://site.test.evil.test", ""},
		{"another's with a user", "GET", base + "font.woff2", "https://site.test@evil.test", ""},
		{"a path", "GET", base + "font.woff2", "https://site.test/x", ""},
		{"null", "GET", base + "font.woff2", "null", ""},
		{"another scheme", "GET", base + "font.woff2", "ftp://site.test", ""},
		{"private, on disk", "GET", goodsURL, www, ""},
		{"private, from the app", "GET", base + "none.jpg?as=goods", www, ""},
		{"the app's own header", "GET", base + "none.jpg?as=own", www, "*"},
		{"made by the app", "GET", base + "none.jpg?as=silent", www, www},
		{"no media", "GET", "/page?as=silent", www, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var header []string
			if test.origin != "" {
				header = []string{"Origin", test.origin}
			}
			a := s.do(test.method, test.path, "", header...)
			got := a.Header.Values("Access-Control-Allow-Origin")
			if strings.Join(got, ", ") != test.allowed {
				t.Errorf("%d, allowed %q, want %q", a.StatusCode, got, test.allowed)
			}
			if a.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Error("credentials are allowed")
			}
			public := strings.HasPrefix(test.path, base) && test.path != goodsURL
			if vary := slices.Contains(a.Header.Values("Vary"), "Origin"); vary != public {
				t.Errorf("Vary: %q", a.Header.Values("Vary"))
			}
			if private := strings.Contains(test.path, "goods"); private && a.StatusCode == http.StatusOK && a.body != goods {
				t.Errorf("%.40q", a.body)
			}
		})
	}
	for _, header := range [][]string{{"Range", "bytes=0-1"}, {"If-None-Match", s.get(base + "gone.woff2").Header.Get("Etag")}} {
		if a := s.get(base+"gone.woff2", append(header, "Origin", www)...); a.Header.Get("Access-Control-Allow-Origin") != www || a.StatusCode == http.StatusOK {
			t.Errorf("%v: %d %v", header, a.StatusCode, a.Header)
		}
	}
}

// TestCORSOfRedirects: a browser wants the header on each answer on the way.
func TestCORSOfRedirects(t *testing.T) {
	s, _ := newReadSite(t, func(s *testSite) {
		s.handler["serve"] = "redirect"
		s.handler["public_url"] = publicTestURL
	})
	origin := "https://127.0.0.1:8443"
	if a := s.get(readPath, "Origin", origin); a.StatusCode != http.StatusFound || a.Header.Get("Access-Control-Allow-Origin") != origin {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
}

// TestNoCORS: a site with one host, which pages and media share, sends nothing
// of it.
func TestNoCORS(t *testing.T) {
	s, _ := newReadSite(t, nil)
	a := s.get(readPath, "Origin", s.origin())
	if a.Header.Get("Vary") != "" || a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%v", a.Header)
	}
}
