package caddymodule

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

const (
	goodsKey = "woocommerce_uploads/a b+50%.pdf"
	goodsURL = "/wp-content/uploads/woocommerce_uploads/a%20b+50%25.pdf"
)

var goods = strings.Repeat("0123456789", 5000)

// shop hands out what ?file= names by the header ?by=, to those who may have
// it, in a body of its own that nobody is to see.
func shop(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	hdr := w.Header()
	hdr.Set("Content-Type", "text/html; charset=UTF-8")
	if q.Get("user") != "buyer" {
		w.WriteHeader(http.StatusForbidden)
		_, err := io.WriteString(w, "not yours")
		return err
	}
	hdr.Set(q.Get("by"), q.Get("file"))
	hdr.Set("X-Accel-Buffering", "no")
	hdr.Set("Content-Disposition", `attachment; filename="goods.pdf"`)
	hdr.Set("Content-Encoding", "gzip")
	hdr.Set("Set-Cookie", "seen=1")
	if t := q.Get("type"); t != "" {
		hdr.Set("Content-Type", t)
	}
	if q.Get("inline") != "" {
		hdr.Del("Content-Disposition")
		hdr.Del("Content-Encoding")
	}
	if q.Get("status") == "404" {
		w.WriteHeader(http.StatusNotFound)
	}
	_, err := io.WriteString(w, "app's body")
	return err
}

// newShop makes a site with one private file, on disk and in the bucket.
func newShop(t *testing.T, change func(s *testSite)) *testSite {
	t.Helper()
	var s *testSite
	s = newTestSite(t, uploadApp(&s, shop))
	if change != nil {
		change(s)
	}
	s.start()
	s.uploadGoods(goodsKey, goods)
	return s
}

// uploadGoods is upload for a private file.
func (s *testSite) uploadGoods(key, content string) {
	s.t.Helper()
	if a := s.do(http.MethodPost, "/upload", string(mustJSON(s.t, map[string]string{key: content}))); a.StatusCode != http.StatusOK {
		s.t.Fatalf("upload: %d", a.StatusCode)
	}
	if got, err := s.object("private/" + key); err != nil || got != content {
		s.t.Fatalf("private object: %.20q, %v", got, err)
	}
	if _, err := s.object("media/" + key); err == nil {
		s.t.Fatal("the private file is public")
	}
}

func shopPath(by, file string, more ...string) string {
	q := "by=" + by + "&file=" + string(media.EscapeKey(nil, file))
	return "/download?" + strings.Join(append(more, "user=buyer", q), "&")
}

// TestSendfile asks for a private file by each header, from disk and from the
// bucket, as a whole, in part and conditionally.
//
// Promise 7: "Private stays private."
func TestSendfile(t *testing.T) {
	for _, mode := range []string{"same URL", "public URL"} {
		t.Run(mode, func(t *testing.T) {
			s := newShop(t, func(s *testSite) {
				if mode == "public URL" {
					s.handler["public_url"] = publicTestURL
				}
			})
			etag := s.checkSendfile(t, "disk")
			s.drop(goodsKey)
			if again := s.checkSendfile(t, "bucket"); again != etag {
				t.Errorf("Etag %s on disk, %s in the bucket", etag, again)
			}
			// Nothing else gives the file away.
			for _, path := range []string{goodsURL, "/private/woocommerce_uploads/a%20b+50%25.pdf", strings.Replace(shopPath("X-Sendfile", goodsURL), "buyer", "thief", 1)} {
				a := s.get(path, "X-Accel-Redirect", goodsURL, "X-Sendfile", filepath.Join(s.uploads, goodsKey))
				if a.StatusCode != http.StatusForbidden || a.body != "not yours" {
					t.Errorf("%s: %d %.20q", path, a.StatusCode, a.body)
				}
			}
		})
	}
}

// checkSendfile checks all ways to get the goods and returns their ETag.
func (s *testSite) checkSendfile(t *testing.T, where string) string {
	t.Helper()
	onDisk := filepath.Join(s.uploads, filepath.FromSlash(goodsKey))
	raw := "/wp-content/uploads/" + goodsKey
	var etag string
	for _, test := range []struct{ by, file string }{
		{"X-Accel-Redirect", goodsURL},
		{"X-Accel-Redirect", raw},
		{"X-Accel-Redirect", goodsURL + "?x=1"},
		{"X-Accel-Redirect", onDisk},
		{"X-Sendfile", onDisk},
		{"X-Sendfile", strings.ReplaceAll(strings.ReplaceAll(onDisk, "%", "%25"), " ", "%20")},
		{"X-Sendfile", strings.TrimPrefix(raw, "/")},
		{"X-LiteSpeed-Location", raw},
		{"X-LiteSpeed-Location", goodsURL},
	} {
		a := s.get(shopPath(test.by, test.file))
		if a.StatusCode != http.StatusOK || a.body != goods {
			t.Errorf("%s: %s %s: %d, %d bytes", where, test.by, test.file, a.StatusCode, len(a.body))
		}
		for name, want := range map[string]string{
			"Content-Type": "application/pdf", "Content-Disposition": `attachment; filename="goods.pdf"`, "Content-Length": "50000",
			"Cache-Control": "private", "X-Content-Type-Options": "nosniff", "Set-Cookie": "seen=1", "Accept-Ranges": "bytes",
			"Content-Encoding": "", "X-Accel-Redirect": "", "X-Sendfile": "", "X-Litespeed-Location": "", "X-Accel-Buffering": "",
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s: %s %s: %s %q, want %q", where, test.by, test.file, name, got, want)
			}
		}
		etag = a.Header.Get("Etag")
	}
	path := shopPath("X-Sendfile", onDisk)
	for _, test := range []struct {
		name, method string
		header       []string
		status       int
		body         string
	}{
		{"range", "GET", []string{"Range", "bytes=3-5"}, 206, "345"},
		{"end", "GET", []string{"Range", "bytes=-2"}, 206, "89"},
		{"If-Range", "GET", []string{"Range", "bytes=0-0", "If-Range", etag}, 206, "0"},
		{"stale If-Range", "GET", []string{"Range", "bytes=0-0", "If-Range", `"old"`}, 200, goods},
		{"past the end", "GET", []string{"Range", "bytes=50000-"}, 416, "invalid range: failed to overlap\n"},
		{"If-None-Match", "GET", []string{"If-None-Match", etag}, 304, ""},
		{"HEAD", "HEAD", nil, 200, ""},
		{"POST", "POST", nil, 200, goods},
	} {
		a := s.do(test.method, path, "", test.header...)
		if a.StatusCode != test.status || a.body != test.body || a.err != nil {
			t.Errorf("%s: %s: %d %.40q %v", where, test.name, a.StatusCode, a.body, a.err)
		}
	}
	typed := s.get(shopPath("X-Sendfile", onDisk, "type=application/x-goods"))
	if got := typed.Header.Get("Content-Type"); got != "application/x-goods" {
		t.Errorf("%s: Content-Type %q", where, got)
	}
	return etag
}

// TestSendfileOfOthers: what is no media file is for other handlers, and the
// module does not even say whether it exists.
//
// Promise 7: "No path leaves a media root".
func TestSendfileOfOthers(t *testing.T) {
	s := newShop(t, nil)
	secret := filepath.Join(s.docRoot, "wp-config.php")
	for name, content := range map[string]string{
		secret: "secret", filepath.Join(s.uploads, ".htaccess"): "secret", filepath.Join(s.uploads, "x.php"): "secret",
	} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(secret, filepath.Join(s.uploads, "link.txt")); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{
		secret, "/wp-config.php", "/internal/file", "/", "", "/wp-content/uploads/", "/wp-content/uploads",
		"/wp-content/uploads/.htaccess", "/wp-content/uploads/x.php", "/wp-content/uploads/link.txt",
		"/wp-content/uploads/../../wp-config.php", "/wp-content/uploads/..%2f..%2fwp-config.php",
		s.uploads + "/../../wp-config.php", s.uploads + "/x/../../../wp-config.php", s.uploads, s.uploads + "/",
		"/wp-content/uploads/none.pdf", s.uploads + "/none.pdf", "/wp-content/uploads//" + goodsKey, "%", "/wp-content/uploads/%00", "/etc/passwd",
	} {
		for _, field := range []string{"X-Accel-Redirect", "X-Sendfile", "X-Litespeed-Location"} {
			a := s.get(shopPath(field, file, "inline=1"))
			if a.StatusCode != http.StatusOK || a.body != "app's body" || a.Header.Get(field) != file {
				t.Errorf("%s %s: %d %.20q %v", field, file, a.StatusCode, a.body, a.Header)
			}
		}
	}
	if a := s.get(shopPath("X-Sendfile", goodsURL, "status=404", "inline=1")); a.StatusCode != http.StatusNotFound || a.body != "app's body" {
		t.Errorf("status 404: %d %.20q", a.StatusCode, a.body)
	}
}

// TestSendfileOfPages: a page that is a private file keeps its bytes.
func TestSendfileOfPages(t *testing.T) {
	s := newShop(t, func(s *testSite) { s.handler["public_url"] = publicTestURL })
	const key, text = "woocommerce_uploads/a.html", `<img src="/wp-content/uploads/p.jpg">`
	s.upload(map[string]string{"p.jpg": "picture"})
	s.uploadGoods(key, text)
	a := s.get(shopPath("X-Accel-Redirect", "/wp-content/uploads/"+key, "inline=1"))
	if a.body != text || a.Header.Get("Content-Type") != "text/html" || strings.HasPrefix(a.Header.Get("Etag"), "W/") {
		t.Errorf("%q %v", a.body, a.Header)
	}
}

// TestSendfileThroughSymlink: PHP knows its directory by another name.
func TestSendfileThroughSymlink(t *testing.T) {
	s := newShop(t, func(s *testSite) {
		link := s.docRoot + "-link"
		if err := os.Symlink(s.docRoot, link); err != nil {
			s.t.Fatal(err)
		}
		s.handler["app"] = map[string]any{"preset": "wordpress", "docroot": link}
	})
	if a := s.get(shopPath("X-Sendfile", filepath.Join(s.uploads, goodsKey))); a.body != goods {
		t.Errorf("%d %.20q", a.StatusCode, a.body)
	}
}

// TestSendfileWhenBucketFails: 503, with nothing in the header that was the
// file's.
func TestSendfileWhenBucketFails(t *testing.T) {
	s := newShop(t, func(s *testSite) { s.handler["public_url"] = publicTestURL })
	s.drop(goodsKey)
	if err := os.Rename(s.bucket, s.bucket+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.bucket, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	a := s.get(shopPath("X-Accel-Redirect", goodsURL))
	if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
	for _, name := range []string{
		"X-Accel-Redirect", "X-Sendfile", "X-Litespeed-Location",
		"X-Accel-Buffering", "X-Accel-Charset", "X-Accel-Expires", "X-Accel-Limit-Rate",
		"Transfer-Encoding", "Content-Encoding", "Content-Range", "Accept-Ranges", "Trailer",
		"Etag", "Last-Modified", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest",
		"Content-Type", "Content-Disposition", "Cache-Control", "Expires",
	} {
		if a.Header.Get(name) != "" {
			t.Errorf("%s: %q", name, a.Header.Get(name))
		}
	}
	if err := os.Remove(s.bucket); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.bucket+".away", s.bucket); err != nil {
		t.Fatal(err)
	}
}
