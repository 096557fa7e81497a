package caddymodule

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/sys/unix"
)

// breakBucket makes every access to the bucket fail until mend is called.
func (s *testSite) breakBucket() (mend func()) {
	s.t.Helper()
	away := s.bucket + ".away"
	if err := os.WriteFile(away, nil, 0o644); err != nil {
		s.t.Fatal(err)
	}
	// Swapped in one step: in a moment without either, the store would make the
	// directory anew.
	swap := func() {
		s.t.Helper()
		if err := unix.Renameat2(unix.AT_FDCWD, s.bucket, unix.AT_FDCWD, away, unix.RENAME_EXCHANGE); err != nil {
			s.t.Fatal(err)
		}
	}
	swap()
	return func() {
		s.t.Helper()
		swap()
		if err := os.Remove(away); err != nil {
			s.t.Fatal(err)
		}
	}
}

// newHoldSite makes a site whose app writes a file named by the path and answers
// with size bytes.
func newHoldSite(t *testing.T, size int, change func(s *testSite)) *testSite {
	t.Helper()
	var s *testSite
	s = newTestSite(t, uploadApp(&s, func(w http.ResponseWriter, r *http.Request) error {
		if r.URL.Path != "/retry" {
			s.writeUpload(strings.TrimPrefix(r.URL.Path, "/"), "content")
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", fmt.Sprint(size))
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("X-Wp-Upload-Attachment-Id", "42")
		w.WriteHeader(http.StatusCreated)
		_, err := io.WriteString(w, repeat("x", size))
		return err
	}))
	s.handler["hold_buffer"] = 64 << 10
	change(s)
	s.start()
	s.upload(map[string]string{"first.jpg": "content"}) // makes the bucket
	return s
}

// TestHoldPass: the bucket does not answer in time; the client gets the app's
// answer, and the file is committed when the bucket is back.
//
// Promise 2: "Nothing is lost. No failure of the bucket, the network or the
// node […] loses a file that the app has on disk: it is committed after
// recovery, without anyone's help."
func TestHoldPass(t *testing.T) {
	for _, size := range []int{100, 300_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := newHoldSite(t, size, func(s *testSite) { s.handler["hold"] = "2s" })
			mend := s.breakBucket()
			begun := time.Now()
			a := s.do(http.MethodPost, "/a.jpg", "")
			if a.StatusCode != http.StatusCreated || len(a.body) != size || a.err != nil {
				t.Errorf("%d, %d bytes, %v", a.StatusCode, len(a.body), a.err)
			}
			if held := time.Since(begun); held < 200*time.Millisecond {
				t.Errorf("held for %s only", held)
			}
			mend()
			eventually(t, "commit after recovery", func() bool {
				text, err := s.object("media/a.jpg")
				return err == nil && text == "content"
			})
		})
	}
}

// TestHoldReject: the client gets a 503 in place of the app's answer, its retry
// waits for the files of the first try, and once the bucket is back all is
// committed.
func TestHoldReject(t *testing.T) {
	s := newHoldSite(t, 100, func(s *testSite) {
		s.handler["hold"] = "2s"
		s.handler["on_failure"] = "reject"
	})
	mend := s.breakBucket()
	a := s.do(http.MethodPost, "/a.jpg", "")
	if a.StatusCode != http.StatusServiceUnavailable || strings.Contains(a.body, "x") {
		t.Errorf("%d %q", a.StatusCode, a.body)
	}
	for name, want := range map[string]string{
		"Retry-After": "5", "X-Wp-Upload-Attachment-Id": "42", "Set-Cookie": "", "Content-Type": "",
	} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if a := s.do(http.MethodPost, "/retry", ""); a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the retry, which writes nothing, was told %d", a.StatusCode)
	}
	if a := s.do(http.MethodPost, "/retry", "", "User-Agent", "someone else"); a.StatusCode != http.StatusCreated {
		t.Errorf("someone else was told %d", a.StatusCode)
	}
	mend()
	eventually(t, "commit after recovery", func() bool {
		_, err := s.object("media/a.jpg")
		return err == nil
	})
	if a := s.do(http.MethodPost, "/retry", ""); a.StatusCode != http.StatusCreated {
		t.Errorf("the retry after recovery was told %d", a.StatusCode)
	}
}

// TestCollisionIsNoSuccess: another server has stored another file under the name
// that the app gave. Behind the name is that one's picture, so that the client is
// told a failure, whatever on_failure says, and does not ask for what the app has
// made.
func TestCollisionIsNoSuccess(t *testing.T) {
	for _, onFailure := range []string{"pass", "reject"} {
		t.Run(onFailure, func(t *testing.T) {
			s := newHoldSite(t, 100, func(s *testSite) { s.handler["on_failure"] = onFailure })
			// Where no lease could keep the two apart: the request does not tell
			// the name.
			if err := os.WriteFile(filepath.Join(s.bucket, "media", "a.jpg"), []byte("another picture"), 0o644); err != nil {
				t.Fatal(err)
			}
			a := s.do(http.MethodPost, "/a.jpg", "")
			if a.StatusCode != http.StatusServiceUnavailable || strings.Contains(a.body, "x") {
				t.Errorf("%d %q", a.StatusCode, a.body)
			}
			if id := a.Header.Get("X-Wp-Upload-Attachment-Id"); id != "" {
				t.Errorf("the client may ask for attachment %s", id)
			}
			if a := s.do(http.MethodPost, "/retry", ""); a.StatusCode != http.StatusCreated {
				t.Errorf("the client's next request was told %d", a.StatusCode)
			}
		})
	}
}

// TestHoldRejectTooLate: part of the answer is out when the time is over; the
// client must see that it is not whole.
func TestHoldRejectTooLate(t *testing.T) {
	s := newHoldSite(t, 300_000, func(s *testSite) {
		s.handler["hold"] = "2s"
		s.handler["on_failure"] = "reject"
	})
	mend := s.breakBucket()
	defer mend()
	a := s.do(http.MethodPost, "/a.jpg", "")
	if a.err == nil {
		t.Errorf("%d, %d bytes without an error", a.StatusCode, len(a.body))
	}
}

// TestHoldKeepsTheEnd: an answer larger than the hold buffer is streamed, but
// its end is not out before the commit.
//
// Promise 1: "Durable before visible. When the client has the last byte of the
// answer to a request […] wrote media, every file […] is committed."
func TestHoldKeepsTheEnd(t *testing.T) {
	const size = 300_000
	s := newHoldSite(t, size, func(*testSite) {})
	mend := s.breakBucket()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url("/a.jpg"), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body := bufio.NewReader(response.Body)
	if _, err := io.CopyN(io.Discard, body, size/2); err != nil {
		t.Fatal(err)
	}
	if _, err := s.object("media/a.jpg"); err == nil {
		t.Fatal("the broken bucket took a file")
	}
	mend()
	if rest, err := io.Copy(io.Discard, body); err != nil || rest != size-size/2 {
		t.Fatalf("%d more bytes, %v", rest, err)
	}
	if text, err := s.object("media/a.jpg"); err != nil || text != "content" {
		t.Errorf("the last byte was out before the commit: %q, %v", text, err)
	}
}

// TestHoldWithoutBody: the header of an answer without a body is held, too.
func TestHoldWithoutBody(t *testing.T) {
	var s *testSite
	s = newTestSite(t, uploadApp(&s, func(w http.ResponseWriter, r *http.Request) error {
		s.writeUpload("2026/"+strings.TrimPrefix(r.URL.Path, "/"), repeat("content", 1<<20))
		switch r.Method {
		case http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		case http.MethodPost:
			w.Header().Set("Location", "/wp-admin/upload.php")
			w.WriteHeader(http.StatusFound)
		}
		return nil // PUT: an implicit 200
	}))
	s.start()
	for method, status := range map[string]int{
		http.MethodDelete: http.StatusNoContent, http.MethodPost: http.StatusFound, http.MethodPut: http.StatusOK,
	} {
		a := s.do(method, "/"+method+".jpg", "")
		if a.StatusCode != status {
			t.Errorf("%s: %d", method, a.StatusCode)
		}
		if _, err := s.object("media/2026/" + method + ".jpg"); err != nil {
			t.Errorf("%s: answered before the commit: %v", method, err)
		}
	}
}

// TestHoldOfErrors: an error answer waits as well: the app may have written
// before it failed.
func TestHoldOfErrors(t *testing.T) {
	var s *testSite
	s = newTestSite(t, uploadApp(&s, func(http.ResponseWriter, *http.Request) error {
		s.writeUpload("a.jpg", repeat("content", 1<<20))
		return errors.New("upstream died")
	}))
	s.start()
	if a := s.do(http.MethodPost, "/", ""); a.StatusCode != http.StatusInternalServerError {
		t.Errorf("%d", a.StatusCode)
	}
	if _, err := s.object("media/a.jpg"); err != nil {
		t.Errorf("answered before the commit: %v", err)
	}
}

// TestGetThatDeletes: WordPress' list view deletes by a GET link.
func TestGetThatDeletes(t *testing.T) {
	var s *testSite
	s = newTestSite(t, uploadApp(&s, func(w http.ResponseWriter, _ *http.Request) error {
		if err := os.Remove(s.uploads + "/a.jpg"); err != nil {
			return err
		}
		w.Header().Set("Location", "/wp-admin/upload.php")
		w.WriteHeader(http.StatusFound)
		return nil
	}))
	s.handler["deletes"] = "requests"
	s.start()
	s.upload(map[string]string{"a.jpg": "content"})
	if a := s.get("/wp-admin/post.php?action=delete&post=7&_wpnonce=x"); a.StatusCode != http.StatusFound {
		t.Fatalf("%d", a.StatusCode)
	}
	if _, err := s.object("media/a.jpg"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the object is still there when the answer is out: %v", err)
	}
}

// TestBucketAwayAtStart: the site is served all the same.
func TestBucketAwayAtStart(t *testing.T) {
	var s *testSite
	s = newTestSite(t, uploadApp(&s, html("<p>page</p>")))
	mount := s.bucket
	s.bucket = filepath.Join(mount, "bucket") // it is made, but not what it is in
	s.handler["bucket"] = map[string]any{"url": "file://" + s.bucket}
	s.handler["public_url"] = publicTestURL
	s.handler["hold"] = "2s"
	s.start()
	if a := s.get("/"); a.StatusCode != http.StatusOK || a.body != "<p>page</p>" {
		t.Errorf("page: %d %q", a.StatusCode, a.body)
	}
	a := s.do(http.MethodPost, "/upload", `{"a.jpg": "content"}`)
	if a.StatusCode != http.StatusOK {
		t.Errorf("upload: %d", a.StatusCode)
	}
	if err := os.Mkdir(mount, 0o755); err != nil {
		t.Fatal(err)
	}
	eventually(t, "commit after the bucket came", func() bool {
		_, err := s.object("media/a.jpg")
		return err == nil
	})
}

// TestClientGone: a client that does not wait for the answer changes nothing:
// what the app wrote is committed.
func TestClientGone(t *testing.T) {
	var s *testSite
	ctx, goAway := context.WithCancel(t.Context())
	s = newTestSite(t, uploadApp(&s, func(_ http.ResponseWriter, r *http.Request) error {
		goAway()
		<-r.Context().Done()
		s.writeUpload("a.jpg", "content")
		return r.Context().Err()
	}))
	s.start()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url("/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{}
	if _, err := client.Do(req); err == nil {
		t.Fatal("an answer came")
	}
	client.CloseIdleConnections()
	eventually(t, "commit", func() bool {
		_, err := s.object("media/a.jpg")
		return err == nil
	})
}

// TestAccessLog: the hold is in the access log.
func TestAccessLog(t *testing.T) {
	s := newHoldSite(t, 10, func(s *testSite) {
		s.handler["hold"] = "2s"
		s.logFile = s.t.TempDir() + "/access.log"
		s.server["logs"] = map[string]any{}
	})
	mend := s.breakBucket()
	defer mend()
	s.do(http.MethodPost, "/a.jpg", "")
	if err := caddy.Stop(); err != nil { // writes the log out
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.logFile)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"media_offload_hold":`) || !strings.Contains(string(text), `"media_offload_pending":1`) {
		t.Errorf("%s", text)
	}
}
