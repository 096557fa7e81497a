package caddymodule

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
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
