package caddymodule

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/publiccheck"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/publiccheck/publictest"
)

// TestIsolatedPages: pages that require Cross-Origin-Resource-Policy keep local URLs
// until the public URL was seen to send a fitting one; so do sheets of their origin.
// Other pages do not wait for it.
//
// Promise 4: "a URL moves to the public host only where that makes no difference to a
// browser".
func TestIsolatedPages(t *testing.T) {
	for _, requires := range [][]string{
		{"Cross-Origin-Embedder-Policy", "require-corp"},
		{"Cross-Origin-Embedder-Policy", `require-corp; report-to="x"`},
		{"Document-Isolation-Policy", "isolate-and-require-corp"},
	} {
		t.Run(strings.Join(requires, " "), func(t *testing.T) {
			server := publictest.NewRules(t)
			app := &pageApp{status: 200}
			var s *testSite
			s = newTestSite(t, uploadApp(&s, app.serve))
			s.handler["public_url"] = server.URL + "/m"
			s.handler["cors_check"] = "on"
			s.start()
			s.upload(map[string]string{"a.jpg": "picture"})
			public := func(contentType, body string, header ...string) bool {
				app.header, app.body = map[string]string{"Content-Type": contentType}, body
				for i := 0; i < len(header); i += 2 {
					app.header[header[i]] = header[i+1]
				}
				a := s.get("/")
				if !strings.Contains(a.body, "/wp-content/uploads/a.jpg") && !strings.Contains(a.body, server.URL+"/m/a.jpg") {
					t.Fatalf("page: %q", a.body)
				}
				return strings.Contains(a.body, server.URL)
			}
			const sheet = "a{background:url(/wp-content/uploads/a.jpg)}"
			if !public("text/css", sheet) || !public("text/html", mediaImage, "Cross-Origin-Embedder-Policy-Report-Only", "require-corp") ||
				!public("text/html", mediaImage, "Cross-Origin-Embedder-Policy", "credentialless") {
				t.Error("other pages have local URLs")
			}
			for range 3 {
				if public("text/html", mediaImage, requires...) {
					t.Error("moves although it would be blocked")
				}
			}
			if public("text/css", sheet) {
				t.Error("its sheet has a public URL")
			}
			if !public("application/rss+xml", "<a><url>http://"+s.address()+"/wp-content/uploads/a.jpg</url></a>") {
				t.Error("a feed has a local URL")
			}
			if !public("text/html", mediaImage) {
				t.Error("another page has a local URL")
			}
			// What a script takes up it may fetch, or give to an element.
			data := `{"u":"http://` + s.address() + `/wp-content/uploads/a.jpg"}`
			server.Set(200, publiccheck.AllowOrigin, "echo")
			if err := s.load(); err != nil { // asks anew
				t.Fatal(err)
			}
			eventually(t, "data moves", func() bool { return public("application/json", data) })
			if public("text/html", mediaImage, requires...) || public("application/json", data) {
				t.Error("moves although it would be blocked")
			}
			server.Set(200, publiccheck.ResourcePolicy, "cross-origin", publiccheck.AllowOrigin, "echo")
			if err := s.load(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it moves", func() bool { return public("text/html", mediaImage, requires...) })
			if !public("text/css", sheet) {
				t.Error("its sheet has a local URL")
			}
			eventually(t, "its data moves", func() bool { return public("application/json", data) })
		})
	}
}

// TestPageFollowsCORS: a page's font, what has crossorigin, and what a script takes up
// are local at first, and public as soon as the public URL was seen to allow it, also in
// pages that are remembered; where it does not, they stay, and the rest of the page moves.
//
// Promise 4: "with CORS only once the public host was seen to allow it". Promise 3:
// "Pages never wait".
func TestPageFollowsCORS(t *testing.T) {
	const text = `<img src="U/a.jpg"><img crossorigin src="U/a.jpg"><script crossorigin src="U/a.js"></script>` +
		`<style>@font-face{src:url(U/a.woff2)}</style><a download href="U/a.jpg"></a>` +
		`<script>fetch("//127.0.0.1U/a.png")</script><p data-mask="url(U/a.png)">`
	for _, allows := range []bool{true, false} {
		t.Run(fmt.Sprint(allows), func(t *testing.T) {
			server := publictest.NewRules(t)
			if allows {
				server.Set(200, publiccheck.AllowOrigin, "echo")
			}
			var s *testSite
			s = newTestSite(t, uploadApp(&s, html(strings.ReplaceAll(text, "U/", uploadsPath))))
			s.handler["public_url"] = server.URL + "/m"
			s.handler["cors_check"] = "on"
			s.start()
			s.upload(map[string]string{"a.jpg": "picture", "a.js": "script", "a.woff2": "font", "a.png": "picture"})
			page := func() int { return strings.Count(s.get("/").body, server.URL+"/m/a.") }
			if n := page(); n != 1 {
				t.Fatalf("%d public URLs before anything was seen", n)
			}
			eventually(t, "the check", func() bool { return len(server.Questions()) == 4 })
			if allows {
				eventually(t, "what needs CORS moves", func() bool { return page() == 6 })
				return
			}
			for range 5 {
				if n := page(); n != 1 {
					t.Errorf("%d public URLs", n)
				}
			}
		})
	}
}

// TestPublicFilesMayBeEmbedded: where this module answers under the public URL, it
// says so.
func TestPublicFilesMayBeEmbedded(t *testing.T) {
	var s *testSite
	s = newTestSite(t, uploadApp(&s, func(w http.ResponseWriter, r *http.Request) error {
		if r.URL.Query().Has("own") {
			w.Header().Set(publiccheck.ResourcePolicy, "same-site")
		}
		return notFound(w, r)
	}))
	s.handler["public_url"] = publicTestURL
	s.handler["missing"] = "app"
	s.after = []map[string]any{{"handler": "file_server", "root": s.docRoot, "pass_thru": true}}
	s.start()
	s.upload(map[string]string{"a.jpg": "on disk", "b.jpg": "in the bucket"})
	s.uploadGoods(goodsKey, goods)
	s.drop("b.jpg")
	for path, want := range map[string]string{
		"/wp-content/uploads/a.jpg":        "cross-origin",
		"/wp-content/uploads/b.jpg":        "cross-origin",
		"/wp-content/uploads/none.jpg?own": "same-site",
		"/page":                            "",
		goodsURL:                           "",
	} {
		if got := s.get(path).Header.Get(publiccheck.ResourcePolicy); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// TestCORSCheckOfPages: the first page that refers to media has the public URL asked,
// unless that is turned off.
func TestCORSCheckOfPages(t *testing.T) {
	for setting, want := range map[string]int{"on": 1, "off": 0, "allowed": 0} {
		t.Run(setting, func(t *testing.T) {
			server := publictest.NewRules(t)
			var s *testSite
			s = newTestSite(t, uploadApp(&s, html(`<img src="/wp-content/uploads/a%20b.jpg">`)))
			s.handler["public_url"] = server.URL + "/m"
			s.handler["cors_check"] = setting
			s.start()
			s.upload(map[string]string{"a b.jpg": "picture"})
			for range 3 {
				if a := s.get("/"); !strings.Contains(a.body, server.URL) {
					t.Fatalf("page: %s", a.body)
				}
			}
			if want > 0 {
				eventually(t, "the check", func() bool { return len(server.Questions()) == want })
			}
			if err := s.load(); err != nil { // ends the check of the old config
				t.Fatal(err)
			}
			if asked := server.Questions(); len(asked) != want || want > 0 && asked[0] != s.origin()+" /m/a b.jpg" {
				t.Errorf("asked %q", asked)
			}
		})
	}
}

// TestSheetsOfFonts: a sheet that names web fonts moves once they may be used, of each
// kind that it names; it needs no header itself. Another sheet waits for others.
//
// Promise 4: "with CORS only once the public host was seen to allow it".
func TestSheetsOfFonts(t *testing.T) {
	for _, test := range []struct {
		name, allows string // endings of which files are sent with the header
		moves        []string
		asked        int
	}{
		{"sheets alone", ".css", nil, 2},
		{"fonts", ".woff2 .ttf", []string{"both.css", "one.css"}, 2},
		{"a kind of fonts", ".woff2", []string{"one.css"}, 2},
		{"none", "", nil, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			files := map[string]string{
				"one.css":  "@font-face{src:url(none.woff2),url(f.woff2)}.x{background:url(a.jpg)}",
				"both.css": "@font-face{src:url('f.woff2?v=1#x'),url(f.ttf)}",
				"f.woff2":  "font", "f.ttf": "font", "a.jpg": "picture",
			}
			server := publictest.NewServer(t, func(w http.ResponseWriter, r *http.Request) {
				name := strings.TrimPrefix(r.URL.Path, "/m/")
				content, ok := files[name]
				if !ok {
					http.NotFound(w, r)
					return
				}
				if ending := name[strings.LastIndexByte(name, '.'):]; test.allows != "" && strings.Contains(test.allows, ending) {
					w.Header().Set(publiccheck.AllowOrigin, "*")
				}
				_, _ = io.WriteString(w, content)
			})
			var s *testSite
			s = newTestSite(t, uploadApp(&s, html(`<link rel="stylesheet" href="`+uploadsPath+`one.css"><link rel="stylesheet" href="`+uploadsPath+`both.css">`)))
			s.handler["public_url"] = server.URL + "/m"
			s.handler["cors_check"] = "on"
			s.start()
			s.upload(files)
			moved := func() (names []string) {
				body := s.get("/").body // once: the first page has the public URL asked
				for _, name := range []string{"both.css", "one.css"} {
					if strings.Contains(body, server.URL+"/m/"+name) {
						names = append(names, name)
					}
				}
				return names
			}
			if got := moved(); len(got) > 0 {
				t.Fatalf("%q move before anything was seen", got)
			}
			asked := func() (files []string) {
				for _, r := range server.Requests() {
					if origin, file, _ := strings.Cut(r, " "); origin != "" && file != "/m/none.woff2" {
						files = append(files, file)
					}
				}
				return files
			}
			eventually(t, "the check", func() bool { return len(asked()) == test.asked })
			for range 20 {
				eventually(t, "what is allowed moves", func() bool { return slices.Equal(moved(), test.moves) })
			}
			if got := asked(); slices.Contains(got, "/m/one.css") || len(got) != test.asked {
				t.Errorf("asked for %q", got)
			}
		})
	}
}

// TestExposureOfBucket: what is asked for is a private file that the bucket has, once a
// page was rewritten.
func TestExposureOfBucket(t *testing.T) {
	var s *testSite
	s = newTestSite(t, uploadApp(&s, func(w http.ResponseWriter, r *http.Request) error {
		if r.URL.Path == "/picture" {
			w.Header().Set("Content-Type", "image/png")
			return nil
		}
		return html(mediaImage)(w, r)
	}))
	server := publictest.NewServer(t, func(w http.ResponseWriter, r *http.Request) {
		http.FileServer(http.Dir(s.bucket)).ServeHTTP(w, r)
	})
	s.handler["public_url"] = server.URL + "/media"
	s.start()
	s.upload(map[string]string{"a.jpg": "picture"})
	s.uploadGoods(goodsKey, goods)
	s.get("/picture")
	if err := s.load(); err != nil { // ends the check of the old config
		t.Fatal(err)
	}
	if asked := server.Requests(); len(asked) > 0 {
		t.Errorf("asked %q before a page was rewritten", asked)
	}
	if a := s.get("/"); !strings.Contains(a.body, server.URL) {
		t.Fatalf("page: %s", a.body)
	}
	eventually(t, "the check", func() bool { return slices.Contains(server.Requests(), " /private/"+goodsKey) })
}
