package web

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

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
		r.RemoteAddr = test.peer
		h := &Handler{config: Config{Server: testServer{clientIP: test.client}}}
		if got := h.networkOf(r); got != test.want {
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
