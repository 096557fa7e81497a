package caddymodule

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

const uploadsPath = "/wp-content/uploads/"

// namers are files that name a.jpg in a way that only works at home, and what
// becomes of them in passing.
var namers = map[string]struct{ text, dest, want string }{
	"elementor/css/post-5.css": {
		`.e{background:url("http://HOST/wp-content/uploads/a.jpg")}.f{background:url(/core/misc/x.svg)}.g{background:url(../../../themes/t/bg.png)}`, "style",
		`.e{background:url("https://cdn.test/m/a.jpg")}.f{background:url(/core/misc/x.svg)}.g{background:url(../../../themes/t/bg.png)}`,
	},
	"b.svg": {
		`<svg xmlns:xlink="http://www.w3.org/1999/xlink"><image xlink:href="/wp-content/uploads/a.jpg"/></svg>`, "document",
		`<svg xmlns:xlink="http://www.w3.org/1999/xlink"><image xlink:href="https://cdn.test/m/a.jpg"/></svg>`,
	},
	"course/story.html": {
		`<p>x<img src="/wp-content/uploads/a.jpg"><img src="../a.jpg">`, "iframe",
		`<p>x<img src="https://cdn.test/m/a.jpg"><img src="../a.jpg">`,
	},
}

// newNamersSite makes a site whose file server stands behind the module.
func newNamersSite(t *testing.T, change func(s *testSite)) *testSite {
	t.Helper()
	var s *testSite
	s = newTestSite(t, uploadApp(&s, notFound))
	s.handler["public_url"] = publicTestURL
	s.after = []map[string]any{{"handler": "file_server", "root": s.docRoot, "pass_thru": true}}
	if change != nil {
		change(s)
	}
	s.start()
	files := map[string]string{"a.jpg": "picture"}
	for key, n := range namers {
		files[key] = s.named(n.text)
	}
	s.upload(files)
	return s
}

// named is a text with the site's own host in it.
func (s *testSite) named(text string) string {
	return strings.ReplaceAll(text, "HOST", "127.0.0.1:"+strconv.Itoa(s.port))
}

// TestNamersInPassing: what names others stays at home, byte for byte, and its
// pictures come from the public URL.
//
// Promise 4: "never for a file whose own URLs would then lead elsewhere".
func TestNamersInPassing(t *testing.T) {
	for _, from := range []string{"disk", "bucket", "redirect"} {
		t.Run(from, func(t *testing.T) {
			s := newNamersSite(t, func(s *testSite) {
				if from == "redirect" {
					s.handler["serve"] = from
				}
			})
			for key, n := range namers {
				text := s.named(n.text)
				if from == "disk" {
					local, err := os.ReadFile(filepath.Join(s.uploads, key))
					if err != nil || string(local) != text {
						t.Errorf("%s on disk: %q, %v", key, local, err)
					}
				} else {
					s.drop(key)
				}
				a := s.get(uploadsPath+key, "Sec-Fetch-Dest", n.dest)
				if a.StatusCode != http.StatusOK || a.body != n.want {
					t.Errorf("%s: %d %q\nwant %q", key, a.StatusCode, a.body, n.want)
				}
				if got := a.Header.Get("Content-Length"); got != strconv.Itoa(len(n.want)) {
					t.Errorf("%s: Content-Length %s of %d bytes", key, got, len(n.want))
				}
				if got := a.Header.Values("Vary"); !strings.Contains(strings.Join(got, ", "), "Sec-Fetch-Dest") {
					t.Errorf("%s: Vary %q", key, got)
				}
				etag := a.Header.Get("Etag")
				if a := s.get(uploadsPath+key, "Sec-Fetch-Dest", n.dest, "Range", "bytes=0-3"); a.StatusCode != http.StatusOK || a.body != n.want {
					t.Errorf("%s, a range: %d %q", key, a.StatusCode, a.body)
				}
				head := s.do(http.MethodHead, uploadsPath+key, "", "Sec-Fetch-Dest", n.dest)
				if head.StatusCode != http.StatusOK || head.Header.Get("Content-Length") == strconv.Itoa(len(text)) {
					t.Errorf("%s, HEAD: %d, Content-Length %s", key, head.StatusCode, head.Header.Get("Content-Length"))
				}
				for name, header := range map[string][]string{
					"an app":    nil,
					"an editor": {"Sec-Fetch-Dest", "empty"},
					"a range":   {"Range", "bytes=0-3"},
				} {
					a := s.get(uploadsPath+key, header...)
					want := text
					if name == "a range" {
						want = text[:4]
					}
					if a.body != want {
						t.Errorf("%s, read by %s: %q", key, name, a.body)
					}
					if a.Header.Get("Etag") == etag && etag != "" {
						t.Errorf("%s has one ETag for two bodies: %s", key, etag)
					}
				}
			}
		})
	}
}

// TestPagesNameNamers: which files that name others are linked at the public URL.
func TestPagesNameNamers(t *testing.T) {
	app := &pageApp{status: 200, header: map[string]string{"Content-Type": "text/html"}}
	s := newPageSite(t, app)
	files := map[string]string{
		"elementor/css/post-5.css": s.named(namers["elementor/css/post-5.css"].text),
		"omgf/fonts.css":           "@font-face{src:url('/wp-content/uploads/omgf/x.woff2')}",
		"good.css":                 ".e{background:url(a.jpg)}",
		"good.svg":                 `<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>`,
		"story.html":               "<p>",
		"self.js":                  "fetch(new URL('a.json', document.currentScript.src))",
		"good.js":                  "document.title = 'x'",
	}
	s.upload(files)
	for key, tag := range map[string]string{
		"elementor/css/post-5.css": `<link rel="stylesheet" href="URL">`,
		"omgf/fonts.css":           `<link rel="stylesheet" href="URL">`,
		"story.html":               `<a href="URL">`,
		"good.css":                 `<link rel="stylesheet" href="URL">`,
		"good.svg":                 `<img src="URL">`,
		"self.js":                  `<script src="URL"></script>`,
		"good.js":                  `<script src="URL"></script>`,
	} {
		app.body = strings.ReplaceAll(tag, "URL", uploadsPath+key)
		want := app.body
		if strings.HasPrefix(key, "good") {
			want = strings.ReplaceAll(tag, "URL", publicTestURL+key)
		}
		if got := s.get("/").body; got != want {
			t.Errorf("page: %s\nwant  %s", got, want)
		}
	}
	// A sheet that is mended goes to the public URL, and one that is not any more
	// comes back.
	s.upload(map[string]string{"good.css": ".e{background:url(/x.jpg)}", "omgf/fonts.css": ".e{background:url(x.jpg)}"})
	app.body = `<link rel="stylesheet" href="/wp-content/uploads/good.css"><link rel="stylesheet" href="/wp-content/uploads/omgf/fonts.css">`
	want := `<link rel="stylesheet" href="/wp-content/uploads/good.css"><link rel="stylesheet" href="` + publicTestURL + `omgf/fonts.css">`
	if got := s.get("/").body; got != want {
		t.Errorf("page: %s\nwant  %s", got, want)
	}
}

// TestPrivateNamersKeepTheirBytes: an app that hands a file out means its bytes.
//
// Promise 7: "Private stays private."
func TestPrivateNamersKeepTheirBytes(t *testing.T) {
	const text = `<svg xmlns:xlink="x"><image xlink:href="/wp-content/uploads/a.jpg"/></svg>`
	var s *testSite
	s = newTestSite(t, uploadApp(&s, func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", media.SVG)
		w.Header().Set("X-Accel-Redirect", uploadsPath+strings.TrimPrefix(r.URL.Path, uploadsPath))
		return nil
	}))
	s.handler["public_url"] = publicTestURL
	s.handler["private_reads"] = "app"
	s.start()
	s.upload(map[string]string{"a.jpg": "picture", "b.svg": text})
	s.writeUpload("woocommerce_uploads/b.svg", text)
	for _, key := range []string{"b.svg", "woocommerce_uploads/b.svg"} {
		if a := s.get(uploadsPath+key, "Sec-Fetch-Dest", "image"); a.body != text {
			t.Errorf("%s: %d %q", key, a.StatusCode, a.body)
		}
	}
}

// TestNamersNotModified: an answer 304 keeps no URL alive in a sheet that an answer
// 200 would not have.
func TestNamersNotModified(t *testing.T) {
	const key = "elementor/css/post-6.css"
	const text = ".e{background:url(/wp-content/uploads/b.jpg)}"
	const public = ".e{background:url(" + publicTestURL + "b.jpg)}"
	for _, from := range []string{"disk", "bucket"} {
		t.Run(from, func(t *testing.T) {
			s := newNamersSite(t, nil)
			s.upload(map[string]string{key: text})
			file := s.get(uploadsPath + key) // as an app
			if from == "bucket" {
				s.drop(key)
			}
			style := func(header ...string) answer {
				t.Helper()
				return s.get(uploadsPath+key, append(header, "Sec-Fetch-Dest", "style")...)
			}
			before := style()
			if before.body != text {
				t.Fatalf("before there is a picture: %q", before.body)
			}
			s.upload(map[string]string{"b.jpg": "picture"})
			after := style()
			if after.body != public {
				t.Fatalf("with a picture: %q", after.body)
			}
			for name, header := range map[string][]string{
				"the file's tag":  {"If-None-Match", file.Header.Get("Etag")},
				"an older tag":    {"If-None-Match", before.Header.Get("Etag")},
				"the file's date": {"If-Modified-Since", file.Header.Get("Last-Modified")},
			} {
				if header[1] == "" {
					t.Errorf("%s is empty", name)
				}
				if a := style(header...); a.StatusCode != http.StatusOK || a.body != public {
					t.Errorf("%s: %d %q", name, a.StatusCode, a.body)
				}
			}
			if a := style("If-None-Match", after.Header.Get("Etag")); a.StatusCode != http.StatusNotModified {
				t.Errorf("the tag that the client got: %d", a.StatusCode)
			}
			if a := s.get(uploadsPath+key, "If-None-Match", after.Header.Get("Etag")); a.StatusCode != http.StatusOK || a.body != text {
				t.Errorf("an app with that tag: %d %q", a.StatusCode, a.body)
			}
		})
	}
}
