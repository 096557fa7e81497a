package caddymodule

import (
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const (
	readKey  = "2026/11/a b+ü.jpg"
	readPath = "/wp-content/uploads/2026/11/a%20b+%C3%BC.jpg"
)

var readContent = strings.Repeat("0123456789", 1000)

// newReadSite makes a site with one committed file that the disk has lost. It
// returns the answer that file_server gave while the file was there.
func newReadSite(t *testing.T, change func(s *testSite)) (s *testSite, local answer) {
	t.Helper()
	s = newTestSite(t, uploadApp(&s, notFound))
	s.after = []map[string]any{{
		"handler": "file_server", "root": s.docRoot, "pass_thru": true,
	}}
	if change != nil {
		change(s)
	}
	s.start()
	s.upload(map[string]string{readKey: readContent})
	if len(s.before) == 0 {
		if local = s.get(readPath); local.body != readContent {
			t.Fatalf("local file: %d", local.StatusCode)
		}
	}
	s.drop(readKey)
	return s, local
}

// TestRead asks for a file from the bucket in every way, over each version of
// HTTP.
func TestRead(t *testing.T) {
	var clients map[string]*http.Client
	s, local := newReadSite(t, func(s *testSite) {
		clients = s.useTLS(t)
		s.client = clients["h1"]
	})
	etag, modified := local.Header.Get("Etag"), local.Header.Get("Last-Modified")
	size := len(readContent)
	for version, client := range clients {
		t.Run(version, func(t *testing.T) {
			s.t, s.client = t, client
			for _, test := range []struct {
				name, method string
				header       []string
				status       int
				body         string
				contentRange string
			}{
				{"GET", "GET", nil, 200, readContent, ""},
				{"HEAD", "HEAD", nil, 200, "", ""},
				{"range", "GET", []string{"Range", "bytes=10-19"}, 206, readContent[10:20], fmt.Sprintf("bytes 10-19/%d", size)},
				{"range at the end", "GET", []string{"Range", "bytes=-5"}, 206, readContent[size-5:], fmt.Sprintf("bytes %d-%d/%d", size-5, size-1, size)},
				{"open range", "GET", []string{"Range", "bytes=9990-"}, 206, readContent[9990:], fmt.Sprintf("bytes 9990-9999/%d", size)},
				{"range past the end", "GET", []string{"Range", "bytes=9990-20000"}, 206, readContent[9990:], fmt.Sprintf("bytes 9990-9999/%d", size)},
				{"HEAD with range", "HEAD", []string{"Range", "bytes=10-19"}, 206, "", fmt.Sprintf("bytes 10-19/%d", size)},
				{"not satisfiable", "GET", []string{"Range", "bytes=10000-"}, 416, "", fmt.Sprintf("bytes */%d", size)},
				{"If-Range, same", "GET", []string{"Range", "bytes=0-4", "If-Range", etag}, 206, readContent[:5], fmt.Sprintf("bytes 0-4/%d", size)},
				{"If-Range, same date", "GET", []string{"Range", "bytes=0-4", "If-Range", modified}, 206, readContent[:5], fmt.Sprintf("bytes 0-4/%d", size)},
				{"If-Range, other", "GET", []string{"Range", "bytes=0-4", "If-Range", `"other"`}, 200, readContent, ""},
				{"If-None-Match, same", "GET", []string{"If-None-Match", etag}, 304, "", ""},
				{"If-None-Match, weak", "GET", []string{"If-None-Match", `"x", W/` + etag}, 304, "", ""},
				{"If-None-Match, other", "GET", []string{"If-None-Match", `"other"`}, 200, readContent, ""},
				{"If-None-Match, HEAD", "HEAD", []string{"If-None-Match", etag}, 304, "", ""},
				{"If-Modified-Since, same", "GET", []string{"If-Modified-Since", modified}, 304, "", ""},
				{"If-Modified-Since, earlier", "GET", []string{"If-Modified-Since", "Mon, 02 Jan 2006 15:04:05 GMT"}, 200, readContent, ""},
				{"If-Match, other", "GET", []string{"If-Match", `"other"`}, 412, "", ""},
				{"If-Unmodified-Since, earlier", "GET", []string{"If-Unmodified-Since", "Mon, 02 Jan 2006 15:04:05 GMT"}, 412, "", ""},
				{"too many ranges", "GET", []string{"Range", "bytes=0-0" + strings.Repeat(",2-2", 8)}, 200, readContent, ""},
				{"no range", "GET", []string{"Range", "lines=1-2"}, 416, "", ""},
			} {
				t.Run(test.name, func(t *testing.T) {
					s.t = t
					a := s.do(test.method, readPath, "", test.header...)
					if a.StatusCode != test.status || a.err != nil {
						t.Fatalf("status %d, %v; want %d", a.StatusCode, a.err, test.status)
					}
					if test.status < 400 && a.body != test.body {
						t.Errorf("body of %d bytes, want %d", len(a.body), len(test.body))
					}
					if got := a.Header.Get("Content-Range"); got != test.contentRange && test.contentRange != "" {
						t.Errorf("Content-Range %q, want %q", got, test.contentRange)
					}
					if test.status >= 400 {
						return
					}
					if got := a.Header.Get("Etag"); got != etag {
						t.Errorf("ETag %s, file_server gave %s", got, etag)
					}
					if test.status == 304 {
						return
					}
					for name, want := range map[string]string{
						"Last-Modified": modified, "Content-Type": "image/jpeg",
						"X-Content-Type-Options": "nosniff", "Accept-Ranges": "bytes",
					} {
						if got := a.Header.Get(name); got != want {
							t.Errorf("%s %q, want %q", name, got, want)
						}
					}
					if want := strconv.Itoa(len(test.body)); test.method == "GET" && a.Header.Get("Content-Length") != want {
						t.Errorf("Content-Length %q, want %s", a.Header.Get("Content-Length"), want)
					}
				})
			}
			t.Run("several ranges", func(t *testing.T) {
				s.t = t
				a := s.get(readPath, "Range", "bytes=0-4,20-24,-3")
				_, params, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
				if err != nil || a.StatusCode != 206 {
					t.Fatalf("%d, %v", a.StatusCode, err)
				}
				parts := multipart.NewReader(strings.NewReader(a.body), params["boundary"])
				for _, want := range []string{"01234", "01234", "789"} {
					part, err := parts.NextPart()
					if err != nil {
						t.Fatal(err)
					}
					if text, err := io.ReadAll(part); err != nil || string(text) != want {
						t.Errorf("part %q, %v; want %q", text, err, want)
					}
				}
			})
		})
	}
}

// TestReadOfPrivate: what is not public is served neither from the disk nor from
// the bucket, by whatever detour.
//
// Promise 7: "Private and ignored files, control objects and the app's code are
// never readable through the public URL or the module."
func TestReadOfPrivate(t *testing.T) {
	s, _ := newReadSite(t, nil)
	const private = "woocommerce_uploads/book.pdf"
	s.do(http.MethodPost, "/upload", fmt.Sprintf(`{%q: "secret"}`, private))
	if text, err := s.object("private/" + private); err != nil || text != "secret" {
		t.Fatalf("private object: %q, %v", text, err)
	}
	const base = "/wp-content/uploads/"
	paths := []string{
		base + private,
		base + "woocommerce_uploads%2Fbook.pdf",
		base + "../../private/woocommerce_uploads/book.pdf",
		base + "%2e%2e/private/woocommerce_uploads/book.pdf",
		base + "2026/../woocommerce_uploads/book.pdf",
		base + "/woocommerce_uploads/book.pdf",
		base + "WooCommerce_uploads/book.pdf",
		base + "woocommerce_uploads/book.pdf%00.jpg",
		base + "2026/11/x.php", base + ".htaccess", base + "", base + "2026/",
		"/private/woocommerce_uploads/book.pdf", "/wp-content/uploads", "/offload/log/1",
	}
	for _, where := range []string{"on disk", "in the bucket only"} {
		for _, path := range paths {
			if a := s.getRaw(path); strings.Contains(a.body, "secret") {
				t.Errorf("%s: %s: %d %q", where, path, a.StatusCode, a.body)
			}
		}
		if where == "on disk" {
			s.drop(private)
		}
	}
}

// TestReadOfPrivateByTheApp: by option, the next handler decides.
func TestReadOfPrivateByTheApp(t *testing.T) {
	s, _ := newReadSite(t, func(s *testSite) { s.handler["private_reads"] = "app" })
	const private = "woocommerce_uploads/book.pdf"
	s.do(http.MethodPost, "/upload", fmt.Sprintf(`{%q: "secret"}`, private))
	if a := s.get("/wp-content/uploads/" + private); a.body != "secret" {
		t.Errorf("%d %q", a.StatusCode, a.body)
	}
}

// TestReadByAlias: an old WordPress network's media have URLs of another form.
func TestReadByAlias(t *testing.T) {
	s, _ := newReadSite(t, func(s *testSite) {
		s.handler["aliases"] = []any{map[string]any{"url": "/shop/files/", "dir": "sites/2"}}
	})
	const key = "sites/2/2026/11/a.jpg"
	s.upload(map[string]string{key: "picture"})
	s.drop(key)
	if a := s.get("/shop/files/2026/11/a.jpg"); a.body != "picture" {
		t.Errorf("%d %q", a.StatusCode, a.body)
	}
}

// getRaw asks for a path as it is, without cleaning.
func (s *testSite) getRaw(path string) answer {
	s.t.Helper()
	return s.askRaw(http.MethodGet, path)
}

// askRaw sends a request for a path as it is; header is pairs of name and value.
func (s *testSite) askRaw(method, path string, header ...string) answer {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.origin(), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	request.URL.Opaque = path
	response, err := s.client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{Response: response, body: string(text), err: err}
}

// TestReadAfterRewrite: the directive runs after rewrites, so the path may be
// another one than the client's.
func TestReadAfterRewrite(t *testing.T) {
	for name, test := range map[string]struct {
		rewrite map[string]any
		path    string
	}{
		"try_files sent it to the app": {map[string]any{"handler": "rewrite", "uri": "/index.php?{http.request.uri.query}"}, readPath},
		"another path to the media":    {map[string]any{"handler": "rewrite", "uri_substring": []any{map[string]any{"find": "/files/", "replace": "/wp-content/uploads/"}}}, "/files/2026/11/a%20b+%C3%BC.jpg"},
		"a prefix was cut off":         {map[string]any{"handler": "rewrite", "strip_path_prefix": "/blog"}, "/blog" + readPath},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := newReadSite(t, func(s *testSite) { s.before = []map[string]any{test.rewrite} })
			if a := s.get(test.path); a.StatusCode != 200 || a.body != readContent {
				t.Errorf("%d %.40q", a.StatusCode, a.body)
			}
		})
	}
}

// TestServeRedirect: the client is sent to the public URL, but only if the
// object is there.
func TestServeRedirect(t *testing.T) {
	s, _ := newReadSite(t, func(s *testSite) {
		s.handler["serve"] = "redirect"
		s.handler["public_url"] = publicTestURL
	})
	a := s.get(readPath + "?v=1")
	want := publicTestURL + "2026/11/a%20b%2B%C3%BC.jpg?v=1"
	if a.StatusCode != http.StatusFound || a.Header.Get("Location") != want {
		t.Errorf("%d %s, want %s", a.StatusCode, a.Header.Get("Location"), want)
	}
	if a := s.get("/wp-content/uploads/none.jpg"); a.StatusCode != http.StatusNotFound {
		t.Errorf("missing: %d", a.StatusCode)
	}
	// Where another host would not do, the file itself comes.
	for how, status := range map[[2]string]int{
		{"no-cors", "image"}: 302, {"navigate", "document"}: 302,
		{"cors", "empty"}: 200, {"cors", "font"}: 200, {"same-origin", "track"}: 200, {"same-origin", "worker"}: 200,
		{"navigate", "iframe"}: 200, {"navigate", "object"}: 200, {"navigate", "empty"}: 200,
	} {
		if a := s.get(readPath, "Sec-Fetch-Mode", how[0], "Sec-Fetch-Dest", how[1]); a.StatusCode != status {
			t.Errorf("%q: %d, want %d", how, a.StatusCode, status)
		}
	}
}

// TestCacheControl: the configured value is stored and sent; the admin's header
// directive is stronger.
func TestCacheControl(t *testing.T) {
	const configured = "public, max-age=86400"
	for want, before := range map[string][]map[string]any{
		configured: nil,
		"no-store": {{"handler": "headers", "response": map[string]any{"set": map[string]any{"Cache-Control": []string{"no-store"}}}}},
	} {
		t.Run(want, func(t *testing.T) {
			s, _ := newReadSite(t, func(s *testSite) { s.handler["cache_control"], s.before = configured, before })
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				if got := s.do(method, readPath, "").Header.Get("Cache-Control"); got != want {
					t.Errorf("%s: %q", method, got)
				}
			}
		})
	}
}

// TestReadWhenBucketFails: 503 before the first byte; after it the connection
// breaks, so that no part of a file is taken for the whole.
func TestReadWhenBucketFails(t *testing.T) {
	s, _ := newReadSite(t, nil)
	if err := os.WriteFile(filepath.Join(s.bucket, "media", "2026", "11", "a b+ü.jpg"), []byte("short"), 0o644); err != nil {
		t.Fatal(err)
	}
	// A changed object is served as it is now, though the engine remembers the
	// one before.
	if a := s.get(readPath, "Range", "bytes=0-2"); a.StatusCode != 206 || a.body != "sho" {
		t.Errorf("changed object: %d %.20q", a.StatusCode, a.body)
	}
	away := s.bucket + ".away"
	if err := os.Rename(s.bucket, away); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.bucket, nil, 0o644); err != nil { // no directory, and none can be made
		t.Fatal(err)
	}
	a := s.get(readPath)
	if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
		t.Errorf("bucket away: %d %v", a.StatusCode, a.Header)
	}
	if a.Header.Get("Etag") != "" || a.Header.Get("Cache-Control") != "" {
		t.Errorf("the file's header on an error: %v", a.Header)
	}
	os.Remove(s.bucket)
	if err := os.Rename(away, s.bucket); err != nil {
		t.Fatal(err)
	}
}

// TestReadCutShort: the object ends before its announced size while the client
// reads it. The client must see that it has not got the whole.
func TestReadCutShort(t *testing.T) {
	const size = 24 << 20 // more than all buffers on the way hold
	var s *testSite
	s = newTestSite(t, uploadApp(&s, notFound))
	s.start()
	s.upload(map[string]string{"big.bin": repeat("0123456789abcdef", size)})
	s.drop("big.bin")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url("/wp-content/uploads/big.bin"), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK || response.ContentLength != size {
		t.Fatalf("%d, %d bytes announced", response.StatusCode, response.ContentLength)
	}
	if err := os.Truncate(filepath.Join(s.bucket, "media", "big.bin"), 1<<20); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, response.Body); err == nil {
		t.Errorf("%d of %d bytes without an error", n, size)
	}
}
