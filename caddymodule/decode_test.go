package caddymodule

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
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
