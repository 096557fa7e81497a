package web

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// While the room for bodies is all taken, as by slow clients of many networks, no upload
// fails or waits for ever because of it: its body goes to the app as it comes.
//
// Promise 1: "When the client has the last byte of the answer to a request that may write
// […] every file that was written […] is committed".
func TestUploadsWhileThereIsNoRoomToGatherThem(t *testing.T) {
	site, docRoot := newTestSite(t)
	engine := newTestEngine(t, site)
	engine.Start()
	eventually(t, "the engine is ready", func() bool { _, uploads, _ := engine.Ready(); return uploads })
	h := newTestHandler(t, site, engine)
	h.config.SlowBodyAfter = 300 * time.Millisecond
	begun := make(chan string, 3)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h.ServeHTTP(w, r, nextFunc(func(w http.ResponseWriter, r *http.Request) error {
			begun <- r.Method
			content, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			writeFile(t, docRoot, fmt.Sprintf("%s-%d.jpg", r.Method, len(content)), "content")
			_, err = fmt.Fprintf(w, "%d bytes", len(content))
			return err
		}))
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	others := &share{of: &gathering}
	if !others.take(int(gathering.limit)) {
		t.Fatal("there is no room")
	}
	defer others.free()

	const multi = "multipart/form-data; boundary=x"
	form := func(size int) string {
		return "--x\r\nContent-Disposition: form-data; name=\"async-upload\"; filename=\"image.jpg\"\r\n\r\n" + strings.Repeat("j", size) + "\r\n--x--\r\n"
	}
	// send sends a body in two parts, the second when end is called, which returns the answer.
	send := func(method, path, body string, first int) (end func() string) {
		content, client := io.Pipe()
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, content)
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = int64(len(body))
		r.Header.Set("Content-Type", multi)
		answer := make(chan string, 1)
		go func() {
			response, err := server.Client().Do(r)
			if err != nil {
				answer <- err.Error()
				return
			}
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			answer <- fmt.Sprint(response.StatusCode, " ", strings.TrimSpace(string(text)), " ", err)
		}()
		rest := make(chan struct{})
		go func() {
			_, _ = io.WriteString(client, body[:first])
			<-rest
			_, _ = io.WriteString(client, body[first:])
			_ = client.Close()
		}()
		return func() string {
			close(rest)
			select {
			case got := <-answer:
				return got
			case <-time.After(longest):
				return "no answer"
			}
		}
	}
	want := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %s", what, got)
		}
	}

	large := form(300_000)
	slow := send(http.MethodPost, "/wp-admin/async-upload.php", large, 200_000)
	<-begun
	slowPut := send(http.MethodPut, "/dav/image.jpg", large, 200_000)
	<-begun
	start := time.Now()
	for _, size := range []int{10, 200_000} {
		whole := form(size)
		want("a POST", send(http.MethodPost, "/wp-admin/async-upload.php", whole, len(whole)-1)(), fmt.Sprintf("200 %d bytes <nil>", len(whole)))
		<-begun
	}
	if took := time.Since(start); took > h.config.ReadyWait/2 {
		t.Errorf("they took %s", took)
	}
	want("the slow POST", slow(), fmt.Sprintf("200 %d bytes <nil>", len(large)))
	if got := slowPut(); !strings.HasPrefix(got, "503 ") || !strings.Contains(got, errTaken.Error()) {
		t.Errorf("the slow PUT, whose name others had: %s", got)
	}
	want("a PUT", send(http.MethodPut, "/dav/image.jpg", form(100), 10)(), fmt.Sprintf("200 %d bytes <nil>", len(form(100))))
}
