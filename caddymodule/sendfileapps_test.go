package caddymodule

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/fcgi"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy/fastcgi"
)

// sendfileApp is what an app's answer that names a file looks like on the wire.
type sendfileApp struct {
	name   string
	status int
	// header is as the app sends it; FILE stands for the path on disk, URL for
	// the URL path, SIZE for the file's size.
	header []string
	want   map[string]string // of the answer's header
}

// sendfileApps are taken from the apps' sources: each tells something of the
// file that is not so of its own, empty body.
var sendfileApps = []sendfileApp{
	{
		"WooCommerce for nginx (WC_Download_Handler::download_headers)", http.StatusOK,
		[]string{
			"X-Accel-Redirect: URL", "Expires: Wed, 11 Jan 1984 05:00:00 GMT", "Cache-Control: no-cache, must-revalidate, max-age=0, no-store, private",
			"X-Robots-Tag: noindex, nofollow", "Content-Type: application/pdf", "Content-Description: File Transfer",
			`Content-Disposition: attachment; filename="goods.pdf";`, "Content-Transfer-Encoding: binary", "Content-Length: SIZE",
		},
		map[string]string{
			"Cache-Control": "no-cache, must-revalidate, max-age=0, no-store, private", "X-Robots-Tag": "noindex, nofollow",
			"Content-Disposition": `attachment; filename="goods.pdf";`,
		},
	},
	{
		"WooCommerce before 3.0, for mod_xsendfile", http.StatusOK,
		[]string{
			"X-Sendfile: FILE", "Content-Type: application/force-download", "Content-Description: File Transfer",
			`Content-Disposition: attachment; filename="goods.pdf";`, "Content-Transfer-Encoding: binary", "Content-Length: SIZE",
		},
		map[string]string{"Content-Type": "application/force-download"},
	},
	{
		"Drupal and all that answer by Symfony's BinaryFileResponse", http.StatusOK,
		[]string{
			"X-Sendfile: FILE", "Content-Type: application/pdf", "Content-Length: SIZE", "Accept-Ranges: bytes", "Cache-Control: private",
			"Last-Modified: Tue, 03 Nov 2026 10:00:00 GMT", `ETag: "app"`, "Content-Disposition: inline; filename=goods.pdf",
		},
		map[string]string{"Content-Disposition": "inline; filename=goods.pdf", "Cache-Control": "private"},
	},
	{
		"phpBB (send_file_to_browser)", http.StatusOK,
		[]string{
			"X-Accel-Redirect: URL", "Cache-Control: private", "Content-Type: application/pdf", "X-Content-Type-Options: nosniff",
			"Content-Disposition: attachment; filename*=UTF-8''goods.pdf", "Last-Modified: Tue, 03 Nov 2026 10:00:00 GMT", "Content-Length: SIZE",
		},
		map[string]string{"Content-Disposition": "attachment; filename*=UTF-8''goods.pdf"},
	},
	{
		"ownCloud, which answers ranges itself", http.StatusPartialContent,
		[]string{
			"X-Accel-Redirect: URL", "Content-Type: application/pdf", "Content-Range: bytes 3-5/SIZE", "Content-Length: 3",
			"Accept-Ranges: bytes", `OC-ETag: "0a1b"`, `ETag: "0a1b"`, `Content-Disposition: attachment; filename="goods.pdf"`,
		},
		map[string]string{"Oc-Etag": `"0a1b"`},
	},
	{
		"an app behind zlib.output_compression, with digests of nothing", http.StatusOK,
		[]string{
			"X-LiteSpeed-Location: URL", "Content-Encoding: gzip", "Vary: Accept-Encoding", "Content-Type: text/html; charset=UTF-8", "Content-Length: 20",
			"Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg==", "Digest: sha-256=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "Trailer: X-Sum",
			"Content-Language: en",
		},
		map[string]string{"Content-Md5": "", "Digest": "", "Trailer": ""},
	},
}

// TestSendfileOfApps has files named by what apps really send, over FastCGI and
// over HTTP: with a Content-Length that their body does not have. It asks for
// the whole, a part, under conditions, from disk and from the bucket.
//
// Promise 7: "Private stays private."
func TestSendfileOfApps(t *testing.T) {
	var s *testSite
	s = newTestSite(t, uploadApp(&s, notFound))
	s.handler["public_url"] = publicTestURL
	s.after = []map[string]any{{"handler": "subroute", "routes": []any{
		upstreamRoute("/fastcgi/*", serveFastCGI(t, s), map[string]any{"protocol": "fastcgi"}),
		upstreamRoute("/http/*", serveShortHTTP(t, s), map[string]any{"protocol": "http", "keep_alive": map[string]any{"enabled": false}}),
	}}}
	clients := s.useTLS(t)
	s.start()
	s.client = clients["h1"]
	s.uploadGoods(goodsKey, goods)
	for _, where := range []string{"disk", "bucket"} {
		if where == "bucket" {
			s.drop(goodsKey)
		}
		for _, version := range slices.Sorted(maps.Keys(clients)) {
			for _, upstream := range []string{"fastcgi", "http"} {
				for i, app := range sendfileApps {
					t.Run(strings.Join([]string{where, version, upstream, app.name}, "/"), func(t *testing.T) {
						s.t, s.client = t, clients[version]
						s.checkSendfileApp(t, fmt.Sprintf("/%s/%d", upstream, i), app)
					})
				}
			}
		}
	}
}

func (s *testSite) checkSendfileApp(t *testing.T, path string, app sendfileApp) {
	t.Helper()
	whole := s.do(http.MethodGet, path, "")
	etag := whole.Header.Get("Etag")
	if etag == "" || etag == `"app"` || etag == `"0a1b"` {
		t.Errorf("Etag %q is not the file's", etag)
	}
	want := map[string]string{
		"Accept-Ranges": "bytes", "Content-Encoding": "", "Content-Length": strconv.Itoa(len(goods)), "Content-Range": "",
		"X-Accel-Redirect": "", "X-Sendfile": "", "X-Litespeed-Location": "",
	}
	maps.Copy(want, app.want)
	for name, value := range want {
		if got := whole.Header.Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	for _, test := range []struct {
		name, method string
		header       []string
		status       int
		body         string
	}{
		{"whole", "GET", nil, 200, goods},
		{"HEAD", "HEAD", nil, 200, ""},
		{"POST", "POST", nil, 200, goods},
		{"range", "GET", []string{"Range", "bytes=3-5"}, 206, "345"},
		{"If-Range", "GET", []string{"Range", "bytes=-1", "If-Range", etag}, 206, "9"},
		{"stale If-Range", "GET", []string{"Range", "bytes=-1", "If-Range", `"old"`}, 200, goods},
		{"If-None-Match", "GET", []string{"If-None-Match", etag}, 304, ""},
		{"past the end", "GET", []string{"Range", "bytes=50000-"}, 416, "invalid range: failed to overlap\n"},
	} {
		a := s.do(test.method, path, "", test.header...)
		if a.StatusCode != test.status || a.body != test.body || a.err != nil {
			t.Errorf("%s: %d, %d bytes %.40q, %v", test.name, a.StatusCode, len(a.body), a.body, a.err)
		}
	}
}

// upstreamRoute sends what is below a path to an upstream.
func upstreamRoute(path, address string, transport map[string]any) map[string]any {
	return map[string]any{
		"match":  []any{map[string]any{"path": []string{path}}},
		"handle": []any{map[string]any{"handler": "reverse_proxy", "transport": transport, "upstreams": []any{map[string]any{"dial": address}}}},
	}
}

// answerOf returns the status and header of the app that a path like
// /fastcgi/3 names.
func (s *testSite) answerOf(path string) (int, http.Header) {
	i, err := strconv.Atoi(path[strings.LastIndexByte(path, '/')+1:])
	if err != nil || i >= len(sendfileApps) {
		return http.StatusNotFound, http.Header{}
	}
	values := strings.NewReplacer("FILE", filepath.Join(s.uploads, filepath.FromSlash(goodsKey)), "URL", goodsURL, "SIZE", strconv.Itoa(len(goods)))
	hdr := make(http.Header)
	for _, field := range sendfileApps[i].header {
		name, value, _ := strings.Cut(field, ": ")
		hdr.Set(name, values.Replace(value))
	}
	return sendfileApps[i].status, hdr
}

// serveFastCGI runs the apps as PHP-FPM does and returns the address.
func serveFastCGI(t *testing.T, s *testSite) string {
	t.Helper()
	l := listen(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = fcgi.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // ends with the listener
			status, hdr := s.answerOf(r.URL.Path)
			maps.Copy(w.Header(), hdr)
			w.WriteHeader(status)
		}))
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}

// serveShortHTTP runs the apps behind a server that passes their header on as it
// is and returns the address.
func serveShortHTTP(t *testing.T, s *testSite) string {
	t.Helper()
	l := listen(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.answerShort(conn)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}

// answerShort answers one request with a header and nothing else.
func (s *testSite) answerShort(conn net.Conn) {
	defer conn.Close()
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	status, hdr := s.answerOf(r.URL.Path)
	fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	_ = hdr.Write(conn) // the client tells if it did not come
	_, _ = io.WriteString(conn, "\r\n")
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}
