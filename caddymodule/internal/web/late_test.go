package web

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
)

// TestLateAnswer: what a held answer has so far leaves after the time for which it
// is held, then each flushed piece at once, but never the last byte, and the
// handler may go on using the header map.
func TestLateAnswer(t *testing.T) {
	for _, kind := range []string{"plain", "page", "gzip"} {
		t.Run(kind, func(t *testing.T) {
			client := newEventWriter()
			var p *page
			if kind != "plain" {
				p = newTestPage(t)
			}
			w := newResponseWriter(client, holding{buffer: 64 << 10, time: time.Millisecond}, p)
			defer w.close()
			kept := w.Header()
			kept.Set("Content-Type", "text/html")
			kept.Set("Trailer", "X-Sum")
			var body io.Writer = w
			if kind == "gzip" {
				kept.Set("Content-Encoding", "gzip")
				zw := gzip.NewWriter(w)
				defer zw.Close()
				body = flushingWriter{zw}
			}
			want := strings.Repeat(mediaImage, 2)
			if p != nil {
				want = strings.Repeat(publicImage, 2)
			}
			for _, size := range []int{len(want)/2 - 1, len(want) - 1} {
				if _, err := io.WriteString(body, mediaImage); err != nil {
					t.Fatal(err)
				}
				if err := w.FlushError(); err != nil {
					t.Fatal(err)
				}
				eventually(t, fmt.Sprintf("%d bytes", size), func() bool {
					kept.Set("X-Sum", "early")
					return client.size() == size
				})
			}
			kept.Set("X-Sum", "42")
			if c, ok := body.(io.Closer); ok {
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
			}
			w.noMore()
			if err := w.endBody(); err != nil {
				t.Fatal(err)
			}
			if got := client.size(); got != len(want)-1 {
				t.Errorf("%d bytes are out before the end, of %d", got, len(want))
			}
			if err := w.release(); err != nil {
				t.Fatal(err)
			}
			if got := client.Body.String(); got != want || client.Header().Get("X-Sum") != "42" {
				t.Errorf("%q %v", got, client.Header())
			}
		})
	}
}

// size is how much of the body the client has.
func (w *eventWriter) size() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Body.Len()
}

// TestLateHeaderThatIsAll: where the header is the whole answer, nothing leaves
// before the end, however long it takes and whatever the app writes.
func TestLateHeaderThatIsAll(t *testing.T) {
	for _, answer := range []struct {
		name   string
		head   bool
		status int
		length string
	}{{"HEAD", true, 200, ""}, {"no content", false, 204, ""}, {"empty", false, 200, "0"}} {
		t.Run(answer.name, func(t *testing.T) {
			client := newEventWriter()
			w := newResponseWriter(client, holding{buffer: 64 << 10, time: time.Nanosecond, head: answer.head}, nil)
			defer w.close()
			if answer.length != "" {
				w.Header().Set("Content-Length", answer.length)
			}
			w.WriteHeader(answer.status)
			if answer.head {
				if _, err := w.Write(make([]byte, 100<<10)); err != nil {
					t.Fatal(err)
				}
			}
			if w.timer != nil || !w.untouched() {
				t.Errorf("it does not wait for the end: %v", client.events)
			}
			if err := w.endBody(); err != nil {
				t.Fatal(err)
			}
			if err := w.release(); err != nil {
				t.Fatal(err)
			}
			if len(client.events) == 0 || client.events[0] != fmt.Sprint("header ", answer.status) {
				t.Errorf("%v", client.events)
			}
		})
	}
}
