//go:build unix

package caddymodule

// go test -run '^$' -bench Chain ./caddymodule/

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// BenchmarkChain is what this handler adds to what stands behind it: both are
// run in turn, with and without it, so that another load on the machine does
// not matter. The client takes what it is given and does nothing with it.
func BenchmarkChain(b *testing.B) {
	const html = "text/html; charset=UTF-8"
	page, keys := typicalTestPage()
	noMedia := bytes.ReplaceAll(page, []byte("wp-content"), []byte("wp-include"))
	h := benchmarkHandler(b, keys)
	for _, c := range []struct {
		name, path string
		app        proxied
	}{
		{"page in 32K", "/a-post/", proxied{contentType: html, body: page, piece: 32 << 10}},
		{"page in 32K, each time another", "/a-post/", proxied{contentType: html, body: bytes.Clone(page), piece: 32 << 10, nonce: true}},
		{"page in 4K", "/a-post/", proxied{contentType: html, body: page, piece: 4 << 10}},
		{"page in 8K, each flushed", "/a-post/", proxied{contentType: html, body: page, piece: 8 << 10, flush: true}},
		{"page in 8K, each flushed, each time another", "/a-post/", proxied{contentType: html, body: bytes.Clone(page), piece: 8 << 10, flush: true, nonce: true}},
		{"page without media", "/a-post/", proxied{contentType: html, body: noMedia, piece: 32 << 10}},
		{"page without media, each time another", "/a-post/", proxied{contentType: html, body: bytes.Clone(noMedia), piece: 32 << 10, nonce: true}},
		{"page of 5K", "/a-post/", proxied{contentType: html, body: page[:5000], piece: 32 << 10}},
		{"JSON of 200 B", "/wp-json/x/v1/count", proxied{contentType: "application/json", body: []byte(`{"text":"` + repeat("word ", 189) + `"}`), piece: 32 << 10}},
		{"picture that the app sends", "/index.php", proxied{contentType: "image/png", body: page, piece: 32 << 10}},
		{"script", "/wp-includes/js/jquery.min.js", proxied{contentType: "text/javascript", body: page[:10000], piece: 32 << 10}},
		{"media file on disk", "/wp-content/uploads/" + keys[0], proxied{contentType: "image/jpeg", body: page[:10000], piece: 32 << 10}},
	} {
		b.Run(c.name, func(b *testing.B) {
			answer := httptest.NewRecorder()
			if err := h.ServeHTTP(answer, preparedRequest(c.path, answer), &c.app); err != nil {
				b.Fatal(err)
			}
			if c.app.contentType == html && strings.Contains(answer.Body.String(), "wp-content/uploads") {
				b.Fatal("a media URL is still local")
			}
			compareChains(b, h, c.path, &c.app)
		})
	}
}

// compareChains reports the difference that h makes, for each request.
func compareChains(b *testing.B, h *Handler, path string, app caddyhttp.Handler) {
	const block = 50
	client := discardWriter{header: http.Header{}}
	r := preparedRequest(path, client)
	chains := [2]func() error{
		func() error { return app.ServeHTTP(client, r) },
		func() error { return h.ServeHTTP(client, r, app) },
	}
	var cost [2]usage
	requests := 0
	for b.Loop() {
		for i, serve := range chains {
			begun := currentUsage(b)
			for range block {
				clear(client.header)
				if err := serve(); err != nil {
					b.Fatal(err)
				}
			}
			cost[i].add(begun, currentUsage(b))
		}
		requests += block
	}
	n := float64(requests)
	b.ReportMetric(0, "ns/op") // says nothing
	b.ReportMetric(float64(cost[0].cpu)/n/1e3, "µs-without")
	b.ReportMetric(float64(cost[1].cpu-cost[0].cpu)/n/1e3, "µs-added")
	b.ReportMetric(float64(cost[1].allocs-cost[0].allocs)/n, "allocs-added")
	b.ReportMetric(float64(cost[1].bytes-cost[0].bytes)/n, "B-added")
}

// usage is what was used of the machine.
type usage struct {
	cpu           int64 // nanoseconds
	allocs, bytes int64
}

func currentUsage(b *testing.B) usage {
	b.Helper()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return usage{cpu: u.Utime.Nano() + u.Stime.Nano(), allocs: int64(m.Mallocs), bytes: int64(m.TotalAlloc)}
}

// add adds what was used from begun to now.
func (u *usage) add(begun, now usage) {
	u.cpu += now.cpu - begun.cpu
	u.allocs += now.allocs - begun.allocs
	u.bytes += now.bytes - begun.bytes
}

// proxied answers as a reverse proxy does: it copies the app's header, and the
// body piece by piece.
type proxied struct {
	contentType string
	body        []byte
	piece       int
	flush       bool // each piece, as the length is not known
	nonce       bool // the title is another each time
	served      uint64
}

func (p *proxied) ServeHTTP(w http.ResponseWriter, _ *http.Request) error {
	if p.nonce {
		p.served++
		title := p.body[bytes.Index(p.body, []byte("<title>"))+len("<title>"):]
		for i, n := 0, p.served; i < len("A post"); i++ {
			title[i] = 'a' + byte(n&15)
			n >>= 4
		}
	}
	hdr := w.Header()
	hdr["Content-Type"] = []string{p.contentType}
	hdr["Date"] = []string{"Sun, 22 Nov 2026 04:00:00 GMT"}
	hdr["Link"] = []string{`<https://site.test/wp-json/>; rel="https://api.w.org/"`}
	hdr["Server"] = []string{"Apache"}
	hdr["X-Powered-By"] = []string{"PHP/8.4"}
	if !p.flush {
		hdr["Content-Length"] = []string{strconv.Itoa(len(p.body))}
	}
	w.WriteHeader(http.StatusOK)
	for rest := p.body; len(rest) > 0; {
		n := min(len(rest), p.piece)
		if _, err := w.Write(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
		if !p.flush {
			continue
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return err
		}
	}
	return nil
}

// benchmarkHandler is the handler of a running site that has the files of keys.
func benchmarkHandler(b *testing.B, keys []string) *Handler {
	b.Helper()
	var s *testSite
	s = newTestSite(b, uploadApp(&s, notFound))
	s.handler["public_url"] = publicTestURL
	s.start()
	files := make(map[string]string, len(keys))
	for _, key := range keys {
		files[key] = key
	}
	s.upload(files)
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		b.Fatal(err)
	}
	return app.(*caddyhttp.App).Servers["test"].Routes[0].Handlers[0].(*Handler)
}

// preparedRequest is a request as Caddy's server hands it on.
func preparedRequest(path string, w http.ResponseWriter) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://site.test"+path, nil)
	r.Header = http.Header{
		"Accept":          {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
		"Accept-Encoding": {"gzip, deflate, br, zstd"},
		"Accept-Language": {"en-GB,en;q=0.5"},
		"Cookie":          {"_ga=GA1.1.1234567890.1234567890"},
		"User-Agent":      {"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
	}
	return caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, new(caddyhttp.Server))
}

// typicalTestPage is a page of 100 KB with 60 media URLs, and their keys.
func typicalTestPage() (page []byte, keys []string) {
	var text bytes.Buffer
	text.WriteString("<!DOCTYPE html>\n<html><head><title>A post</title></head>\n<body>\n")
	for i := 0; text.Len() < 100e3; i++ {
		base := fmt.Sprintf("2026/11/picture-of-something-%d", i)
		url := "https://site.test/wp-content/uploads/" + base
		fmt.Fprintf(&text, `<figure class="wp-block-image size-large"><img loading="lazy" decoding="async" width="1024" height="768" src="%[1]s-1024x768.jpg" alt="" srcset="%[1]s-1024x768.jpg 1024w, %[1]s-300x225.jpg 300w, %[1]s.jpg 1536w" /></figure>`+"\n", url)
		fmt.Fprintf(&text, `<script type="application/json">{"src":"%s.jpg"}</script>`+"\n", strings.ReplaceAll(url, "/", `\/`))
		keys = append(keys, base+"-1024x768.jpg", base+"-300x225.jpg", base+".jpg")
		for range 20 {
			text.WriteString(`<p class="has-text">Some text about it, with a <a href="https://site.test/2026/11/another-post/">link</a> to <em>another</em> post, ` + repeat("and more of it ", 240) + "</p>\n")
		}
	}
	text.WriteString("</body>\n</html>\n")
	return text.Bytes(), keys
}

// discardWriter is a client that drops what it gets.
type discardWriter struct{ header http.Header }

func (w discardWriter) Header() http.Header         { return w.header }
func (w discardWriter) WriteHeader(int)             {}
func (w discardWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w discardWriter) FlushError() error           { return nil }
