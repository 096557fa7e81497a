package caddymodule

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/web"
)

// slowUpload is a request whose body the test sends bit by bit.
type slowUpload struct {
	t    testing.TB
	conn net.Conn
	rest []byte
}

// beginUpload sends the header of an upload and the first bytes of its body.
func (s *testSite) beginUpload(node string, u upload, first int) *slowUpload {
	s.t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(s.t.Context(), "tcp", s.address())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		s.t.Fatal(err)
	}
	fmt.Fprintf(conn, "%s %s?id=%s HTTP/1.1\r\nHost: x\r\nX-Node: %s\r\nContent-Length: %d\r\n", u.method, u.path, u.name, node, len(u.body))
	for i := 0; i < len(u.header); i += 2 {
		fmt.Fprintf(conn, "%s: %s\r\n", u.header[i], u.header[i+1])
	}
	fmt.Fprint(conn, "\r\n")
	slow := &slowUpload{t: s.t, conn: conn, rest: []byte(u.body)}
	slow.send(first)
	return slow
}

// send sends the next bytes.
func (u *slowUpload) send(n int) {
	u.t.Helper()
	if _, err := u.conn.Write(u.rest[:n]); err != nil {
		u.t.Fatal(err)
	}
	u.rest = u.rest[n:]
}

// finish sends what is left and returns the answer.
func (u *slowUpload) finish() (status int, body string) {
	u.t.Helper()
	u.send(len(u.rest))
	return u.answer()
}

// answer returns the answer.
func (u *slowUpload) answer() (status int, body string) {
	u.t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(u.conn), nil)
	if err != nil {
		u.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		u.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// brought waits until that many requests bring a name, on all engines together.
func brought(t *testing.T, stem string, want int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d requests for %s", want, stem), func() bool {
		got := 0
		for _, e := range liveEngines() {
			got += e.turnout.Bringing(stem)
		}
		return got == want
	})
}

// TestSlowBodiesKeepNoName: uploads whose bodies hardly come, on the same server or
// another, keep their name from none that is there; not from one by one, with however
// many they are. When they are there at last, they get names of their own: the app
// sees what others wrote meanwhile.
//
// Promise 6: "Before PHP runs for an upload, the node has caught up with the change
// log, so that the app's own check whether a name is taken (file_exists, scandir) is
// right."
func TestSlowBodiesKeepNoName(t *testing.T) {
	const many = 8
	for _, method := range []string{"POST", "PUT", "PATCH"} {
		t.Run(method, func(t *testing.T) {
			s := newTwoNodes(t)
			for _, site := range s.nodes {
				site.handler["on_failure"] = onFailureReject // a name that is not free in time shows
				site.handler["ready_wait"] = "10s"
				site.handler["slow_body_after"] = "1h" // nobody is sent away for that
			}
			s.start()
			contentType, body := multipartUpload(t, "", 100_000) // photo
			u := upload{name: "slow", method: method, path: "/files/photo.jpg", header: []string{"Content-Type", contentType}, body: body}
			var slow []*slowUpload
			for i := range many {
				slow = append(slow, s.beginUpload([]string{"", "other"}[i%2], u, 1000))
			}
			brought(t, "photo", many)
			names := make(map[string]bool)
			for _, node := range []string{"", "other"} {
				for _, quick := range []string{"POST", "PUT"} {
					name, err := s.through(node, quick, "/files/photo.jpg", contentType, strings.NewReader(body))
					if err != nil || names[name] {
						t.Fatalf("%s through %q: %q, %v", quick, node, name, err)
					}
					names[name] = true
					for _, u := range slow {
						u.send(1)
					}
				}
			}
			for _, u := range slow {
				u.send(len(u.rest))
			}
			for _, u := range slow {
				status, name := u.answer()
				if status != http.StatusOK || names[name] {
					t.Errorf("a slow one: %d %q", status, name)
				}
				names[name] = true
			}
			for _, e := range liveEngines() {
				if stats := e.engine.Stats(); stats.Conflicts != 0 {
					t.Errorf("%s: %d conflicts", e.site, stats.Conflicts)
				}
			}
		})
	}
}

// TestSlowBodyOfAnAppAtWork: an app may choose a name by the header of a PUT that is too
// long to be gathered. A body that comes too slowly then loses the name, to those who want
// it; the request is refused if there were any, and goes on if there were none.
func TestSlowBodyOfAnAppAtWork(t *testing.T) {
	for _, onFailure := range []string{onFailurePass, onFailureReject} {
		for _, others := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s, %d others", onFailure, others), func(t *testing.T) {
				m := newMeeting()
				s := newTestSite(t, m.serve)
				s.handler["slow_body"] = 1 << 30
				s.handler["slow_body_after"] = "100ms"
				s.handler["on_failure"] = onFailure
				s.start()
				slow := s.beginUpload("", upload{name: "slow", method: "PUT", path: "/files/photo.jpg", body: repeat("x", web.GatherLimit+1000)}, web.GatherLimit+10)
				wantNext(t, "slow", m.arrived, "slow")
				for range others {
					a := <-s.send(s.client, upload{method: "PUT", path: "/files/photo.jpg", body: "y"}, "quick")
					if a.StatusCode != http.StatusOK || a.err != nil {
						t.Fatalf("quick: %d, %v", a.StatusCode, a.err)
					}
					wantNext(t, "quick", m.read, "quick")
				}
				want := http.StatusOK
				if others > 0 {
					want = http.StatusServiceUnavailable
				} else {
					eventually(t, "the loss of the name", func() bool { return strings.Contains(s.lease(), `"free"`) })
				}
				if status, body := slow.finish(); status != want {
					t.Errorf("%d %q", status, body)
				}
			})
		}
	}
}

// TestBodyThatIsForwardedAsItComes: of a request whose body the app gets as it comes the
// end cannot be waited for. It keeps its name from nobody.
func TestBodyThatIsForwardedAsItComes(t *testing.T) {
	for _, method := range []string{"POST", "PUT"} {
		t.Run(method, func(t *testing.T) {
			m := newMeeting()
			s := newTestSite(t, m.serve)
			s.handler["on_failure"], s.handler["ready_wait"], s.handler["slow_body_after"] = onFailureReject, "10s", "1h"
			s.start()
			slow := s.beginUpload("", upload{
				name: "slow", method: method, path: "/files/photo.jpg", body: repeat("x", 1000),
				header: []string{"Incremental", "?1", "Content-Disposition", `attachment; filename="photo.jpg"`},
			}, 10)
			wantNext(t, "slow", m.arrived, "slow")
			a := <-s.send(s.client, upload{method: "PUT", path: "/files/photo.jpg", body: "y"}, "quick")
			if a.StatusCode != http.StatusOK || a.err != nil {
				t.Fatalf("quick: %d, %v", a.StatusCode, a.err)
			}
			if status, body := slow.finish(); status != http.StatusOK || body != "1000 bytes" {
				t.Errorf("%d %q", status, body)
			}
		})
	}
}

// TestAnswerThatNobodyReads: who does not read the answer keeps the name from nobody.
func TestAnswerThatNobodyReads(t *testing.T) {
	const size = 32 << 20 // more than sockets take
	s := newTestSite(t, func(w http.ResponseWriter, r *http.Request) error {
		if _, err := io.Copy(io.Discard, r.Body); err != nil || r.URL.Query().Get("id") != "deaf" {
			return err
		}
		_, err := w.Write(make([]byte, size))
		return err
	})
	s.handler["hold_buffer"] = 2 * size
	s.start()
	deaf := s.beginUpload("", upload{name: "deaf", method: "PUT", path: "/files/photo.jpg", body: "x"}, 1)
	if _, err := http.ReadResponse(bufio.NewReaderSize(deaf.conn, 16), nil); err != nil {
		t.Fatal(err)
	}
	a := <-s.send(s.client, upload{method: "PUT", path: "/files/photo.jpg", body: "y"}, "quick")
	if a.StatusCode != http.StatusOK || a.err != nil {
		t.Errorf("%d, %v", a.StatusCode, a.err)
	}
}

// lease is the content of the only lease object in the bucket, "" if there is none.
func (s *testSite) lease() string {
	s.t.Helper()
	names, err := filepath.Glob(filepath.Join(s.bucket, "offload", "lease", "*"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, name := range names {
		if text, err := os.ReadFile(name); err == nil {
			return string(text)
		}
	}
	return ""
}

// TestUploadsPerClient: however many uploads of a name one client has under way,
// another's follows after a few of them.
func TestUploadsPerClient(t *testing.T) {
	const limit, many = 2, 8
	m := newMeeting("crowd")
	s := newTestSite(t, m.serve)
	s.handler["uploads_per_client"] = limit
	s.server["trusted_proxies"] = map[string]any{"source": "static", "ranges": []string{"127.0.0.0/8"}}
	s.start()
	put := upload{method: "PUT", path: "/files/photo.jpg", body: "x"}
	put.header = []string{"X-Forwarded-For", "2001:db8::1"}
	var answers []<-chan answer
	for i := range many {
		put.header = []string{"X-Forwarded-For", fmt.Sprintf("2001:db8::%x", i+1)} // one network
		answers = append(answers, s.send(s.client, put, "crowd"))
	}
	brought(t, "photo", many)
	put.header = []string{"X-Forwarded-For", "2001:db8:0:1::1"}
	answers = append(answers, s.send(s.client, put, "honest"))
	brought(t, "photo", many+1)
	before := 0
	for id := ""; id != "honest"; {
		select {
		case id = <-m.read:
		case <-time.After(longest):
			t.Fatal("nobody has his turn")
		}
		if id == "crowd" {
			before++
			m.leave[id] <- struct{}{}
		}
	}
	if before > limit+1 { // one may have been on its way out
		t.Errorf("it came after %d of the others", before)
	}
	close(m.leave["crowd"])
	for _, a := range answers {
		if a := <-a; a.StatusCode != http.StatusOK {
			t.Errorf("%d, %v", a.StatusCode, a.err)
		}
	}
}
