package publiccheck

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/publiccheck/publictest"
	"github.com/media-offload/caddy-media-offload/rewrite"
)

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

// testCheck is a check with a clock that stands still.
type testCheck struct {
	*Check
	public string
	log    *logLines
	clock  time.Time
}

func newTestCheck(t *testing.T, publicURL string, cors CORS) *testCheck {
	t.Helper()
	c := &testCheck{public: publicURL, log: new(logLines), clock: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)}
	var err error
	if c.Check, err = New(Config{
		PublicURL: publicURL, CORS: cors, Count: new(Count), Log: slog.New(slog.NewTextHandler(c.log, nil)),
		Hidden: func(context.Context) ([]string, string, error) { return nil, "", nil },
	}); err != nil {
		t.Fatal(err)
	}
	c.now = func() time.Time { return c.clock }
	t.Cleanup(c.Close)
	return c
}

// page has a page refer to files where CORS is needed, and be served. It reports
// whether the last one may come from the public URL.
func (c *testCheck) page(origin string, files ...string) (moves bool) {
	p := pageOf(origin)
	for _, file := range files {
		moves = c.Readable(p, []byte(file), []byte(c.public+file))
	}
	c.Served(p)
	c.asking.Wait()
	return moves
}

// plainPage is page for a file that needs no CORS.
func (c *testCheck) plainPage(origin, file string, isolated bool) bool {
	p := pageOf(origin)
	moves := c.Embeddable(p, []byte(c.public+file), isolated)
	c.Served(p)
	c.asking.Wait()
	return moves
}

func pageOf(origin string) *rewrite.Page {
	scheme, host, _ := strings.Cut(origin, "://")
	return &rewrite.Page{Scheme: scheme, Host: host}
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
		{"all", siteOrigin, 200, []string{AllowOrigin, "*"}, true, ""},
		{"this one", siteOrigin, 200, []string{AllowOrigin, "echo"}, true, ""},
		{"by name", "https://Site.test:8443", 200, []string{AllowOrigin, siteOrigin}, true, ""},
		{"without TLS", "http://site.test", 200, []string{AllowOrigin, "http://site.test"}, true, ""},
		{"with the scheme's port", "https://site.test:443", 200, []string{AllowOrigin, "https://site.test"}, true, ""},
		{"206", siteOrigin, 206, []string{AllowOrigin, "*"}, true, ""},
		{"nobody", siteOrigin, 200, nil, false, "origin=" + siteOrigin + " access_control_allow_origin=\"\""},
		{"another", siteOrigin, 200, []string{AllowOrigin, "https://other.test"}, false, "access_control_allow_origin=https://other.test"},
		{"with TLS only", "http://site.test", 200, []string{AllowOrigin, "https://site.test"}, false, "trusted_proxies"},
		{"two headers", siteOrigin, 200, []string{AllowOrigin, "*", AllowOrigin, "*"}, false, "fonts"},
		{"null", siteOrigin, 200, []string{AllowOrigin, "null"}, false, "fonts"},
		{"not public", siteOrigin, 403, []string{AllowOrigin, "*"}, false, "403 Forbidden"},
		{"elsewhere", siteOrigin, 302, []string{AllowOrigin, "*", "Location", "/elsewhere"}, false, "302 Found"},
		{"broken", siteOrigin, 0, nil, false, "EOF"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := publictest.NewRules(t)
			server.Set(test.status, test.header...)
			c := newTestCheck(t, server.URL+"/m/", Ask)
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
			asked := server.Questions()
			if want := browserOrigin(pageOf(test.origin).Scheme, pageOf(test.origin).Host) + " /m/a.woff2"; len(asked) != 1 || asked[0] != want {
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
	server := publictest.NewServer(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".woff2") {
			w.Header().Set(AllowOrigin, "*")
		}
	})
	c := newTestCheck(t, server.URL+"/", Ask)
	for i := range 2 {
		if font, picture := c.page(siteOrigin, "a.woff2"), c.page(siteOrigin, "a.jpg"); font != (i > 0) || picture {
			t.Errorf("time %d: font %v, picture %v", i, font, picture)
		}
	}
}

// TestCORSIsAskedAgain: a CDN that begins to send the header, or stops, is noticed,
// sooner if it is missing. The question is about another file each time, and the log
// is told of each change once.
func TestCORSIsAskedAgain(t *testing.T) {
	server := publictest.NewRules(t)
	c := newTestCheck(t, server.URL+"/", Ask)
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
		{200, []string{AllowOrigin, "*"}, askAgainSoon - 1, false, false, false},
		{200, []string{AllowOrigin, "*"}, 1, true, true, false},
		{200, nil, askAgain - 1, false, true, false},
		{200, nil, 1, true, false, true},
		{200, nil, askAgainSoon, true, false, false},
		{500, nil, askAgainSoon, true, false, true},
		{200, []string{AllowOrigin, "*"}, askAgainSoon, true, true, false},
		{0, nil, askAgain, true, false, true},
	} {
		server.Set(step.status, step.header...)
		c.clock = c.clock.Add(step.after)
		asked, warned := len(server.Questions()), strings.Count(c.log.all(), "level=WARN")
		page()
		requests := server.Questions()
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
	server := publictest.NewRules(t)
	c := newTestCheck(t, server.URL+"/", Ask)
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
	if q, r := c.count.Questions.Load(), c.count.Refused.Load(); q != 7 || r != 7 {
		t.Errorf("%d questions, %d refused", q, r)
	}
	server.Set(200, AllowOrigin, "*")
	c.clock = c.clock.Add(askAgain)
	if c.page(siteOrigin, "a.woff2"); lines() != 5 || strings.Count(c.log.all(), "level=INFO") != 1 {
		t.Errorf("mended: %s", c.log.all())
	}
	server.Set(200)
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
				w.Header().Set(AllowOrigin, "*")
			}
		}, []string{`endings="jpg js"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := publictest.NewServer(t, func(w http.ResponseWriter, r *http.Request) { test.wrong(w, r.URL.Path) })
			c := newTestCheck(t, server.URL+"/", Ask)
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
	for cors, moves := range map[CORS]bool{Refuse: false, Allow: true} {
		server := publictest.NewRules(t, AllowOrigin, "*", ResourcePolicy, "same-origin")
		c := newTestCheck(t, server.URL+"/", cors)
		for range 2 {
			if got := c.page(siteOrigin, "a.woff2"); got != moves {
				t.Errorf("%s: moves: %v", cors, got)
			}
			if !c.plainPage(siteOrigin, "a.jpg", false) || c.plainPage(siteOrigin, "a.jpg", true) {
				t.Errorf("%s: what needs no CORS moves from plain pages, and from those that require Cross-Origin-Resource-Policy not", cors)
			}
		}
		if asked := server.Questions(); len(asked) > 0 {
			t.Errorf("%s: asked %q", cors, asked)
		}
	}
	var none *Check
	if none.Readable(new(rewrite.Page), nil, nil) || !none.Embeddable(new(rewrite.Page), nil, false) || none.Embeddable(new(rewrite.Page), nil, true) {
		t.Error("what was not asked allows")
	}
}

// TestOwnOrigin: where the public URL is of the page's own origin, nothing has to be
// allowed, or asked.
func TestOwnOrigin(t *testing.T) {
	server := publictest.NewRules(t)
	c := newTestCheck(t, server.URL+"/m/", Ask)
	for range 2 {
		if !c.page(server.URL, "a.woff2") || !c.plainPage(server.URL, "a.jpg", true) {
			t.Error("does not move")
		}
	}
	if asked := server.Questions(); len(asked) > 0 {
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
			header = append(header, ResourcePolicy, policy)
		}
		server := publictest.NewRules(t, header...)
		c := newTestCheck(t, server.URL+"/", Ask)
		if test.origin == "" {
			test.origin = siteOrigin
		}
		if c.Embeddable(pageOf(test.origin), []byte(c.public+"a.jpg"), true) || !c.plainPage(test.origin, "a.jpg?v=mo0123456789", false) {
			t.Errorf("%+v: before anything was seen", test)
		}
		if plain, isolated := c.plainPage(test.origin, "a.jpg", false), c.plainPage(test.origin, "a.jpg", true); plain != test.plain || isolated != test.isolated {
			t.Errorf("%+v: plain pages %v, isolated ones %v", test, plain, isolated)
		}
		if warned := strings.Contains(c.log.all(), "forbids"); warned == test.plain {
			t.Errorf("%+v: log: %s", test, c.log.all())
		}
		server.Set(200, ResourcePolicy, "cross-origin")
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
		c := newTestCheck(t, test.public, Ask)
		if got := c.isSameSite(test.origin); got != test.want {
			t.Errorf("%s and %s: %v", test.public, test.origin, got)
		}
	}
}

// TestCheckIsBounded: hosts that a client makes up do not make this server ask
// without end, nor take the place of those whose pages are read.
//
// Promise 5: "Memory for a rewritten response is bounded".
func TestCheckIsBounded(t *testing.T) {
	server := publictest.NewRules(t, AllowOrigin, "*")
	c := newTestCheck(t, server.URL+"/", Ask)
	madeUp := func(i int) string { return "https://x" + fmt.Sprint(i) + ".test" }
	c.page(siteOrigin, "a.woff2")
	for i := range 3 * maxOrigins {
		c.page(madeUp(i), "a.woff2")
	}
	if n := len(server.Questions()); n != maxOrigins || len(*c.origins.Load()) != maxOrigins {
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

// TestCheckKnowsManyHosts: scripts of each host of a multisite name files of many endings,
// and all are asked for.
func TestCheckKnowsManyHosts(t *testing.T) {
	server := publictest.NewRules(t, AllowOrigin, "*")
	c := newTestCheck(t, server.URL+"/", Ask)
	endings := strings.Fields("woff woff2 jpg jpeg png webp gif svg mp4 mp3 json js css pdf")
	for host := range maxOrigins {
		var files []string
		for _, ending := range endings {
			files = append(files, "a."+ending)
		}
		origin := fmt.Sprintf("https://x%d.test", host)
		if c.page(origin, files...); !c.page(origin, files...) {
			t.Fatalf("host %d: what scripts name stays", host)
		}
	}
}

// TestCheckEnds: closing it does not wait for a server that does not answer.
func TestCheckEnds(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(entered); <-leave }))
	defer server.Close()
	defer close(leave)
	c := newTestCheck(t, server.URL+"/", Ask)
	p := pageOf(siteOrigin)
	c.Readable(p, []byte("a.woff2"), []byte(server.URL+"/a.woff2"))
	c.Served(p)
	<-entered
	c.Close()
	c.page("https://other.test", "a.woff2") // asks nothing, or the handler would panic
	if c.log.all() != "" || !errors.Is(c.ctx.Err(), context.Canceled) {
		t.Errorf("log: %s", c.log.all())
	}
}
