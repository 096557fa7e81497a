package web

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/media-offload/caddy-media-offload/rewrite"
)

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
	w.mu.Lock()
	n, err := w.ResponseRecorder.Write(p)
	w.mu.Unlock()
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
	changes := func() uint64 { return 0 }
	return &page{
		rewriter: rewriter, memory: newPageMemory(changes), validators: newValidators(changes),
		info: rewrite.Page{Scheme: "http", Host: "site.test", Path: "/"}, uri: &url.URL{Path: "/"}, method: http.MethodGet,
	}
}

// TestSmallPageInOneWrite: a page that the app writes in pieces leaves whole.
func TestSmallPageInOneWrite(t *testing.T) {
	client := newEventWriter()
	w := newResponseWriter(client, holding{}, newTestPage(t))
	defer w.close()
	w.Header().Set("Content-Type", "text/html")
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
			w := newResponseWriter(client, holding{}, newTestPage(t))
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

// TestLargeBuffersAreDropped: what one large answer took is not kept for others.
func TestLargeBuffersAreDropped(t *testing.T) {
	const size = 20 << 20
	for range 8 {
		w := newResponseWriter(newEventWriter(), holding{buffer: size}, nil)
		if _, err := w.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if err := w.endBody(); err != nil {
			t.Fatal(err)
		}
		if err := w.release(); err != nil {
			t.Fatal(err)
		}
		w.close()
		if buf := bufferPool.Get().(*bytes.Buffer); buf.Cap() > maxPooled {
			t.Fatalf("the pool has a buffer of %d bytes", buf.Cap())
		}
	}
}
