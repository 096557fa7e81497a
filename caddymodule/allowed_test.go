package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/rewrite"
)

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

// rules is what a public server allows, which may change.
type rules struct {
	*publicServer
	mu     sync.Mutex
	status int
	header http.Header
}

// newRules returns a server that answers with the header, pairs of name and value.
func newRules(t *testing.T, header ...string) *rules {
	p := new(rules)
	p.set(http.StatusOK, header...)
	p.publicServer = newPublicServer(t, p.answer)
	return p
}

// set says what is answered from now on; "echo" in a value stands for the origin that
// asks, status 0 for a connection that breaks off.
func (p *rules) set(status int, header ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status, p.header = status, make(http.Header)
	for i := 0; i < len(header); i += 2 {
		p.header.Add(header[i], header[i+1])
	}
}

func (p *rules) answer(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status == 0 {
		panic(http.ErrAbortHandler)
	}
	for name, values := range p.header {
		for _, value := range values {
			w.Header().Add(name, strings.ReplaceAll(value, "echo", r.Header.Get("Origin")))
		}
	}
	w.WriteHeader(p.status)
	_, _ = io.WriteString(w, "content")
}

// questions returns the requests that pages of an origin might have made.
func (p *rules) questions() []string {
	return slices.DeleteFunc(p.requests(), func(r string) bool { return strings.HasPrefix(r, " ") })
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

// testAllowed is an allowed with a clock that stands still.
type testAllowed struct {
	*allowed
	public string
	log    *logLines
	clock  time.Time
}

func newTestAllowed(t *testing.T, publicURL, word string) *testAllowed {
	t.Helper()
	c := &testAllowed{public: publicURL, log: new(logLines), clock: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)}
	var err error
	if c.allowed, err = newAllowed(publicURL, word, newAsker(), slog.New(slog.NewTextHandler(c.log, nil))); err != nil {
		t.Fatal(err)
	}
	c.now = func() time.Time { return c.clock }
	t.Cleanup(c.close)
	return c
}

// page has a page refer to files where CORS is needed, and be served. It reports
// whether the last one may come from the public URL.
func (c *testAllowed) page(origin string, files ...string) (moves bool) {
	p := pageOf(origin)
	for _, file := range files {
		moves = c.readable(&p.info, []byte(file), []byte(c.public+file))
	}
	c.served(p)
	c.asking.Wait()
	return moves
}

// plainPage is page for a file that needs no CORS.
func (c *testAllowed) plainPage(origin, file string, isolated bool) bool {
	p := pageOf(origin)
	moves := c.embeddable(&p.info, []byte(c.public+file), isolated)
	c.served(p)
	c.asking.Wait()
	return moves
}

func pageOf(origin string) *page {
	scheme, host, _ := strings.Cut(origin, "://")
	return &page{active: true, info: rewrite.Page{Scheme: scheme, Host: host}}
}

const siteOrigin = "https://site.test:8443"

// TestWithCORSOnceSeen: what needs CORS moves when the public URL was seen to allow
// the page's origin, as that sees it; before, and if it does not, it stays.
//
// Promise 4: "with CORS only once the public host was seen to allow it".
func TestWithCORSOnceSeen(t *testing.T) {
	for _, test := range []struct {
		name, origin string
		status       int
		header       []string
		allowed      bool
		logged       string // "": nothing
	}{
		{"all", siteOrigin, 200, []string{allowOrigin, "*"}, true, ""},
		{"this one", siteOrigin, 200, []string{allowOrigin, "echo"}, true, ""},
		{"by name", "https://Site.test:8443", 200, []string{allowOrigin, siteOrigin}, true, ""},
		{"without TLS", "http://site.test", 200, []string{allowOrigin, "http://site.test"}, true, ""},
		{"with the scheme's port", "https://site.test:443", 200, []string{allowOrigin, "https://site.test"}, true, ""},
		{"206", siteOrigin, 206, []string{allowOrigin, "*"}, true, ""},
		{"nobody", siteOrigin, 200, nil, false, "origin=" + siteOrigin + " access_control_allow_origin=\"\""},
		{"another", siteOrigin, 200, []string{allowOrigin, "https://other.test"}, false, "access_control_allow_origin=https://other.test"},
		{"with TLS only", "http://site.test", 200, []string{allowOrigin, "https://site.test"}, false, "trusted_proxies"},
		{"two headers", siteOrigin, 200, []string{allowOrigin, "*", allowOrigin, "*"}, false, "fonts"},
		{"null", siteOrigin, 200, []string{allowOrigin, "null"}, false, "fonts"},
		{"not public", siteOrigin, 403, []string{allowOrigin, "*"}, false, "403 Forbidden"},
		{"elsewhere", siteOrigin, 302, []string{allowOrigin, "*", "Location", "/elsewhere"}, false, "302 Found"},
		{"broken", siteOrigin, 0, nil, false, "EOF"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := newRules(t)
			server.set(test.status, test.header...)
			c := newTestAllowed(t, server.URL+"/m/", wordOn)
			before := c.changes.Load()
			if c.page(test.origin, "a.woff2") {
				t.Error("moves before anything was seen")
			}
			for range 3 {
				if got := c.page(test.origin, "b.woff2"); got != test.allowed {
					t.Errorf("moves: %v", got)
				}
			}
			if changed := c.changes.Load() != before; changed != test.allowed {
				t.Errorf("what was remembered is out of date: %v", changed)
			}
			asked := server.questions()
			if want := browserOrigin(pageOf(test.origin).info.Scheme, pageOf(test.origin).info.Host) + " /m/a.woff2"; len(asked) != 1 || asked[0] != want {
				t.Errorf("asked %q, want %q", asked, want)
			}
			if got := c.log.all(); !strings.Contains(got, test.logged) || (got == "") != (test.logged == "") || strings.Count(got, "\n") > 1 {
				t.Errorf("logged %s", got)
			}
		})
	}
}

// TestCORSByEnding: a rule for fonts says nothing of pictures.
func TestCORSByEnding(t *testing.T) {
	server := newPublicServer(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".woff2") {
			w.Header().Set(allowOrigin, "*")
		}
	})
	c := newTestAllowed(t, server.URL+"/", wordOn)
	for i := range 2 {
		if font, picture := c.page(siteOrigin, "a.woff2"), c.page(siteOrigin, "a.jpg"); font != (i > 0) || picture {
			t.Errorf("time %d: font %v, picture %v", i, font, picture)
		}
	}
	for path, want := range map[string]string{
		"2026/a.b.jpg": "jpg", "a": "", "a.b/c": "", "a.": "", ".a": "a", "a.webmanifest": "", "": "", "a.%6Apg": "%6Apg",
	} {
		if got := ending(path); got != want {
			t.Errorf("%s ends with %q", path, got)
		}
	}
}

// TestCORSIsAskedAgain: a CDN that begins to send the header, or stops, is noticed,
// sooner if it is missing. The question is about another file each time, and the log
// is told of each change once.
func TestCORSIsAskedAgain(t *testing.T) {
	server := newRules(t)
	c := newTestAllowed(t, server.URL+"/", wordOn)
	files := 0
	page := func() bool {
		files++
		return c.page(siteOrigin, fmt.Sprint(files, ".woff2"))
	}
	for _, step := range []struct {
		status  int
		header  []string
		after   time.Duration
		asks    bool
		allowed bool // from the next page on
		warns   bool
	}{
		{200, nil, 0, true, false, true},
		{200, []string{allowOrigin, "*"}, askAgainSoon - 1, false, false, false},
		{200, []string{allowOrigin, "*"}, 1, true, true, false},
		{200, nil, askAgain - 1, false, true, false},
		{200, nil, 1, true, false, true},
		{200, nil, askAgainSoon, true, false, false},
		{500, nil, askAgainSoon, true, false, true},
		{200, []string{allowOrigin, "*"}, askAgainSoon, true, true, false},
		{0, nil, askAgain, true, false, true},
	} {
		server.set(step.status, step.header...)
		c.clock = c.clock.Add(step.after)
		asked, warned := len(server.questions()), strings.Count(c.log.all(), "level=WARN")
		page()
		requests := server.questions()
		if asks := len(requests) > asked; asks != step.asks || asks && files > 1 && requests[asked] == requests[max(asked-1, 0)] && asked > 0 {
			t.Errorf("%+v: asked %q", step, requests)
		}
		if warns := strings.Count(c.log.all(), "level=WARN") > warned; warns != step.warns {
			t.Errorf("%+v: log: %s", step, c.log.all())
		}
		if got := page(); got != step.allowed {
			t.Errorf("%+v: moves: %v", step, got)
		}
	}
}

// TestCORSWarnings: one line for an origin names the endings that stay local; another
// comes only with another sort of files, and one when all is mended.
func TestCORSWarnings(t *testing.T) {
	server := newRules(t)
	c := newTestAllowed(t, server.URL+"/", wordOn)
	lines := func() int { return strings.Count(c.log.all(), "\n") }
	for i, step := range []struct {
		file  string
		lines int
		named string
	}{
		{"a.woff2", 1, `endings=woff2`},
		{"a.woff", 1, ""},
		{"a.ttf", 1, ""},
		{"a.js", 2, `endings="js ttf woff woff2"`},
		{"b.woff2", 2, ""},
		{"a.json", 3, `endings="js json ttf woff woff2"`},
		{"a.wasm", 3, ""},
	} {
		c.page(siteOrigin, step.file)
		if n := lines(); n != step.lines || !strings.Contains(c.log.all(), step.named) {
			t.Errorf("%d, %s: %s", i, step.file, c.log.all())
		}
	}
	if c.page("https://other.test", "a.woff2"); lines() != 4 {
		t.Errorf("another origin: %s", c.log.all())
	}
	if q, r := c.count.questions.Load(), c.count.refused.Load(); q != 7 || r != 7 {
		t.Errorf("%d questions, %d refused", q, r)
	}
	server.set(200, allowOrigin, "*")
	c.clock = c.clock.Add(askAgain)
	if c.page(siteOrigin, "a.woff2"); lines() != 5 || strings.Count(c.log.all(), "level=INFO") != 1 {
		t.Errorf("mended: %s", c.log.all())
	}
	server.set(200)
	c.clock = c.clock.Add(askAgain)
	if c.page(siteOrigin, "a.woff2"); lines() <= 5 {
		t.Errorf("broken again: %s", c.log.all())
	}
}

// TestOneWarningForAPage: what is wrong with the files of one page is one line for each
// cause, whatever sorts they are of and whichever answer comes first.
func TestOneWarningForAPage(t *testing.T) {
	files := []string{"a.woff2", "a.js", "a.jpg", "a.json", "a.mp4"}
	for _, test := range []struct {
		name  string
		wrong func(w http.ResponseWriter, file string)
		want  []string // in the line of each cause
	}{
		{"refused", func(http.ResponseWriter, string) {}, []string{`endings="jpg js json mp4 woff2"`}},
		{"not there", func(w http.ResponseWriter, _ string) { w.WriteHeader(404) }, []string{`endings="jpg js json mp4 woff2"`}},
		{"both", func(w http.ResponseWriter, file string) {
			if file != "/a.js" && file != "/a.jpg" {
				w.WriteHeader(404)
			}
		}, []string{`endings="json mp4 woff2"`, `endings="jpg js"`}},
		{"some", func(w http.ResponseWriter, file string) {
			if file != "/a.js" && file != "/a.jpg" {
				w.Header().Set(allowOrigin, "*")
			}
		}, []string{`endings="jpg js"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := newPublicServer(t, func(w http.ResponseWriter, r *http.Request) { test.wrong(w, r.URL.Path) })
			c := newTestAllowed(t, server.URL+"/", wordOn)
			c.page(siteOrigin, files...)
			lines := strings.SplitAfter(c.log.all(), "\n")
			if len(lines)-1 != len(test.want) {
				t.Fatalf("log: %s", c.log.all())
			}
			for i, want := range test.want {
				if !strings.Contains(lines[i], want) || !strings.Contains(lines[i], "level=WARN") {
					t.Errorf("line %d: %s, want %s", i, lines[i], want)
				}
			}
			c.clock = c.clock.Add(askAgain)
			if c.page(siteOrigin, files...); len(strings.SplitAfter(c.log.all(), "\n")) != len(lines) {
				t.Errorf("asked again: %s", c.log.all())
			}
		})
	}
}

// TestCORSCheckWords: whoever knows better need not be asked.
func TestCORSCheckWords(t *testing.T) {
	for word, moves := range map[string]bool{wordOff: false, wordAllowed: true} {
		server := newRules(t, allowOrigin, "*", resourcePolicy, "same-origin")
		c := newTestAllowed(t, server.URL+"/", word)
		for range 2 {
			if got := c.page(siteOrigin, "a.woff2"); got != moves {
				t.Errorf("%s: moves: %v", word, got)
			}
			if !c.plainPage(siteOrigin, "a.jpg", false) || c.plainPage(siteOrigin, "a.jpg", true) {
				t.Errorf("%s: what needs no CORS moves from plain pages, and from those that require Cross-Origin-Resource-Policy not", word)
			}
		}
		if asked := server.questions(); len(asked) > 0 {
			t.Errorf("%s: asked %q", word, asked)
		}
	}
	var none *allowed
	if none.readable(new(rewrite.Page), nil, nil) || !none.embeddable(new(rewrite.Page), nil, false) || none.embeddable(new(rewrite.Page), nil, true) {
		t.Error("what was not asked allows")
	}
}

// TestOwnOrigin: where the public URL is of the page's own origin, nothing has to be
// allowed, or asked.
func TestOwnOrigin(t *testing.T) {
	server := newRules(t)
	c := newTestAllowed(t, server.URL+"/m/", wordOn)
	for range 2 {
		if !c.page(server.URL, "a.woff2") || !c.plainPage(server.URL, "a.jpg", true) {
			t.Error("does not move")
		}
	}
	if asked := server.questions(); len(asked) > 0 {
		t.Errorf("asked %q", asked)
	}
}

// TestEmbedding: a page that requires Cross-Origin-Resource-Policy gets public URLs
// once a fitting one was seen, and none does after one that forbids it.
func TestEmbedding(t *testing.T) {
	for _, test := range []struct {
		public, origin  string // public: "" is that of the server
		policy          []string
		plain, isolated bool
	}{
		{policy: []string{"cross-origin"}, plain: true, isolated: true},
		{policy: nil, plain: true},
		{policy: []string{"same-origin"}},
		{policy: []string{"same-site"}},
		{policy: []string{"same-site"}, origin: "http://127.0.0.1:1", plain: true, isolated: true},
		{policy: []string{"Same-Origin"}, plain: true},                // says nothing
		{policy: []string{"same-origin", "same-origin"}, plain: true}, // neither
	} {
		var header []string
		for _, policy := range test.policy {
			header = append(header, resourcePolicy, policy)
		}
		server := newRules(t, header...)
		c := newTestAllowed(t, server.URL+"/", wordOn)
		if test.origin == "" {
			test.origin = siteOrigin
		}
		if c.embeddable(&pageOf(test.origin).info, []byte(c.public+"a.jpg"), true) || !c.plainPage(test.origin, "a.jpg?v=mo0123456789", false) {
			t.Errorf("%+v: before anything was seen", test)
		}
		if plain, isolated := c.plainPage(test.origin, "a.jpg", false), c.plainPage(test.origin, "a.jpg", true); plain != test.plain || isolated != test.isolated {
			t.Errorf("%+v: plain pages %v, isolated ones %v", test, plain, isolated)
		}
		if warned := strings.Contains(c.log.all(), "forbids"); warned == test.plain {
			t.Errorf("%+v: log: %s", test, c.log.all())
		}
		server.set(200, resourcePolicy, "cross-origin")
		c.clock = c.clock.Add(askAgain)
		c.plainPage(test.origin, "a.jpg", false)
		if !c.plainPage(test.origin, "a.jpg", false) || !c.plainPage(test.origin, "a.jpg", true) {
			t.Errorf("%+v: after it was mended", test)
		}
		if n := c.forbidding.Load(); n != 0 {
			t.Errorf("%+v: %d origins are forbidden", test, n)
		}
	}
}

// TestSameSite: hosts below one that anybody can have a name of are not one site's.
func TestSameSite(t *testing.T) {
	for _, test := range []struct {
		public, origin string
		want           bool
	}{
		{"https://cdn.example.com/", "https://www.example.com", true},
		{"https://example.com/", "https://www.example.com:8443", true},
		{"https://cdn.example.com/", "http://www.example.com", false},
		{"http://cdn.example.com/", "http://www.example.com", true},
		{"https://cdn.example.net/", "https://www.example.com", false},
		{"https://a.co.uk/", "https://b.co.uk", false},
		{"https://a.github.io/", "https://b.github.io", false},
		{"https://bucket.s3.amazonaws.com/", "https://other.s3.amazonaws.com", false},
		{"https://10.0.0.1/", "https://10.0.0.1:8443", true},
		{"https://10.0.0.1/", "https://10.0.0.2", false},
		{"https://localhost/", "https://localhost:8443", true},
	} {
		c := newTestAllowed(t, test.public, wordOn)
		if got := c.isSameSite(test.origin); got != test.want {
			t.Errorf("%s and %s: %v", test.public, test.origin, got)
		}
	}
}

// TestAllowedIsBounded: hosts that a client makes up do not make this server ask
// without end, nor take the place of those whose pages are read.
//
// Promise 5: "Memory for a rewritten response is bounded".
func TestAllowedIsBounded(t *testing.T) {
	server := newRules(t, allowOrigin, "*")
	c := newTestAllowed(t, server.URL+"/", wordOn)
	madeUp := func(i int) string { return "https://x" + fmt.Sprint(i) + ".test" }
	c.page(siteOrigin, "a.woff2")
	for i := range 3 * maxOrigins {
		c.page(madeUp(i), "a.woff2")
	}
	if n := len(server.questions()); n != maxOrigins || len(*c.origins.Load()) != maxOrigins {
		t.Errorf("%d requests, %d origins", n, len(*c.origins.Load()))
	}
	c.clock = c.clock.Add(idleOrigin)
	for i := range 3 * maxOrigins {
		if !c.page(siteOrigin, "a.woff2") {
			t.Fatal("made-up hosts took the site's place")
		}
		c.page(madeUp(i), "a.woff2")
	}
	for i := range 3 * maxKinds {
		c.page(siteOrigin, fmt.Sprint("a.x", i))
	}
	if n := len(*c.origins.Load()); n > maxOrigins || c.kinds > maxKinds {
		t.Errorf("%d origins, %d kinds", n, c.kinds)
	}
	if c.page("https://"+strings.Repeat("a", maxHost+1), "a.woff2") || len(*c.origins.Load()) > maxOrigins {
		t.Error("a host without end")
	}
}

// TestAllowedEnds: closing it does not wait for a server that does not answer.
func TestAllowedEnds(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(entered); <-leave }))
	defer server.Close()
	defer close(leave)
	c := newTestAllowed(t, server.URL+"/", wordOn)
	p := pageOf(siteOrigin)
	c.readable(&p.info, []byte("a.woff2"), []byte(server.URL+"/a.woff2"))
	c.served(p)
	<-entered
	c.close()
	c.page("https://other.test", "a.woff2") // asks nothing, or the handler would panic
	if c.log.all() != "" || !errors.Is(c.ctx.Err(), context.Canceled) {
		t.Errorf("log: %s", c.log.all())
	}
}

// TestNotRewritten: only pages that were rewritten have the public URL asked.
func TestNotRewritten(t *testing.T) {
	server := newRules(t)
	c := newTestAllowed(t, server.URL+"/", wordOn)
	c.refers([]byte(server.URL + "/a.jpg"))
	p := pageOf(siteOrigin)
	p.active = false
	c.served(p)
	c.asking.Wait()
	if asked := server.questions(); len(asked) > 0 {
		t.Errorf("asked %q", asked)
	}
}

// TestIsolatedPages: pages that require Cross-Origin-Resource-Policy keep local URLs
// until the public URL was seen to send a fitting one; so do sheets of their origin.
// Other pages do not wait for it.
//
// Promise 4: "a URL moves to the public host only where that makes no difference to a
// browser".
func TestIsolatedPages(t *testing.T) {
	for _, requires := range [][]string{
		{"Cross-Origin-Embedder-Policy", "require-corp"},
		{"Cross-Origin-Embedder-Policy", `require-corp; report-to="x"`},
		{"Document-Isolation-Policy", "isolate-and-require-corp"},
	} {
		t.Run(strings.Join(requires, " "), func(t *testing.T) {
			server := newRules(t)
			app := &pageApp{status: 200}
			var s *testSite
			s = newTestSite(t, uploadApp(&s, app.serve))
			s.handler["public_url"] = server.URL + "/m"
			s.handler["cors_check"] = "on"
			s.start()
			s.upload(map[string]string{"a.jpg": "picture"})
			public := func(contentType, body string, header ...string) bool {
				app.header, app.body = map[string]string{"Content-Type": contentType}, body
				for i := 0; i < len(header); i += 2 {
					app.header[header[i]] = header[i+1]
				}
				a := s.get("/")
				if !strings.Contains(a.body, "/wp-content/uploads/a.jpg") && !strings.Contains(a.body, server.URL+"/m/a.jpg") {
					t.Fatalf("page: %q", a.body)
				}
				return strings.Contains(a.body, server.URL)
			}
			const sheet = "a{background:url(/wp-content/uploads/a.jpg)}"
			if !public("text/css", sheet) || !public("text/html", mediaImage, "Cross-Origin-Embedder-Policy-Report-Only", "require-corp") ||
				!public("text/html", mediaImage, "Cross-Origin-Embedder-Policy", "credentialless") {
				t.Error("other pages have local URLs")
			}
			for range 3 {
				if public("text/html", mediaImage, requires...) {
					t.Error("moves although it would be blocked")
				}
			}
			if public("text/css", sheet) || public("application/json", `{"u":"/wp-content/uploads/a.jpg"}`) {
				t.Error("its sheet or data have a public URL")
			}
			if !public("application/rss+xml", "<a><url>http://"+s.address()+"/wp-content/uploads/a.jpg</url></a>") {
				t.Error("a feed has a local URL")
			}
			if !public("text/html", mediaImage) {
				t.Error("another page has a local URL")
			}
			eventually(t, "the public URL is asked", func() bool { return len(server.questions()) == 1 })
			server.set(200, resourcePolicy, "cross-origin")
			if err := s.load(); err != nil { // asks anew
				t.Fatal(err)
			}
			eventually(t, "it moves", func() bool { return public("text/html", mediaImage, requires...) })
			if !public("text/css", sheet) {
				t.Error("its sheet has a local URL")
			}
		})
	}
}

// TestPageFollowsCORS: a page's font and script with crossorigin are local at first, and public
// as soon as the public URL was seen to allow it, also in pages that are remembered;
// where it does not, they stay, and the rest of the page moves.
//
// Promise 4: "with CORS only once the public host was seen to allow it". Promise 3:
// "Pages never wait".
func TestPageFollowsCORS(t *testing.T) {
	const text = `<img src="U/a.jpg"><img crossorigin src="U/a.jpg"><script crossorigin src="U/a.js"></script>` +
		`<style>@font-face{src:url(U/a.woff2)}</style><a download href="U/a.jpg"></a>`
	for _, allows := range []bool{true, false} {
		t.Run(fmt.Sprint(allows), func(t *testing.T) {
			server := newRules(t)
			if allows {
				server.set(200, allowOrigin, "echo")
			}
			var s *testSite
			s = newTestSite(t, uploadApp(&s, html(strings.ReplaceAll(text, "U/", uploadsPath))))
			s.handler["public_url"] = server.URL + "/m"
			s.handler["cors_check"] = "on"
			s.start()
			s.upload(map[string]string{"a.jpg": "picture", "a.js": "script", "a.woff2": "font"})
			page := func() int { return strings.Count(s.get("/").body, server.URL+"/m/a.") }
			if n := page(); n != 1 {
				t.Fatalf("%d public URLs before anything was seen", n)
			}
			eventually(t, "the check", func() bool { return len(server.questions()) == 3 })
			if allows {
				eventually(t, "what needs CORS moves", func() bool { return page() == 4 })
				return
			}
			for range 5 {
				if n := page(); n != 1 {
					t.Errorf("%d public URLs", n)
				}
			}
		})
	}
}

// TestPublicFilesMayBeEmbedded: where this module answers under the public URL, it
// says so.
func TestPublicFilesMayBeEmbedded(t *testing.T) {
	var s *testSite
	s = newTestSite(t, uploadApp(&s, func(w http.ResponseWriter, r *http.Request) error {
		if r.URL.Query().Has("own") {
			w.Header().Set(resourcePolicy, "same-site")
		}
		return notFound(w, r)
	}))
	s.handler["public_url"] = publicTestURL
	s.handler["missing"] = "app"
	s.after = []map[string]any{{"handler": "file_server", "root": s.docRoot, "pass_thru": true}}
	s.start()
	s.upload(map[string]string{"a.jpg": "on disk", "b.jpg": "in the bucket"})
	s.uploadGoods(goodsKey, goods)
	s.drop("b.jpg")
	for path, want := range map[string]string{
		"/wp-content/uploads/a.jpg":        "cross-origin",
		"/wp-content/uploads/b.jpg":        "cross-origin",
		"/wp-content/uploads/none.jpg?own": "same-site",
		"/page":                            "",
		goodsURL:                           "",
	} {
		if got := s.get(path).Header.Get(resourcePolicy); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// TestCORSCheckOfPages: the first page that refers to media has the public URL asked,
// unless that is turned off.
func TestCORSCheckOfPages(t *testing.T) {
	for setting, want := range map[string]int{"on": 1, "off": 0, "allowed": 0} {
		t.Run(setting, func(t *testing.T) {
			server := newRules(t)
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
			if want > 0 {
				eventually(t, "the check", func() bool { return len(server.questions()) == want })
			}
			if err := s.load(); err != nil { // ends the check of the old config
				t.Fatal(err)
			}
			if asked := server.questions(); len(asked) != want || want > 0 && asked[0] != s.origin()+" /m/a b.jpg" {
				t.Errorf("asked %q", asked)
			}
		})
	}
}

// TestSheetsOfFonts: a sheet that names web fonts moves once they may be used, of each
// kind that it names; it needs no header itself. Another sheet waits for others.
//
// Promise 4: "with CORS only once the public host was seen to allow it".
func TestSheetsOfFonts(t *testing.T) {
	for _, test := range []struct {
		name, allows string // endings of which files are sent with the header
		moves        []string
		asked        int
	}{
		{"sheets alone", ".css", nil, 2},
		{"fonts", ".woff2 .ttf", []string{"both.css", "one.css"}, 2},
		{"a kind of fonts", ".woff2", []string{"one.css"}, 2},
		{"none", "", nil, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			files := map[string]string{
				"one.css":  "@font-face{src:url(none.woff2),url(f.woff2)}.x{background:url(a.jpg)}",
				"both.css": "@font-face{src:url('f.woff2?v=1#x'),url(f.ttf)}",
				"f.woff2":  "font", "f.ttf": "font", "a.jpg": "picture",
			}
			server := newPublicServer(t, func(w http.ResponseWriter, r *http.Request) {
				name := strings.TrimPrefix(r.URL.Path, "/m/")
				content, ok := files[name]
				if !ok {
					http.NotFound(w, r)
					return
				}
				if ending := name[strings.LastIndexByte(name, '.'):]; test.allows != "" && strings.Contains(test.allows, ending) {
					w.Header().Set(allowOrigin, "*")
				}
				_, _ = io.WriteString(w, content)
			})
			var s *testSite
			s = newTestSite(t, uploadApp(&s, html(`<link rel="stylesheet" href="`+uploadsPath+`one.css"><link rel="stylesheet" href="`+uploadsPath+`both.css">`)))
			s.handler["public_url"] = server.URL + "/m"
			s.handler["cors_check"] = "on"
			s.start()
			s.upload(files)
			moved := func() (names []string) {
				body := s.get("/").body // once: the first page has the public URL asked
				for _, name := range []string{"both.css", "one.css"} {
					if strings.Contains(body, server.URL+"/m/"+name) {
						names = append(names, name)
					}
				}
				return names
			}
			if got := moved(); len(got) > 0 {
				t.Fatalf("%q move before anything was seen", got)
			}
			asked := func() (files []string) {
				for _, r := range server.requests() {
					if origin, file, _ := strings.Cut(r, " "); origin != "" && file != "/m/none.woff2" {
						files = append(files, file)
					}
				}
				return files
			}
			eventually(t, "the check", func() bool { return len(asked()) == test.asked })
			for range 20 {
				eventually(t, "what is allowed moves", func() bool { return slices.Equal(moved(), test.moves) })
			}
			if got := asked(); slices.Contains(got, "/m/one.css") || len(got) != test.asked {
				t.Errorf("asked for %q", got)
			}
		})
	}
}
