package caddymodule

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/caddypki"
	_ "github.com/caddyserver/caddy/v2/modules/caddytls"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"
	"github.com/quic-go/quic-go/http3"
)

// conformanceMode is one way through the response writer, by how to ask for it.
type conformanceMode struct {
	name     string
	method   string
	rewrites bool
}

var conformanceModes = []conformanceMode{
	{"pass", http.MethodGet, false},
	{"hold", http.MethodPost, false},
	{"rewrite", http.MethodGet, true},
	{"hold and rewrite", http.MethodPost, true},
}

// conformanceCase is an answer of the app and what must come of it.
type conformanceCase struct {
	name string
	head bool // asked for by HEAD (in the modes that use GET)
	app  appFunc
	// check gets the answer and the informational ones before it.
	check func(t *testing.T, m conformanceMode, a answer, early []http.Header)
}

const (
	conformancePage    = `<html><body><img src="/wp-content/uploads/a.jpg"></body></html>`
	conformanceRewrite = `<html><body><img src="` + publicTestURL + `a.jpg"></body></html>`
)

func wantPage(t *testing.T, m conformanceMode, a answer) {
	t.Helper()
	want := conformancePage
	if m.rewrites {
		want = conformanceRewrite
	}
	if a.err != nil || a.body != want {
		t.Errorf("body %q, %v; want %q", a.body, a.err, want)
	}
}

var conformanceCases = []conformanceCase{
	{
		name: "page with length",
		app: func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Length", fmt.Sprint(len(conformancePage)))
			w.Header().Set("Etag", `"v1"`)
			_, err := io.WriteString(w, conformancePage)
			return err
		},
		check: func(t *testing.T, m conformanceMode, a answer, _ []http.Header) {
			wantPage(t, m, a)
			if a.ContentLength != int64(len(a.body)) {
				t.Errorf("Content-Length %d of %d", a.ContentLength, len(a.body))
			}
			wantTag := `"v1"`
			if m.rewrites {
				wantTag = `W/"v1"`
			}
			if tag := a.Header.Get("Etag"); tag != wantTag {
				t.Errorf("ETag %s, want %s", tag, wantTag)
			}
		},
	},
	{
		name: "304",
		app: func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Etag", `"v1"`)
			w.WriteHeader(http.StatusNotModified)
			return nil
		},
		check: func(t *testing.T, _ conformanceMode, a answer, _ []http.Header) {
			if a.StatusCode != http.StatusNotModified || a.body != "" || a.Header.Get("Etag") != `"v1"` {
				t.Errorf("%d %q %v", a.StatusCode, a.body, a.Header)
			}
		},
	},
	{
		name: "204",
		app: func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(http.StatusNoContent)
			return nil
		},
		check: func(t *testing.T, _ conformanceMode, a answer, _ []http.Header) {
			if a.StatusCode != http.StatusNoContent || a.body != "" {
				t.Errorf("%d %q", a.StatusCode, a.body)
			}
		},
	},
	{
		name: "HEAD", head: true,
		app: func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Length", fmt.Sprint(len(conformancePage)))
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusOK)
				return nil
			}
			_, err := io.WriteString(w, conformancePage)
			return err
		},
		check: func(t *testing.T, m conformanceMode, a answer, _ []http.Header) {
			if m.method != http.MethodGet {
				return
			}
			if a.StatusCode != http.StatusOK || a.body != "" {
				t.Errorf("%d %q", a.StatusCode, a.body)
			}
			// The length of what GET would send is not known before it is
			// rewritten. (quic-go says 0 where a handler says nothing.)
			if kept := a.Header.Get("Content-Length") == fmt.Sprint(len(conformancePage)); kept == m.rewrites {
				t.Errorf("Content-Length kept: %v", kept)
			}
		},
	},
	{
		name: "range",
		app: func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Type", "text/html")
			r.Method = http.MethodGet
			r.Header.Set("Range", "bytes=6-11")
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(conformancePage))
			return nil
		},
		check: func(t *testing.T, _ conformanceMode, a answer, _ []http.Header) {
			if a.StatusCode != http.StatusPartialContent || a.body != conformancePage[6:12] || a.ContentLength != 6 {
				t.Errorf("%d %q %d", a.StatusCode, a.body, a.ContentLength)
			}
		},
	},
	{
		name: "103",
		app: func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusCreated)
			_, err := io.WriteString(w, conformancePage)
			return err
		},
		check: func(t *testing.T, m conformanceMode, a answer, early []http.Header) {
			wantPage(t, m, a)
			if a.StatusCode != http.StatusCreated || a.Header.Get("Link") != "" {
				t.Errorf("%d %v", a.StatusCode, a.Header)
			}
			if len(early) != 1 || early[0].Get("Link") != "</style.css>; rel=preload" {
				t.Errorf("early hints: %v", early)
			}
		},
	},
	{
		name: "declared trailer",
		app: func(w http.ResponseWriter, _ *http.Request) error {
			h := w.Header() // kept, as handlers may
			h.Set("Trailer", "X-Checksum")
			h.Set("Content-Type", "text/html")
			if _, err := io.WriteString(w, conformancePage); err != nil {
				return err
			}
			h.Set("X-Checksum", "42")
			return nil
		},
		check: func(t *testing.T, m conformanceMode, a answer, _ []http.Header) {
			wantPage(t, m, a)
			if got := a.Trailer.Get("X-Checksum"); got != "42" {
				t.Errorf("trailer %q of %v", got, a.Trailer)
			}
		},
	},
	{
		name: "undeclared trailer",
		app: func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "text/html")
			if _, err := io.WriteString(w, conformancePage); err != nil {
				return err
			}
			if err := http.NewResponseController(w).Flush(); err != nil {
				return err
			}
			w.Header().Set(http.TrailerPrefix+"X-Checksum", "42")
			return nil
		},
		check: func(t *testing.T, m conformanceMode, a answer, _ []http.Header) {
			wantPage(t, m, a)
			if m.method == http.MethodPost {
				return // the app's flush came to nothing, so net/http may know the length
			}
			if got := a.Trailer.Get("X-Checksum"); got != "42" {
				t.Errorf("trailer %q of %v", got, a.Trailer)
			}
		},
	},
	{
		name: "status of a flushed answer",
		app: func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusCreated)
			if err := http.NewResponseController(w).Flush(); err != nil {
				return err
			}
			_, err := io.WriteString(w, conformancePage)
			return err
		},
		check: func(t *testing.T, m conformanceMode, a answer, _ []http.Header) {
			wantPage(t, m, a)
			if a.StatusCode != http.StatusCreated {
				t.Errorf("status %d", a.StatusCode)
			}
		},
	},
	{
		name: "no type",
		app: func(w http.ResponseWriter, _ *http.Request) error {
			_, err := io.WriteString(w, conformancePage)
			return err
		},
		check: func(t *testing.T, m conformanceMode, a answer, _ []http.Header) {
			wantPage(t, m, a)
			if !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
				t.Errorf("type %q", a.Header.Get("Content-Type"))
			}
		},
	},
	{
		name: "copied by ReadFrom",
		app: func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "text/html")
			_, err := io.Copy(w, struct{ io.Reader }{strings.NewReader(conformancePage)})
			return err
		},
		check: func(t *testing.T, m conformanceMode, a answer, _ []http.Header) { wantPage(t, m, a) },
	},
	{
		name: "larger than every buffer",
		app: func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "text/html")
			for range 40 {
				if _, err := io.WriteString(w, "<p>"+repeat("x", 64<<10)+"</p>"); err != nil {
					return err
				}
			}
			_, err := io.WriteString(w, conformancePage)
			return err
		},
		check: func(t *testing.T, m conformanceMode, a answer, _ []http.Header) {
			if size := 40 * (7 + 64<<10); a.err == nil && len(a.body) > size {
				a.body = a.body[size:]
			}
			wantPage(t, m, a)
		},
	},
	{
		name: "error of the app's handler",
		app: func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Retry-After", "7")
			return caddyhttp.Error(http.StatusServiceUnavailable, errors.New("upstream away"))
		},
		check: func(t *testing.T, _ conformanceMode, a answer, _ []http.Header) {
			if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") != "7" {
				t.Errorf("%d %v", a.StatusCode, a.Header)
			}
		},
	},
	{
		name: "abort in the middle",
		app: func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Length", "1000000")
			if _, err := io.WriteString(w, repeat("y", 500_000)); err != nil {
				return err
			}
			panic(http.ErrAbortHandler)
		},
		check: func(t *testing.T, _ conformanceMode, a answer, _ []http.Header) {
			if a.err == nil {
				t.Errorf("a broken answer of %d bytes came through whole", len(a.body))
			}
		},
	},
}

// TestConformance sends every kind of answer through every mode of the response
// writer, over every version of HTTP, with encode outside as in production.
func TestConformance(t *testing.T) {
	for _, rewrites := range []bool{false, true} {
		var s *testSite
		s = newTestSite(t, uploadApp(&s, func(w http.ResponseWriter, r *http.Request) error {
			for i := range conformanceCases {
				if r.URL.Path == casePath(i) {
					return conformanceCases[i].app(w, r)
				}
			}
			return notFound(w, r)
		}))
		s.before = []map[string]any{{"handler": "encode", "encodings": map[string]any{"gzip": map[string]any{}}}}
		if rewrites {
			s.handler["public_url"] = publicTestURL
		}
		t.Run(fmt.Sprintf("rewriting %v", rewrites), func(t *testing.T) {
			s.t = t
			clients := s.useTLS(t)
			s.start()
			s.client = clients["h1"]
			s.upload(map[string]string{"a.jpg": "picture"})
			for version, client := range clients {
				s.client = client
				for _, m := range conformanceModes {
					if m.rewrites != rewrites {
						continue
					}
					for i, c := range conformanceCases {
						t.Run(version+"/"+m.name+"/"+c.name, func(t *testing.T) {
							s.t = t
							a, early := s.ask(t, m, i)
							c.check(t, m, a, early)
						})
					}
				}
			}
		})
	}
}

func casePath(i int) string { return fmt.Sprintf("/case/%d", i) }

// ask sends the request of a case. An error before the header is an answer with
// only err set.
func (s *testSite) ask(t *testing.T, m conformanceMode, i int) (answer, []http.Header) {
	t.Helper()
	method := m.method
	if conformanceCases[i].head && method == http.MethodGet {
		method = http.MethodHead
	}
	var early []http.Header
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
			early = append(early, http.Header(h))
			return nil
		},
	})
	r, err := http.NewRequestWithContext(ctx, method, "https://"+s.address()+casePath(i), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := s.client.Do(r)
	if err != nil {
		return answer{Response: &http.Response{Header: http.Header{}}, err: err}, nil
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{Response: response, body: string(body), err: err}, early
}

func (s *testSite) address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// useTLS makes the site speak HTTPS and returns a client for each version of
// HTTP.
func (s *testSite) useTLS(t *testing.T) map[string]*http.Client {
	t.Helper()
	cert, key := selfSigned(t)
	s.scheme = "https"
	s.server["protocols"] = []string{"h1", "h2", "h3"}
	s.server["tls_connection_policies"] = []any{map[string]any{}}
	s.apps["tls"] = map[string]any{"certificates": map[string]any{
		"load_pem": []any{map[string]any{"certificate": cert, "key": key}},
	}}
	config := &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"} //nolint:gosec // a test's own certificate
	h1, h2 := new(http.Protocols), new(http.Protocols)
	h1.SetHTTP1(true)
	h2.SetHTTP2(true)
	h3 := &http3.Transport{TLSClientConfig: config.Clone(), DisableCompression: true}
	transports := map[string]http.RoundTripper{
		"h1": &http.Transport{TLSClientConfig: config.Clone(), Protocols: h1, DisableCompression: true},
		"h2": &http.Transport{TLSClientConfig: config.Clone(), Protocols: h2, DisableCompression: true},
		"h3": h3,
	}
	clients := make(map[string]*http.Client)
	for version, transport := range transports {
		clients[version] = &http.Client{
			Transport:     transport,
			Timeout:       20 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		s.clients = append(s.clients, clients[version])
	}
	return clients
}

func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privateDER}))
}

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
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
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
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
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
