package caddymodule

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// streamApp sends one event and the next when the test says so.
func streamApp(contentType string, incremental bool, next <-chan struct{}) appFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", contentType)
		if incremental {
			w.Header().Set("Incremental", "?1")
		}
		for i := range 2 {
			if i > 0 {
				select {
				case <-next:
				case <-r.Context().Done():
					return r.Context().Err()
				}
			}
			if _, err := fmt.Fprintf(w, "data: %d\n\n", i); err != nil {
				return err
			}
			if err := http.NewResponseController(w).Flush(); err != nil {
				return err
			}
		}
		return nil
	}
}

// TestStreamsStayStreams reads the first event of an answer before the app has
// made the second.
//
// Promise 5: "Streams stay streams. […] WebSocket, SSE, 1xx and trailers pass."
func TestStreamsStayStreams(t *testing.T) {
	for _, kind := range []struct {
		name, contentType string
		incremental       bool
	}{
		{"SSE", "text/event-stream; charset=utf-8", false},
		{"incremental", "text/html", true},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			t.Run(kind.name+" "+method, func(t *testing.T) {
				next := make(chan struct{})
				s := newTestSite(t, streamApp(kind.contentType, kind.incremental, next))
				s.handler["public_url"] = publicTestURL
				s.start()
				r, err := http.NewRequestWithContext(t.Context(), method, s.url("/events"), nil)
				if err != nil {
					t.Fatal(err)
				}
				response, err := s.client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				body := bufio.NewReader(response.Body)
				if line, err := body.ReadString('\n'); err != nil || line != "data: 0\n" {
					t.Fatalf("first event %q, %v", line, err)
				}
				close(next)
				if rest, err := io.ReadAll(body); err != nil || string(rest) != "\ndata: 1\n\n" {
					t.Errorf("rest %q, %v", rest, err)
				}
			})
		}
	}
}

// TestUpgrade lets an app take over the connection, as a WebSocket does; by GET
// through the bypass, by POST through the writer that would hold the answer.
func TestUpgrade(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		t.Run(method, func(t *testing.T) {
			s := newTestSite(t, func(w http.ResponseWriter, _ *http.Request) error {
				conn, rw, err := http.NewResponseController(w).Hijack()
				if err != nil {
					return err
				}
				defer conn.Close()
				_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
				_ = rw.Flush()
				line, err := rw.ReadString('\n')
				if err != nil {
					return err
				}
				_, _ = rw.WriteString("echo " + line)
				return rw.Flush()
			})
			s.handler["public_url"] = publicTestURL
			s.start()
			var dialer net.Dialer
			conn, err := dialer.DialContext(t.Context(), "tcp", s.address())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(longest))
			fmt.Fprintf(conn, "%s /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\nContent-Length: 0\r\n\r\n", method)
			in := bufio.NewReader(conn)
			response, err := http.ReadResponse(in, nil)
			if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("%v, %v", response, err)
			}
			response.Body.Close()
			fmt.Fprint(conn, "hello\n")
			if line, err := in.ReadString('\n'); err != nil || line != "echo hello\n" {
				t.Errorf("%q, %v", line, err)
			}
		})
	}
}

// TestConnect opens a tunnel over HTTP/2, as a WebSocket does there (RFC 8441).
func TestConnect(t *testing.T) {
	s := newTestSite(t, func(w http.ResponseWriter, r *http.Request) error {
		if r.Method != http.MethodConnect {
			return notFound(w, r)
		}
		w.WriteHeader(http.StatusOK)
		if err := http.NewResponseController(w).Flush(); err != nil {
			return err
		}
		in := bufio.NewReader(r.Body)
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		_, err = io.WriteString(w, "echo "+line)
		return err
	})
	s.handler["public_url"] = publicTestURL
	client := s.useTLS(t)["h2"]
	s.start()
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	r, w := io.Pipe()
	request, err := http.NewRequestWithContext(ctx, http.MethodConnect, "https://"+s.address(), r)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.WriteString(w, "hello\n"); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(response.Body).ReadString('\n')
	if err != nil || line != "echo hello\n" {
		t.Errorf("%q, %v", line, err)
	}
	w.Close()
}
