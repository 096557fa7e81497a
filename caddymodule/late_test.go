package caddymodule

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
)

// dripApp writes a file, then a line whenever the test says so; the file that it
// writes before the last of them takes a while to store.
func dripApp(s **testSite, lines int, next <-chan struct{}) appFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", "text/html")
		for i := range lines {
			select {
			case <-next:
			case <-r.Context().Done():
				return r.Context().Err()
			}
			(*s).writeUpload(fmt.Sprintf("%d.jpg", i), repeat("content", 1<<20))
			if _, err := fmt.Fprintf(w, "line %d\n", i); err != nil {
				return err
			}
			if err := http.NewResponseController(w).Flush(); err != nil {
				return err
			}
		}
		return nil
	}
}

// drip sends a POST to an app of newDripSite and returns its answer's body when
// the first line is there: the app waits for the second call of next.
func (s *testSite) drip(next chan<- struct{}) *bufio.Reader {
	s.t.Helper()
	go func() { next <- struct{}{} }()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url("/import"), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { response.Body.Close() })
	if response.StatusCode != http.StatusOK {
		s.t.Fatalf("status %d", response.StatusCode)
	}
	body := bufio.NewReader(response.Body)
	wantBytes(s.t, body, "line 0")
	return body
}

func wantBytes(t testing.TB, body io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(body, got); err != nil || string(got) != want {
		t.Fatalf("%q, %v; want %q", got, err, want)
	}
}

// TestAnswerThatTakesLong: what an app sends for longer than hold reaches the
// client as it comes, each line before the app makes the next; the end waits.
//
// Promise 1: "Durable before visible. When the client has the last byte of the
// answer to a request that may write […] and wrote media, every file […] is
// committed."
func TestAnswerThatTakesLong(t *testing.T) {
	for _, mode := range []struct{ publicURL, onFailure string }{{"", "pass"}, {publicTestURL, "pass"}, {"", "reject"}} {
		t.Run(mode.publicURL+mode.onFailure, func(t *testing.T) {
			next := make(chan struct{})
			var s *testSite
			s = newTestSite(t, dripApp(&s, 3, next))
			s.handler["hold"] = "3s" // the wait for the store at the end, too
			s.handler["on_failure"] = mode.onFailure
			if mode.publicURL != "" {
				s.handler["public_url"] = mode.publicURL
			}
			s.start()
			body := s.drip(next)
			next <- struct{}{}
			wantBytes(t, body, "\nline 1")
			next <- struct{}{}
			wantBytes(t, body, "\nline 2\n")
			if text, err := s.object("media/2.jpg"); err != nil || len(text) != 1<<20 {
				t.Errorf("the last byte was out before the commit: %d bytes, %v", len(text), err)
			}
			if rest, err := io.ReadAll(body); err != nil || len(rest) > 0 {
				t.Errorf("%q, %v", rest, err)
			}
		})
	}
}

// TestAnswerThatTakesLongIsRejected: the header is out when it turns out that the
// bucket does not answer. As with an answer above the hold buffer, the client sees
// that it is not whole.
func TestAnswerThatTakesLongIsRejected(t *testing.T) {
	next := make(chan struct{})
	var s *testSite
	s = newTestSite(t, uploadApp(&s, dripApp(&s, 2, next)))
	s.handler["hold"] = "300ms"
	s.handler["on_failure"] = "reject"
	s.start()
	s.upload(map[string]string{"first.jpg": "content"}) // makes the bucket
	defer s.breakBucket()()
	body := s.drip(next)
	next <- struct{}{}
	if rest, err := io.ReadAll(body); err == nil || strings.Contains(string(rest), "line 1\n") {
		t.Errorf("%q, %v", rest, err)
	}
}

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
