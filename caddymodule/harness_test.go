package caddymodule

// The tests of this package run a real Caddy in this process, with a real
// engine on a file:// bucket. Where the app would be stands testApp.
//
//	go test -race ./caddymodule/
//	go test -run '^$' -bench . ./caddymodule/

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/encode/gzip"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/fileserver"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"
	_ "github.com/caddyserver/caddy/v2/modules/logging"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/web"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	caddy.RegisterModule(new(testApp))
	dir, err := os.MkdirTemp("", "media-offload-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// Caddy keeps an instance id and the last config below these.
	os.Setenv("XDG_DATA_HOME", dir)
	os.Setenv("XDG_CONFIG_HOME", dir)
	web.PageDelay = 200 * time.Millisecond // a busy machine takes 2 ms for no pause
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// longest bounds every wait of a test; a busy machine takes its time.
const longest = time.Minute

// appFunc is what an app does with a request.
type appFunc func(w http.ResponseWriter, r *http.Request) error

// testApp is a handler that does what a test wants.
type testApp struct {
	// Name finds the function in testApps. Default: none.
	Name string `json:"name,omitempty"`
}

var testApps sync.Map // name → appFunc

func (*testApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_app", New: func() caddy.Module { return new(testApp) }}
}

func (a *testApp) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	f, ok := testApps.Load(a.Name)
	if !ok {
		return next.ServeHTTP(w, r)
	}
	return f.(appFunc)(w, r)
}

// testSite is a site with an app, its media, a bucket, and a running Caddy.
type testSite struct {
	t       testing.TB
	docRoot string
	uploads string
	bucket  string
	port    int
	scheme  string
	handler map[string]any   // the JSON of media_offload
	before  []map[string]any // handlers before it
	after   []map[string]any // handlers between it and the app
	server  map[string]any   // further settings of the server
	apps    map[string]any   // further Caddy apps
	appName string
	client  *http.Client
	clients []*http.Client // further ones
	loads   int
	logFile string // of the access log; "": none
	ownLog  string // file of this module's log; "": none
	admin   string // address of the admin API; "": off
}

const publicTestURL = "https://cdn.test/m/"

// newTestSite makes a WordPress-like site; start runs it.
func newTestSite(t testing.TB, app appFunc) *testSite {
	t.Helper()
	dir := t.TempDir()
	s := &testSite{
		t:       t,
		docRoot: filepath.Join(dir, "www"),
		uploads: filepath.Join(dir, "www", "wp-content", "uploads"),
		bucket:  filepath.Join(dir, "bucket"),
		port:    freePort(t),
		scheme:  "http",
		appName: t.Name(),
		client:  &http.Client{Timeout: longest, Transport: &http.Transport{DisableCompression: true}},
		server:  map[string]any{},
		apps:    map[string]any{},
	}
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if err := os.MkdirAll(s.uploads, 0o755); err != nil {
		t.Fatal(err)
	}
	s.handler = map[string]any{
		"handler": "media_offload",
		"app":     map[string]any{"preset": "wordpress", "docroot": s.docRoot},
		"bucket":  map[string]any{"url": "file://" + s.bucket},
		"deletes": "never",
		// Most public URLs of these tests lead nowhere.
		"cors_check": "off",
	}
	testApps.Store(s.appName, app)
	return s
}

// start runs the site and stops it at the end of the test; nothing may be left
// running then.
func (s *testSite) start() {
	s.t.Helper()
	leaks := goleak.IgnoreCurrent()
	if err := s.load(); err != nil {
		s.t.Fatal(err)
	}
	t := s.t // subtests change s.t
	t.Cleanup(func() {
		if s.admin != "" { // only a new config ends the admin API
			s.admin = ""
			if err := s.load(); err != nil {
				t.Error(err)
			}
		}
		for _, client := range append(s.clients, s.client) {
			client.CloseIdleConnections()
			if c, ok := client.Transport.(io.Closer); ok {
				c.Close()
			}
		}
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
		stopping.Wait()
		testApps.Delete(s.appName)
		wantNoLeaks(t, leaks)
	})
}

// ignoreCaddy leaves out a goroutine of Caddy's storage that ends a few seconds
// after Caddy has.
var ignoreCaddy = goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh")

// wantNoLeaks waits until no goroutine is left: Caddy does not wait for the
// connections of a config that ends.
func wantNoLeaks(t testing.TB, leaks goleak.Option) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(longest); time.Now().Before(deadline); {
		if err = goleak.Find(leaks, ignoreCaddy); err == nil {
			return
		}
	}
	t.Error(err)
}

// load loads the config, again if it runs already. After that a request may
// still reach the old config, or a connection that nobody accepted be reset.
func (s *testSite) load() error {
	s.loads++
	return caddy.Load(s.config(), true)
}

func (s *testSite) config() []byte {
	handlers := append([]map[string]any{}, s.before...)
	handlers = append(handlers, s.handler)
	handlers = append(handlers, s.after...)
	handlers = append(handlers, map[string]any{"handler": "test_app", "name": s.appName})
	server := map[string]any{
		"listen":          []string{fmt.Sprintf("127.0.0.1:%d", s.port)},
		"automatic_https": map[string]any{"disable": true},
		"protocols":       []string{"h1", "h2c"},
		"routes":          []any{map[string]any{"handle": handlers}},
	}
	maps.Copy(server, s.server)
	apps := map[string]any{"http": map[string]any{
		"grace_period": "1s",
		"servers":      map[string]any{"test": server},
	}}
	maps.Copy(apps, s.apps)
	logs := map[string]any{"default": map[string]any{"level": "PANIC"}}
	if s.logFile != "" {
		logs["access"] = map[string]any{
			"include": []string{"http.log.access"},
			"writer":  map[string]any{"output": "file", "filename": s.logFile, "roll": false},
		}
	}
	if s.ownLog != "" {
		logs["own"] = map[string]any{
			"include": []string{handlerID},
			"writer":  map[string]any{"output": "file", "filename": s.ownLog, "roll": false},
		}
	}
	admin := map[string]any{"disabled": s.admin == "", "config": map[string]any{"persist": false}}
	if s.admin != "" {
		admin["listen"] = s.admin
	}
	return mustJSON(s.t, map[string]any{
		"admin":   admin,
		"logging": map[string]any{"logs": logs},
		"apps":    apps,
	})
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// url returns the URL of a path of the site.
func (s *testSite) url(path string) string { return s.origin() + path }

func (s *testSite) origin() string { return s.scheme + "://127.0.0.1:" + strconv.Itoa(s.port) }

// answer is a response with its body read.
type answer struct {
	*http.Response
	body string
	err  error // of reading the body
}

// do sends a request; header is pairs of name and value.
func (s *testSite) do(method, path, body string, header ...string) answer {
	s.t.Helper()
	var response *http.Response
	for try := 0; response == nil; try++ {
		r, err := http.NewRequestWithContext(s.t.Context(), method, s.url(path), strings.NewReader(body))
		if err != nil {
			s.t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		if response, err = s.client.Do(r); err != nil && try >= s.loads-1 {
			s.t.Fatal(err)
		}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{Response: response, body: string(text), err: err}
}

// get is do for a GET that must succeed.
func (s *testSite) get(path string, header ...string) answer {
	s.t.Helper()
	a := s.do(http.MethodGet, path, "", header...)
	if a.err != nil {
		s.t.Fatal(a.err)
	}
	return a
}

// writeUpload writes a media file as the app does.
func (s *testSite) writeUpload(key, content string) {
	s.t.Helper()
	name := filepath.Join(s.uploads, filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		s.t.Error(err)
		return
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		s.t.Error(err)
	}
}

// object returns the content of an object in the bucket.
func (s *testSite) object(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(s.bucket, filepath.FromSlash(name)))
	return string(text), err
}

// upload writes files through a POST to the app and checks that they are in the
// bucket when the answer is here.
func (s *testSite) upload(files map[string]string) {
	s.t.Helper()
	a := s.do(http.MethodPost, "/upload", string(mustJSON(s.t, files)))
	if a.StatusCode != http.StatusOK {
		s.t.Fatalf("upload: status %d: %s", a.StatusCode, a.body)
	}
	for key, content := range files {
		if got, err := s.object("media/" + key); err != nil || got != content {
			s.t.Fatalf("object of %s: %.40q, %v", key, got, err)
		}
	}
}

// drop removes the local copy of a media file. The site must have deletes
// "never": the request before may not have ended yet.
func (s *testSite) drop(key string) {
	s.t.Helper()
	if err := os.Remove(filepath.Join(s.uploads, filepath.FromSlash(key))); err != nil {
		s.t.Fatal(err)
	}
}

// uploadApp writes what POST /upload has as JSON (key → content), and answers
// other requests with f.
func uploadApp(s **testSite, f appFunc) appFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		original := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
		if original.URL.Path != "/upload" {
			return f(w, r)
		}
		var files map[string]string
		if err := json.NewDecoder(r.Body).Decode(&files); err != nil {
			return caddyhttp.Error(http.StatusBadRequest, err)
		}
		for key, content := range files {
			(*s).writeUpload(key, content)
		}
		_, err := io.WriteString(w, "uploaded")
		return err
	}
}

// notFound is an app that has nothing.
func notFound(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusNotFound)
	_, err := io.WriteString(w, "app: not found")
	return err
}

// html is an app that answers with a page.
func html(body string) appFunc {
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		_, err := io.WriteString(w, body)
		return err
	}
}

// eventually polls until f is true, for things that nothing tells about.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(longest); time.Now().Before(deadline); {
		if f() {
			return
		}
		time.Sleep(5 * time.Millisecond) // nothing signals this from outside
	}
	t.Fatalf("%s: not within %s", what, longest)
}

func repeat(s string, size int) string {
	return string(bytes.Repeat([]byte(s), size/len(s)+1)[:size])
}
