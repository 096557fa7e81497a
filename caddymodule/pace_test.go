package caddymodule

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
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
			e.turnout.mu.Lock()
			got += e.turnout.stems[stem]
			e.turnout.mu.Unlock()
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
	s := newTwoNodes(t)
	for _, site := range s.nodes {
		site.handler["on_failure"] = onFailureReject // a name that is not free in time shows
		site.handler["ready_wait"] = "20s"
	}
	s.start()
	contentType, body := multipartUpload(t, "", 100_000) // photo
	u := upload{name: "slow", method: "POST", path: "/up", header: []string{"Content-Type", contentType}, body: body}
	var slow []*slowUpload
	for _, node := range []string{"", "other", ""} {
		slow = append(slow, s.beginUpload(node, u, 1000))
	}
	brought(t, "photo", len(slow))
	names := make(map[string]bool)
	for i, node := range []string{"", "other"} {
		name, err := s.uploadTo(node, "Photo (1).JPG", fmt.Sprint(i))
		if err != nil || names[name] {
			t.Fatalf("through %q: %q, %v", node, name, err)
		}
		names[name] = true
		for _, u := range slow {
			u.send(1)
		}
	}
	for _, u := range slow {
		status, name := u.finish()
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
}

// TestSlowBodyOfAnAppAtWork: an app may choose a name by the header of a PUT. A body
// that comes too slowly loses the name, to those who want it; the request is refused
// if there were any, and goes on if there were none.
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
				slow := s.beginUpload("", upload{name: "slow", method: "PUT", path: "/files/photo.jpg", body: repeat("x", 1000)}, 10)
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

// TestNetworkOf says who counts as one client: nobody, where it is most likely a
// load balancer that Caddy was not told of, and so all visitors.
func TestNetworkOf(t *testing.T) {
	for _, test := range []struct{ client, peer, want string }{
		{"192.0.2.1", "192.0.2.1:4711", "192.0.2.1"},
		{"::ffff:192.0.2.1", "[::ffff:192.0.2.1]:4711", "192.0.2.1"},
		{"2001:db8:1:2:3::4", "[2001:db8:1:2:3::4]:4711", "2001:db8:1:2::/64"},
		{"2001:db8:1:2:ffff::", "10.0.0.1:4711", "2001:db8:1:2::/64"},
		{"", "", ""}, {"@", "@", ""},

		{"10.0.0.1", "10.0.0.1:4711", ""}, {"192.168.1.2", "192.168.1.2:4711", ""},
		{"127.0.0.1", "127.0.0.1:4711", ""}, {"::1", "[::1]:4711", ""},
		{"::ffff:10.0.0.1", "[::ffff:10.0.0.1]:4711", ""}, {"fd00::1", "[fd00::1]:4711", ""},
		{"169.254.1.1", "169.254.1.1:4711", ""}, {"fe80::1", "[fe80::1%eth0]:4711", ""},

		// A proxy that is trusted says who it is, also in an intranet.
		{"192.168.1.2", "10.0.0.1:4711", "192.168.1.2"}, {"fe80::1", "[fe80::2%eth0]:4711", "fe80::/64"},
		{"192.168.1.2", "@", "192.168.1.2"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		vars := map[string]any{caddyhttp.ClientIPVarKey: test.client}
		r = r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, vars))
		r.RemoteAddr = test.peer
		if got := networkOf(r); got != test.want {
			t.Errorf("%s from %s counts as %q, want %q", test.client, test.peer, got, test.want)
		}
	}
}

// TestPacedBody: a body is slow by what its client sends, not by what the app takes.
func TestPacedBody(t *testing.T) {
	for _, test := range []struct {
		name        string
		client, app time.Duration // for each of ten pieces of 100 bytes
		perSecond   int64
		slow        bool
	}{
		{"quick", 0, 0, 100, false},
		{"as fast as it must", time.Second, 0, 49, false},
		{"too slow", time.Second, 0, 110, true},
		{"slow app", 10 * time.Millisecond, 10 * time.Second, 1000, false},
		{"nothing comes", time.Hour, 0, 1, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var slow atomic.Int64
				source := iotest.OneByteReader(bytes.NewReader(make([]byte, 10)))
				pieces := readerFunc(func(p []byte) (int, error) {
					time.Sleep(test.client)
					if _, err := source.Read(p[:1]); err != nil {
						return 0, err
					}
					return 100, nil
				})
				b := newPacedBody(io.NopCloser(pieces), test.perSecond, 2*time.Second, func() { slow.Add(1) })
				defer b.end()
				buf := make([]byte, 100)
				for {
					if _, err := b.Read(buf); err != nil {
						break
					}
					time.Sleep(test.app)
				}
				if got := slow.Load(); got > 1 || (got == 1) != test.slow {
					t.Errorf("told %d times", got)
				}
				time.Sleep(time.Hour) // no timer is left
			})
		})
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestSoonBody: the end of a body is told once, about a second before it is there.
func TestSoonBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left []time.Duration
		began := time.Now()
		const pieces = 100
		source := strings.NewReader(repeat("x", pieces*10))
		slow := readerFunc(func(p []byte) (int, error) {
			time.Sleep(100 * time.Millisecond)
			return source.Read(p[:10])
		})
		b := newSoonBody(io.NopCloser(slow), pieces*10, func() { left = append(left, pieces*100*time.Millisecond-time.Since(began)) })
		if _, err := io.ReadAll(b); err != nil {
			t.Fatal(err)
		}
		if len(left) != 1 || left[0] < 500*time.Millisecond || left[0] > soon {
			t.Errorf("told %v before the end", left)
		}
	})
}
