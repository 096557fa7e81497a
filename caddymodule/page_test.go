package caddymodule

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/media-offload/caddy-media-offload/rewrite"
)

// compress encodes text as a Content-Encoding of this name.
func compress(t testing.TB, encoding, text string) string {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	switch encoding {
	case "gzip", "x-gzip":
		w = gzip.NewWriter(&out)
	case "br":
		w = brotli.NewWriterLevel(&out, brotli.BestSpeed)
	case "zstd":
		zw, err := zstd.NewWriter(&out)
		if err != nil {
			t.Fatal(err)
		}
		w = zw
	default:
		return text
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

const (
	mediaImage  = `<img src="/wp-content/uploads/a.jpg">`
	publicImage = `<img src="` + publicTestURL + `a.jpg">`
)

// pageApp answers with what a test puts into it.
type pageApp struct {
	status  int
	header  map[string]string
	body    string
	request http.Header // of the last request
}

func (p *pageApp) serve(w http.ResponseWriter, r *http.Request) error {
	p.request = r.Header.Clone()
	for name, value := range p.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(p.status)
	if r.Method == http.MethodHead {
		return nil
	}
	_, err := io.WriteString(w, p.body)
	return err
}

// newPageSite makes a site with a.jpg committed whose pages come from app.
func newPageSite(t *testing.T, app *pageApp) *testSite {
	t.Helper()
	var s *testSite
	s = newTestSite(t, uploadApp(&s, app.serve))
	s.handler["public_url"] = publicTestURL
	s.start()
	s.upload(map[string]string{"a.jpg": "picture"})
	return s
}

// TestPageHeaders: what of an answer is changed, and what its header says then.
func TestPageHeaders(t *testing.T) {
	app := new(pageApp)
	s := newPageSite(t, app)
	untouched := strings.Repeat("<p>text</p>", 100)
	large := strings.Repeat("<p>text</p>", 20_000)
	type header = map[string]string
	for _, test := range []struct {
		name   string
		method string
		path   string
		ask    []string
		status int
		header header
		body   string
		want   string // body
		has    header // "" means absent
	}{
		{
			name: "untouched", status: 200, body: untouched, want: untouched,
			header: header{"Content-Type": "text/html", "Content-Length": "1100", "Etag": `"v"`, "Accept-Ranges": "bytes", "Content-Md5": "x"},
			has:    header{"Content-Length": "1100", "Etag": `"v"`, "Accept-Ranges": "bytes", "Content-Md5": "x"},
		},
		{
			name: "untouched without length", status: 200, body: untouched + untouched + untouched, want: untouched + untouched + untouched,
			header: header{"Content-Type": "text/html"},
			has:    header{"Content-Length": "3300"},
		},
		{
			name: "changed", status: 200, body: mediaImage, want: publicImage,
			header: header{"Content-Type": "text/html", "Content-Length": strconv.Itoa(len(mediaImage)), "Etag": `"v"`, "Accept-Ranges": "bytes", "Content-Md5": "x", "Digest": "x", "Repr-Digest": "x", "Content-Digest": "x", "Vary": "Cookie", "Last-Modified": "Mon, 02 Jan 2006 15:04:05 GMT"},
			has:    header{"Content-Length": strconv.Itoa(len(publicImage)), "Etag": `W/"v"`, "Accept-Ranges": "", "Content-Md5": "", "Digest": "", "Repr-Digest": "", "Content-Digest": "", "Vary": "Cookie", "Last-Modified": "Mon, 02 Jan 2006 15:04:05 GMT"},
		},
		{
			name: "weak already", status: 200, body: mediaImage, want: publicImage,
			header: header{"Content-Type": "text/html", "Etag": `W/"v"`}, has: header{"Etag": `W/"v"`},
		},
		{
			name: "larger than the buffer", status: 200, body: large + mediaImage, want: large + publicImage,
			header: header{"Content-Type": "text/html", "Content-Length": strconv.Itoa(len(large + mediaImage)), "Etag": `"v"`},
			has:    header{"Content-Length": "", "Etag": `W/"v"`},
		},
		{name: "404 page", status: 404, body: mediaImage, want: publicImage, header: header{"Content-Type": "text/html"}},
		{name: "500 page", status: 500, body: mediaImage, want: publicImage, header: header{"Content-Type": "text/html"}},
		{name: "POST", method: "POST", status: 200, body: mediaImage, want: publicImage, header: header{"Content-Type": "text/html"}},
		{name: "PUT", method: "PUT", status: 200, body: mediaImage, want: mediaImage, header: header{"Content-Type": "text/html"}},
		{name: "206", status: 206, body: mediaImage, want: mediaImage, header: header{"Content-Type": "text/html", "Content-Range": "bytes 0-36/99"}},
		{name: "image", status: 200, body: mediaImage, want: mediaImage, header: header{"Content-Type": "image/png", "Etag": `"v"`}, has: header{"Etag": `"v"`}},
		{name: "download", status: 200, body: mediaImage, want: mediaImage, header: header{"Content-Type": "text/html", "Content-Disposition": `Attachment; filename="x.html"`}},
		{name: "inline", status: 200, body: mediaImage, want: publicImage, header: header{"Content-Type": "text/html", "Content-Disposition": "inline"}},
		{name: "no-transform", status: 200, body: mediaImage, want: mediaImage, header: header{"Content-Type": "text/html", "Cache-Control": "max-age=1, No-Transform"}},
		{name: "JSON", status: 200, body: `{"u":"\/wp-content\/uploads\/a.jpg"}`, want: `{"u":"https:\/\/cdn.test\/m\/a.jpg"}`, header: header{"Content-Type": "application/json"}},
		{name: "JSON as HTML", status: 200, body: `{"u":"\/wp-content\/uploads\/a.jpg"}`, want: `{"u":"https:\/\/cdn.test\/m\/a.jpg"}`, header: header{"Content-Type": "text/html; charset=UTF-8"}},
		{name: "script", path: "/x.js", status: 200, body: mediaImage, want: mediaImage, header: header{"Content-Type": "text/html"}},
		{name: "admin", path: "/wp-admin/upload.php", status: 200, body: mediaImage, want: mediaImage, header: header{"Content-Type": "text/html"}},
		{name: "editor API", path: "/wp-json/wp/v2/media", ask: []string{"X-Wp-Nonce", "abc"}, status: 200, body: mediaImage, want: mediaImage, header: header{"Content-Type": "text/html"}},
		{
			name: "HEAD", method: "HEAD", status: 200, want: "",
			header: header{"Content-Type": "text/html", "Content-Length": "99", "Etag": `"v"`},
			has:    header{"Content-Length": "", "Etag": `W/"v"`},
		},
		{
			name: "redirect to media", status: 301, want: "",
			header: header{"Content-Type": "text/html", "Location": "http://" + s.address() + "/wp-content/uploads/a.jpg?v=1"},
			has:    header{"Location": publicTestURL + "a.jpg?v=1"},
		},
		{
			name: "redirect to an unknown file", status: 301, want: "",
			header: header{"Content-Type": "text/html", "Location": "/wp-content/uploads/unknown.jpg"},
			has:    header{"Location": "/wp-content/uploads/unknown.jpg"},
		},
		{
			name: "preload", status: 200, body: "<p>", want: "<p>",
			header: header{"Content-Type": "text/html", "Link": "</wp-content/uploads/a.jpg>; rel=preload; as=image"},
			has:    header{"Link": "<" + publicTestURL + "a.jpg>; rel=preload; as=image"},
		},
		{
			name: "refresh", status: 200, body: "<p>", want: "<p>",
			header: header{"Content-Type": "text/html", "Refresh": "5; url=/wp-content/uploads/a.jpg"},
			has:    header{"Refresh": "5; url=" + publicTestURL + "a.jpg"},
		},
		{
			name: "header of an admin page", path: "/wp-admin/", status: 200, body: "<p>", want: "<p>",
			header: header{"Content-Type": "text/html", "Link": "</wp-content/uploads/a.jpg>; rel=preload; as=image"},
			has:    header{"Link": "</wp-content/uploads/a.jpg>; rel=preload; as=image"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.t = t
			app.status, app.header, app.body = test.status, test.header, test.body
			method, path := test.method, test.path
			if method == "" {
				method = http.MethodGet
			}
			if path == "" {
				path = "/page/"
			}
			a := s.do(method, path, "", test.ask...)
			if a.err != nil || a.StatusCode != test.status {
				t.Fatalf("%d, %v", a.StatusCode, a.err)
			}
			if a.body != test.want {
				t.Errorf("body %.200q, want %.200q", a.body, test.want)
			}
			for name, want := range test.has {
				if got := a.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

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
					body := compress(t, strings.ToLower(encoding), pair[0])
					app.status, app.body = 200, body
					app.header = map[string]string{"Content-Type": "text/html", "Content-Encoding": encoding, "Content-Length": strconv.Itoa(len(body)), "Etag": `"v"`}
					a := s.do(method, "/", "", "Accept-Encoding", "gzip, br, zstd")
					if a.err != nil || a.body != pair[1] {
						t.Errorf("%d bytes, want %d; %v", len(a.body), len(pair[1]), a.err)
					}
					if a.Header.Get("Content-Encoding") != "" || a.Header.Get("Etag") != `W/"v"` {
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
	page := compress(t, "gzip", noise(300_000))
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

// noise is text that does not compress well, the same each time.
func noise(size int) string {
	var b strings.Builder
	for x := uint32(1); b.Len() < size; {
		x = x*1664525 + 1013904223
		fmt.Fprintf(&b, "%x ", x)
	}
	return b.String()
}

// TestDecoderBomb: an answer that grows out of proportion ends early and costs
// no memory.
func TestDecoderBomb(t *testing.T) {
	for _, encoding := range []string{"gzip", "br", "zstd"} {
		t.Run(encoding, func(t *testing.T) {
			bomb := compress(t, encoding, strings.Repeat("\x00", maxDecoded+1<<20))
			written := 0
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			d := newDecoder(encoding, writerFunc(func(p []byte) (int, error) {
				written += len(p)
				return len(p), nil
			}))
			_, err := io.Copy(d, strings.NewReader(bomb))
			if closeErr := d.Close(); err == nil {
				err = closeErr
			}
			runtime.ReadMemStats(&after)
			if !errors.Is(err, errBomb) {
				t.Errorf("error %v", err)
			}
			if written > maxDecoded+maxRatio*len(bomb) {
				t.Errorf("%d bytes came out of %d", written, len(bomb))
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
				t.Errorf("%d bytes allocated", grown)
			}
		})
	}
}

// TestAcceptEncoding: only requests whose answer may be rewritten lose the
// header, and only on the way to the app.
func TestAcceptEncoding(t *testing.T) {
	app := &pageApp{status: 200, header: map[string]string{"Content-Type": "text/html"}, body: strings.Repeat(mediaImage, 100)}
	var s *testSite
	s = newTestSite(t, uploadApp(&s, app.serve))
	s.handler["public_url"] = publicTestURL
	s.before = []map[string]any{{"handler": "encode", "encodings": map[string]any{"gzip": map[string]any{}}}}
	s.start()
	s.upload(map[string]string{"a.jpg": "picture"})
	a := s.get("/", "Accept-Encoding", "gzip")
	if app.request.Get("Accept-Encoding") != "" {
		t.Error("the app was asked to compress a page")
	}
	text, err := gzip.NewReader(strings.NewReader(a.body))
	if err != nil {
		t.Fatalf("encode did not compress: %v: %v", err, a.Header)
	}
	plain, err := io.ReadAll(text)
	if err != nil || string(plain) != strings.Repeat(publicImage, 100) {
		t.Errorf("%.100q, %v", plain, err)
	}
	for _, path := range []string{"/theme/x.js", "/theme/x.WOFF2", "/wp-admin/"} {
		s.get(path, "Accept-Encoding", "gzip")
		if app.request.Get("Accept-Encoding") != "gzip" {
			t.Errorf("%s: the app was asked for %q", path, app.request.Get("Accept-Encoding"))
		}
	}
}

// eventWriter is a client: it tells what it gets, and when.
type eventWriter struct {
	*httptest.ResponseRecorder
	mu     sync.Mutex
	events []string
	wrote  chan struct{} // gets a value for the first write
}

func newEventWriter() *eventWriter {
	return &eventWriter{ResponseRecorder: httptest.NewRecorder(), wrote: make(chan struct{}, 1)}
}

func (w *eventWriter) note(event string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, event)
}

func (w *eventWriter) WriteHeader(status int) {
	w.note(fmt.Sprint("header ", status))
	w.ResponseRecorder.WriteHeader(status)
}

func (w *eventWriter) Write(p []byte) (int, error) {
	w.note(fmt.Sprint("write ", len(p)))
	n, err := w.ResponseRecorder.Write(p)
	select {
	case w.wrote <- struct{}{}:
	default:
	}
	return n, err
}

func (w *eventWriter) FlushError() error {
	w.note("flush")
	return nil
}

// newTestPage rewrites nothing but counts as a page.
func newTestPage(t testing.TB) *page {
	t.Helper()
	rewriter, err := rewrite.New(rewrite.Config{
		Prefixes: []string{"/wp-content/uploads/"},
		Resolve: func(dst []byte, m rewrite.Match) ([]byte, bool) {
			return append(append(dst, publicTestURL...), m.Raw...), true
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &page{rewriter: rewriter, info: rewrite.Page{Scheme: "http", Host: "site.test", Path: "/"}}
}

// TestSmallPageInOneWrite: a page that the app writes in pieces leaves whole.
func TestSmallPageInOneWrite(t *testing.T) {
	client := newEventWriter()
	w := newResponseWriter(client, 0, newTestPage(t))
	defer w.close()
	w.Header().Set("Content-Type", "text/html")
	w.mu.Lock() // the timer must wait: the pieces come at once
	w.timer = time.NewTimer(time.Hour)
	w.mu.Unlock()
	for range 10 {
		if _, err := io.WriteString(w, mediaImage); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.endBody(); err != nil {
		t.Fatal(err)
	}
	if err := w.release(); err != nil {
		t.Fatal(err)
	}
	want := strings.Repeat(publicImage, 10)
	if got := strings.Join(client.events, ", "); got != fmt.Sprintf("header 200, write %d", len(want)) {
		t.Errorf("events: %s", got)
	}
	if client.Body.String() != want || client.Header().Get("Content-Length") != strconv.Itoa(len(want)) {
		t.Errorf("%q %v", client.Body, client.Header())
	}
}

// TestPausingApp: what an app wrote before a pause reaches the client during the
// pause, though nobody flushed.
//
// Promise 5: "Memory for a rewritten response is bounded, the first byte is not
// delayed."
func TestPausingApp(t *testing.T) {
	for _, encoding := range []string{"", "gzip"} {
		t.Run("encoding "+encoding, func(t *testing.T) {
			client := newEventWriter()
			w := newResponseWriter(client, 0, newTestPage(t))
			defer w.close()
			kept := w.Header() // handlers may keep the map
			kept.Set("Content-Type", "text/html")
			kept.Set("Trailer", "X-Sum")
			first, second := strings.Repeat(mediaImage, 50), strings.Repeat(mediaImage, 50)
			var body io.Writer = w
			if encoding != "" {
				kept.Set("Content-Encoding", encoding)
				zw := gzip.NewWriter(w)
				defer zw.Close()
				body = flushingWriter{zw}
			}
			if _, err := io.WriteString(body, first); err != nil {
				t.Fatal(err)
			}
			// Meanwhile the handler may touch the map that it kept.
			for done := false; !done; {
				kept.Set("X-Sum", "early")
				select {
				case <-client.wrote:
					done = true
				case <-time.After(10 * time.Millisecond):
				}
			}
			if _, err := io.WriteString(body, second); err != nil {
				t.Fatal(err)
			}
			if c, ok := body.(io.Closer); ok {
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
			}
			kept.Set("X-Sum", "42")
			if err := w.endBody(); err != nil {
				t.Fatal(err)
			}
			if err := w.release(); err != nil {
				t.Fatal(err)
			}
			if got := client.Body.String(); got != strings.Repeat(publicImage, 100) {
				t.Errorf("%d bytes", len(got))
			}
			if client.Header().Get("X-Sum") != "42" || client.Header().Get("Content-Length") != "" {
				t.Errorf("%v", client.Header())
			}
		})
	}
}

// flushingWriter compresses each write so that it can be decoded at once.
type flushingWriter struct{ *gzip.Writer }

func (w flushingWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err == nil {
		err = w.Writer.Flush()
	}
	return n, err
}

// TestUncommittedStaysLocal: a file that is on disk but not in the bucket keeps
// its local URL, and the page does not wait for it.
//
// Promise 3: "Pages never wait for the bucket. […] A URL whose object is not
// known to be committed stays as it is; the local URL always works."
func TestUncommittedStaysLocal(t *testing.T) {
	app := &pageApp{status: 200, header: map[string]string{"Content-Type": "text/html"}}
	s := newPageSite(t, app)
	mend := s.breakBucket()
	defer mend()
	s.writeUpload("b.jpg", "new")
	s.writeUpload("woocommerce_uploads/p.jpg", "private")
	app.body = mediaImage + `<img src="/wp-content/uploads/b.jpg"><img src="/wp-content/uploads/woocommerce_uploads/p.jpg"><img src="/wp-content/uploads/none.jpg">`
	begun := time.Now()
	a := s.get("/")
	if want := strings.Replace(app.body, mediaImage, publicImage, 1); a.body != want {
		t.Errorf("%s\nwant %s", a.body, want)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

// FuzzDecoder: no input hangs, panics, or gets more out than is allowed.
func FuzzDecoder(f *testing.F) {
	for i, encoding := range []string{"gzip", "br", "zstd"} {
		f.Add(byte(i), []byte(compress(f, encoding, "hello")), 3)
		f.Add(byte(i), []byte(compress(f, encoding, noise(5000))), 100)
	}
	f.Fuzz(func(t *testing.T, kind byte, input []byte, cut int) {
		written := 0
		d := newDecoder([]string{"gzip", "br", "zstd"}[kind%3], writerFunc(func(p []byte) (int, error) {
			written += len(p)
			return len(p), nil
		}))
		cut = max(0, min(cut, len(input)))
		for _, p := range [][]byte{input[:cut], input[cut:]} {
			if _, err := d.Write(p); err != nil {
				break
			}
		}
		_ = d.Close()
		d.abort()
		if written > maxDecoded+maxRatio*(len(input)+1) {
			t.Errorf("%d bytes came out of %d", written, len(input))
		}
	})
}

// BenchmarkPage is what the writer adds to a page of 20 KB.
func BenchmarkPage(b *testing.B) {
	text := []byte(strings.Repeat("<p>some text</p>", 1200) + mediaImage)
	p := newTestPage(b)
	for name, wrapped := range map[string]bool{"pass": false, "rewrite": true} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				client := discardWriter{header: http.Header{}}
				client.header["Content-Type"] = []string{"text/html"}
				one := *p
				var in *page
				if wrapped {
					in = &one
				}
				w := newResponseWriter(client, 0, in)
				for part := text; len(part) > 0; {
					n := min(len(part), 8<<10)
					_, _ = w.Write(part[:n])
					part = part[n:]
				}
				_ = w.endBody()
				_ = w.release()
				w.close()
			}
		})
	}
}

type discardWriter struct{ header http.Header }

func (w discardWriter) Header() http.Header         { return w.header }
func (w discardWriter) WriteHeader(int)             {}
func (w discardWriter) Write(p []byte) (int, error) { return len(p), nil }
