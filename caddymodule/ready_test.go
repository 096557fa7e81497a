package caddymodule

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// TestNamesOneAfterAnother sends every kind of upload while another request with
// that name runs: the app must not have the whole of it before that one has
// ended. One with another name does not wait.
//
// Promise 6: "Before PHP runs for an upload, the node has caught up with the
// change log, so that the app's own check whether a name is taken (file_exists,
// scandir) is right."
func TestNamesOneAfterAnother(t *testing.T) {
	for _, u := range uploads(t) {
		t.Run(u.name, func(t *testing.T) {
			m := newMeeting("1")
			s := newTestSite(t, m.serve)
			s.usePreset(u.preset)
			if u.name == "small" || u.name == "expecting 100" {
				s.handler["public_url"] = publicTestURL // reads the head itself
			}
			clients := s.useTLS(t)
			s.start()
			for version, client := range clients {
				first := s.send(client, upload{method: "PUT", path: "/files/photo.jpg", body: "x"}, "1")
				wantNext(t, version, m.arrived, "1")
				wantNext(t, version, m.read, "1")
				second := s.send(client, u, "2")
				if u.inTime {
					wantNext(t, version, m.arrived, "2")
				}
				other := s.send(client, upload{method: "PUT", path: "/files/other.jpg", body: "x"}, "3")
				wantNext(t, version, m.arrived, "3")
				wantNext(t, version, m.read, "3")
				if a := <-other; a.StatusCode != http.StatusOK {
					t.Errorf("%s: other name: %d, %v", version, a.StatusCode, a.err)
				}
				select {
				case <-m.arrived:
					t.Errorf("%s: forwarded while the first still ran", version)
				case <-m.read:
					t.Errorf("%s: the app had the whole of it while the first still ran", version)
				case a := <-second:
					t.Fatalf("%s: answered %d %q, %v", version, a.StatusCode, a.body, a.err)
				case <-time.After(100 * time.Millisecond): // nothing tells that something does not happen
				}
				m.leave["1"] <- struct{}{} // lets one go
				if a := <-first; a.StatusCode != http.StatusOK {
					t.Errorf("%s: first: %d, %v", version, a.StatusCode, a.err)
				}
				if !u.inTime {
					wantNext(t, version, m.arrived, "2")
				}
				wantNext(t, version, m.read, "2")
				if a := <-second; a.StatusCode != http.StatusOK || a.err != nil || a.body != fmt.Sprintf("%d bytes", len(u.body)) {
					t.Errorf("%s: second: %d %q, %v", version, a.StatusCode, a.body, a.err)
				}
			}
		})
	}
}

// TestNotReady: another request keeps the name for longer than an upload may
// wait. By on_failure it goes on, or is refused before the app has all of it,
// whatever leads to the app.
func TestNotReady(t *testing.T) {
	lateType, late := multipartUpload(t, repeat("x", 32<<10), 300_000)
	first := upload{method: "PUT", path: "/files/photo.jpg", body: "x"}
	for _, u := range []upload{
		{name: "end held", method: "POST", path: "/up", header: []string{"Content-Type", lateType}, body: late},
		{name: "not forwarded", method: "DELETE", path: "/files/photo.jpg"},
	} {
		for _, way := range []string{"handler", "reverse_proxy", "php_fastcgi"} {
			for _, onFailure := range []string{onFailurePass, onFailureReject} {
				t.Run(u.name+"/"+way+"/"+onFailure, func(t *testing.T) {
					m := newMeeting("1")
					s := newTestSite(t, m.serve)
					s.after = upstream(t, way, m)
					s.handler["on_failure"] = onFailure
					s.handler["ready_wait"] = "1s"
					s.handler["local"] = "own" // nothing but the other request is waited for
					s.start()
					holder := s.send(s.client, first, "1")
					wantNext(t, "first", m.read, "1")
					for range 2 { // the second time on a connection that has seen it
						a := <-s.send(s.client, u, "2")
						if onFailure == onFailurePass {
							if a.StatusCode != http.StatusOK || a.body != fmt.Sprintf("%d bytes", len(u.body)) {
								t.Errorf("%d %q, %v", a.StatusCode, a.body, a.err)
							}
							wantNext(t, "passed", m.read, "2")
							continue
						}
						if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") != "5" || a.err != nil {
							t.Errorf("%d %v %q, %v", a.StatusCode, a.Header, a.body, a.err)
						}
						if len(m.read) > 0 {
							t.Error("the app had all of it")
						}
					}
					close(m.leave["1"])
					if a := <-holder; a.StatusCode != http.StatusOK {
						t.Errorf("first: %d %q", a.StatusCode, a.body)
					}
					if a := <-s.send(s.client, u, "2"); a.StatusCode != http.StatusOK {
						t.Errorf("after that: %d %q, %v", a.StatusCode, a.body, a.err)
					}
				})
			}
		}
	}
}

// upstream returns the handlers that lead to m as an app of its own.
func upstream(t *testing.T, way string, m *meeting) []map[string]any {
	t.Helper()
	var address string
	proxy := map[string]any{
		"handler": "reverse_proxy",
		// A failure that counts would make the upstream be left alone.
		"health_checks": map[string]any{"passive": map[string]any{"fail_duration": "1m", "max_fails": 1}},
	}
	switch way {
	case "handler":
		return nil
	case "reverse_proxy":
		server := httptest.NewServer(m)
		t.Cleanup(server.Close)
		address = server.Listener.Addr().String()
		proxy["transport"] = map[string]any{"protocol": "http", "keep_alive": map[string]any{"enabled": false}}
	case "php_fastcgi":
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		go func() { _ = fcgi.Serve(listener, m) }()
		address = listener.Addr().String()
		proxy["transport"] = map[string]any{"protocol": "fastcgi", "root": t.TempDir(), "split_path": []string{".php"}}
	}
	proxy["upstreams"] = []any{map[string]any{"dial": address}}
	return []map[string]any{proxy}
}

// TestOrdinaryRequestsGoOn: what brings no file is not refused, although the
// engine is never ready in time: admin pages, logins, comments.
func TestOrdinaryRequestsGoOn(t *testing.T) {
	s := newTestSite(t, func(w http.ResponseWriter, r *http.Request) error {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return err
		}
		_, err := io.WriteString(w, "page")
		return err
	})
	s.handler["on_failure"] = onFailureReject
	s.handler["ready_wait"] = 1 // nanosecond
	s.start()
	for _, r := range [][2]string{{"GET", "/wp-admin/upload.php"}, {"POST", "/wp-login.php"}, {"POST", "/wp-comments-post.php"}} {
		body := ""
		if r[0] == "POST" {
			body = "log=admin"
		}
		if a := s.do(r[0], r[1], body, "Content-Type", formType); a.StatusCode != http.StatusOK {
			t.Errorf("%s %s: %d", r[0], r[1], a.StatusCode)
		}
	}
	if a := s.do("DELETE", "/wp-json/wp/v2/media/12", ""); a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("DELETE: %d", a.StatusCode)
	}
}

// TestClientGoneWhileWaiting: the app never sees an upload whose client left
// while it waited.
func TestClientGoneWhileWaiting(t *testing.T) {
	m := newMeeting("1")
	s := newTestSite(t, m.serve)
	s.start()
	first := s.send(s.client, upload{method: "PUT", path: "/files/photo.jpg", body: "x"}, "1")
	wantNext(t, "first", m.read, "1")
	client := &http.Client{Timeout: 200 * time.Millisecond}
	contentType, body := multipartUpload(t, "", 100)
	if a := <-s.send(client, upload{method: "POST", path: "/up", header: []string{"Content-Type", contentType}, body: body}, "2"); a.err == nil {
		t.Errorf("%d", a.StatusCode)
	}
	client.CloseIdleConnections()
	leave := sync.OnceFunc(func() { close(m.leave["1"]) })
	defer leave()
	eventually(t, "the end of waiting", func() bool { return theEngine(t).turnout.Bringing("photo") == 1 })
	leave()
	if a := <-first; a.StatusCode != http.StatusOK {
		t.Errorf("%d", a.StatusCode)
	}
	if a := <-s.send(s.client, upload{method: "PUT", path: "/files/photo.jpg", body: "x"}, "3"); a.StatusCode != http.StatusOK {
		t.Errorf("after that: %d", a.StatusCode)
	}
	if len(m.arrived) != 2 {
		t.Errorf("%d requests reached the app", len(m.arrived))
	}
}

// TestReadyInAccessLog: the wait is in the access log.
func TestReadyInAccessLog(t *testing.T) {
	m := newMeeting("1")
	s := newTestSite(t, m.serve)
	s.handler["ready_wait"] = "100ms"
	s.logFile = t.TempDir() + "/access.log"
	s.server["logs"] = map[string]any{}
	s.start()
	first := s.send(s.client, upload{method: "PUT", path: "/files/photo.jpg", body: "x"}, "1")
	wantNext(t, "first", m.read, "1")
	<-s.send(s.client, upload{method: "PUT", path: "/files/photo.jpg", body: "x"}, "2")
	close(m.leave["1"])
	<-first
	if err := caddy.Stop(); err != nil { // writes the log out
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.logFile)
	if err != nil {
		t.Fatal(err)
	}
	// In seconds: most of ready_wait, of which a little passes before.
	found := regexp.MustCompile(`"media_offload_ready":([0-9.]+)`).FindSubmatch(text)
	if found == nil {
		t.Fatalf("%s", text)
	}
	if waited, err := strconv.ParseFloat(string(found[1]), 64); err != nil || waited <= 0 {
		t.Errorf("it waited %s, %v", found[1], err)
	}
}

// readiness is the health answer.
type readiness struct{ Reads, Uploads, Guest bool }

// TestHealth: what a load balancer is told.
func TestHealth(t *testing.T) {
	var s *testSite
	s = newTestSite(t, uploadApp(&s, notFound))
	s.handler["health"] = "/media-offload/health"
	s.start()
	s.upload(map[string]string{"a.jpg": "content"})
	ask := func(query string) (int, readiness) {
		a := s.get("/media-offload/health" + query)
		var ready readiness
		if err := json.Unmarshal([]byte(a.body), &ready); err != nil || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %q, %v, %v", query, a.body, a.Header, err)
		}
		return a.StatusCode, ready
	}
	want := func(query string, status int, uploads bool) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d for %q", status, query), func() bool {
			got, ready := ask(query)
			return got == status && ready == readiness{Reads: true, Uploads: uploads}
		})
	}
	want("", http.StatusOK, true)
	want("?for=uploads", http.StatusOK, true)
	mend := s.breakBucket()
	s.writeUpload("b.jpg", "content")
	want("?for=uploads", http.StatusServiceUnavailable, false)
	want("?for=reads", http.StatusOK, false)
	mend()
	want("?for=uploads", http.StatusOK, true)
	if a := s.do(http.MethodHead, "/media-offload/health", ""); a.StatusCode != http.StatusOK || a.body != "" {
		t.Errorf("HEAD: %d %q", a.StatusCode, a.body)
	}
	for _, r := range [][2]string{{"POST", "/media-offload/health"}, {"GET", "/media-offload/health/"}, {"GET", "/media-offload"}} {
		if a := s.do(r[0], r[1], ""); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s %s: %d", r[0], r[1], a.StatusCode)
		}
	}
}
