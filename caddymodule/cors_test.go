package caddymodule

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/media-offload/caddy-media-offload/rewrite"
)

// TestCORS: the site's own origins may read public media, from disk, from the
// bucket and by redirects, and nobody may read anything else.
//
// Promise 7: "Private stays private."
func TestCORS(t *testing.T) {
	var s *testSite
	s = newTestSite(t, uploadApp(&s, func(w http.ResponseWriter, r *http.Request) error {
		switch r.URL.Query().Get("as") {
		case "goods": // hands out what is private, under the address of what is public
			w.Header().Set("X-Accel-Redirect", "/wp-content/uploads/"+goodsKey)
			return nil
		case "own":
			w.Header().Set("Access-Control-Allow-Origin", "*")
			w.WriteHeader(http.StatusOK)
			return nil
		case "silent":
			_, err := io.WriteString(w, "made")
			return err
		}
		return notFound(w, r)
	}))
	s.handler["missing"] = "app"
	s.handler["site_hosts"] = []string{"WWW.site.test:8080", "site.test"}
	s.after = []map[string]any{{"handler": "file_server", "root": s.docRoot, "pass_thru": true}}
	s.start()
	s.upload(map[string]string{"font.woff2": "on disk", "gone.woff2": "in the bucket"})
	s.uploadGoods(goodsKey, goods)
	s.drop("gone.woff2")

	const base = "/wp-content/uploads/"
	const www = "https://www.site.test"
	for _, test := range []struct{ name, method, path, origin, allowed string }{
		{"disk", "GET", base + "font.woff2", www, www},
		{"bucket", "GET", base + "gone.woff2", www, www},
		{"HEAD", "HEAD", base + "gone.woff2", www, www},
		{"other port and scheme", "GET", base + "font.woff2", "http://site.test:81", "http://site.test:81"},
		{"the host that is asked", "GET", base + "font.woff2", "https://127.0.0.1", "https://127.0.0.1"},
		{"no origin", "GET", base + "font.woff2", "", ""},
		{"another's", "GET", base + "font.woff2", "https://evil.test", ""},
		{"another's that looks like it", "GET", base + "font.woff2", "https://site.test.evil.test", ""},
		{"another's with a user", "GET", base + "font.woff2", "https://site.test@evil.test", ""},
		{"a path", "GET", base + "font.woff2", "https://site.test/x", ""},
		{"null", "GET", base + "font.woff2", "null", ""},
		{"another scheme", "GET", base + "font.woff2", "ftp://site.test", ""},
		{"private, on disk", "GET", goodsURL, www, ""},
		{"private, from the app", "GET", base + "none.jpg?as=goods", www, ""},
		{"the app's own header", "GET", base + "none.jpg?as=own", www, "*"},
		{"made by the app", "GET", base + "none.jpg?as=silent", www, www},
		{"no media", "GET", "/page?as=silent", www, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var header []string
			if test.origin != "" {
				header = []string{"Origin", test.origin}
			}
			a := s.do(test.method, test.path, "", header...)
			got := a.Header.Values("Access-Control-Allow-Origin")
			if strings.Join(got, ", ") != test.allowed {
				t.Errorf("%d, allowed %q, want %q", a.StatusCode, got, test.allowed)
			}
			if a.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Error("credentials are allowed")
			}
			public := strings.HasPrefix(test.path, base) && test.path != goodsURL
			if vary := slices.Contains(a.Header.Values("Vary"), "Origin"); vary != public {
				t.Errorf("Vary: %q", a.Header.Values("Vary"))
			}
			if private := strings.Contains(test.path, "goods"); private && a.StatusCode == http.StatusOK && a.body != goods {
				t.Errorf("%.40q", a.body)
			}
		})
	}
	for _, header := range [][]string{{"Range", "bytes=0-1"}, {"If-None-Match", s.get(base + "gone.woff2").Header.Get("Etag")}} {
		if a := s.get(base+"gone.woff2", append(header, "Origin", www)...); a.Header.Get("Access-Control-Allow-Origin") != www || a.StatusCode == http.StatusOK {
			t.Errorf("%v: %d %v", header, a.StatusCode, a.Header)
		}
	}
}

// TestCORSOfRedirects: a browser wants the header on each answer on the way.
func TestCORSOfRedirects(t *testing.T) {
	s, _ := newReadSite(t, func(s *testSite) {
		s.handler["serve"] = "redirect"
		s.handler["public_url"] = publicTestURL
	})
	origin := "https://127.0.0.1:8443"
	if a := s.get(readPath, "Origin", origin); a.StatusCode != http.StatusFound || a.Header.Get("Access-Control-Allow-Origin") != origin {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
}

// TestNoCORS: a site with one host, which pages and media share, sends nothing
// of it.
func TestNoCORS(t *testing.T) {
	s, _ := newReadSite(t, nil)
	a := s.get(readPath, "Origin", s.origin())
	if a.Header.Get("Vary") != "" || a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%v", a.Header)
	}
}

// publicServer is a bucket's or CDN's public side. It notes who asked for what.
type publicServer struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func newPublicServer(t *testing.T, answer http.HandlerFunc) *publicServer {
	p := new(publicServer)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked = append(p.asked, r.Header.Get("Origin")+" "+r.URL.Path)
		p.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *publicServer) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// logLines is the log of a check.
type logLines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logLines) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newTestCheck returns a check that is closed at the end of the test.
func newTestCheck(t *testing.T, publicURL string) (*corsCheck, *logLines) {
	t.Helper()
	log := new(logLines)
	c, err := newCORSCheck(publicURL, newAsker(), slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c, log
}

func servedPage(scheme, host string) *page {
	return &page{active: true, info: rewrite.Page{Scheme: scheme, Host: host}}
}

// TestCORSCheck: one line for each host whose pages the public URL does not
// allow, none for others.
func TestCORSCheck(t *testing.T) {
	allow := func(origin string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if origin == "echo" {
				w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
			} else if origin != "" {
				w.Header().Set("Access-Control-Allow-Origin", origin)
			}
			_, _ = io.WriteString(w, "picture")
		}
	}
	for _, test := range []struct {
		name, scheme string
		answer       http.HandlerFunc
		asked        int
		logged       string // "": nothing
	}{
		{"all", "https", allow("*"), 1, ""},
		{"this one", "https", allow("echo"), 1, ""},
		{"by name", "https", allow("https://site.test:8443"), 1, ""},
		{"the one before a proxy that speaks TLS", "http", allow("https://site.test:8443"), 1, ""},
		{"plain", "http", allow("http://site.test:8443"), 2, ""},
		{"nobody", "https", allow(""), 1, "origin=https://site.test:8443 access_control_allow_origin=\"\""},
		{"nobody, plain", "http", allow(""), 2, "origin=http://site.test:8443 "},
		{"another", "https", allow("https://other.test"), 1, "access_control_allow_origin=https://other.test"},
		{"not public", "https", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, 1, "403 Forbidden"},
		{"broken", "http", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 1, "EOF"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := newPublicServer(t, test.answer)
			c, log := newTestCheck(t, server.URL+"/m/")
			p := servedPage(test.scheme, "Site.test:8443")
			c.served(p) // nothing is known to ask for
			c.refers([]byte(server.URL + "/m/a.jpg"))
			for range 3 {
				c.served(p)
			}
			c.asking.Wait()
			asked := server.requests()
			if len(asked) != test.asked || asked[0] != "https://site.test:8443 /m/a.jpg" {
				t.Errorf("asked %q", asked)
			}
			if got := log.all(); !strings.Contains(got, test.logged) || (got == "") != (test.logged == "") || strings.Count(got, "\n") > 1 {
				t.Errorf("logged %s", got)
			}
		})
	}
}

// TestCORSCheckIsBounded: hosts that a client makes up do not make this server
// ask without end, and nothing is asked where nothing has to be allowed.
func TestCORSCheckIsBounded(t *testing.T) {
	server := newPublicServer(t, func(w http.ResponseWriter, _ *http.Request) {})
	c, _ := newTestCheck(t, server.URL+"/")
	object := []byte(server.URL + "/a.jpg")
	c.refers(object)
	c.served(&page{info: rewrite.Page{Scheme: "https", Host: "a.test"}}) // was not rewritten
	c.served(servedPage("http", strings.TrimPrefix(server.URL, "http://")))
	for i := range 3 * corsCheckHosts {
		c.refers(object)
		c.served(servedPage("https", repeat("x", i+1)+".test"))
	}
	c.asking.Wait()
	if n := len(server.requests()); n != corsCheckHosts {
		t.Errorf("%d requests", n)
	}
}

// TestCORSCheckEnds: closing it does not wait for a server that does not
// answer.
func TestCORSCheckEnds(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	server := newPublicServer(t, func(http.ResponseWriter, *http.Request) { close(entered); <-leave })
	defer close(leave)
	c, log := newTestCheck(t, server.URL+"/")
	c.refers([]byte(server.URL + "/a.jpg"))
	c.served(servedPage("https", "site.test"))
	<-entered
	c.close()
	c.refers([]byte(server.URL + "/a.jpg"))
	c.served(servedPage("https", "other.test"))
	if n := len(server.requests()); n != 1 || log.all() != "" || !errors.Is(c.ctx.Err(), context.Canceled) {
		t.Errorf("%d requests; %s", n, log.all())
	}
}

// TestCORSCheckOfPages: the first page that refers to media starts the check,
// unless it is turned off.
func TestCORSCheckOfPages(t *testing.T) {
	for _, setting := range []string{"on", "off"} {
		t.Run(setting, func(t *testing.T) {
			server := newPublicServer(t, func(w http.ResponseWriter, _ *http.Request) {})
			var s *testSite
			s = newTestSite(t, uploadApp(&s, html(`<img src="/wp-content/uploads/a%20b.jpg">`)))
			s.handler["public_url"] = server.URL + "/m"
			s.handler["cors_check"] = setting
			s.start()
			s.upload(map[string]string{"a b.jpg": "picture"})
			for range 3 {
				if a := s.get("/"); !strings.Contains(a.body, server.URL) {
					t.Fatalf("page: %s", a.body)
				}
			}
			if setting == "on" {
				eventually(t, "the check", func() bool { return len(server.requests()) == 2 })
			}
			if err := s.load(); err != nil { // ends the check of the old config
				t.Fatal(err)
			}
			want := map[string]int{"on": 2, "off": 0}[setting]
			if asked := server.requests(); len(asked) != want || want > 0 && !strings.HasSuffix(asked[0], " /m/a b.jpg") {
				t.Errorf("asked %q", asked)
			}
		})
	}
}
