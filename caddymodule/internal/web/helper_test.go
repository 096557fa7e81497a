package web

// These are tests of parts. Those of whole requests are in package caddymodule, where
// Caddy runs them.

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/dir"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/publiccheck"
)

func TestMain(m *testing.M) {
	PageDelay = 200 * time.Millisecond // a busy machine takes 2 ms for no pause
	os.Exit(m.Run())
}

const (
	publicTestURL = "https://cdn.test/m/"
	mediaImage    = `<img src="/wp-content/uploads/a.jpg">`
	publicImage   = `<img src="` + publicTestURL + `a.jpg">`
)

// testServer is a server that knows nothing but the client's address.
type testServer struct{ clientIP string }

func (testServer) OriginalURL(*http.Request) *url.URL                              { return nil }
func (testServer) WithOriginalURL(ctx context.Context, _ *url.URL) context.Context { return ctx }
func (s testServer) ClientIP(*http.Request) string                                 { return s.clientIP }
func (testServer) FromTrustedProxy(*http.Request) bool                             { return false }
func (testServer) Note(*http.Request, slog.Attr)                                   {}

// newTestSite returns a WordPress site whose app lies in an empty directory.
func newTestSite(t testing.TB) (site *media.Site, docRoot string) {
	t.Helper()
	docRoot = t.TempDir()
	site, err := media.New(media.Config{Preset: "wordpress", DocRoot: docRoot})
	if err != nil {
		t.Fatal(err)
	}
	return site, docRoot
}

// newTestEngine returns an engine for a site that has not been started, and stops it at
// the end.
func newTestEngine(t testing.TB, site *media.Site) *offload.Engine {
	t.Helper()
	store, err := dir.Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	engine, err := offload.New(offload.Config{
		Site: site, Store: store, PublicPrefix: "media/", PrivatePrefix: "private/", ControlPrefix: "offload/",
		Local: offload.LocalAll, Deletes: offload.DeletesAlways, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return engine
}

// newTestHandler returns a handler for the pages of a site.
func newTestHandler(t testing.TB, site *media.Site, engine *offload.Engine) *Handler {
	t.Helper()
	return newTestHandlerAt(t, publicTestURL, site, engine)
}

// newTestHandlerAt returns one with another public URL.
func newTestHandlerAt(t testing.TB, publicURL string, site *media.Site, engine *offload.Engine) *Handler {
	t.Helper()
	check, err := publiccheck.New(publiccheck.Config{
		PublicURL: publicURL, CORS: publiccheck.Refuse, Log: slog.New(slog.DiscardHandler),
		Hidden: func(context.Context) ([]string, string, error) { return nil, "", nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(check.Close)
	use := testUse{engine, NewTurnout(slog.New(slog.DiscardHandler))}
	h, err := New(Config{
		Site: site, Engine: engine, Acquire: func() Use { return use }, Server: testServer{}, Log: slog.New(slog.DiscardHandler),
		PublicURL: publicURL, Public: check, Serve: ServeProxy, DenyPrivate: true,
		Hold: 10 * time.Second, HoldBuffer: 1 << 20, ReadyWait: 30 * time.Second, SlowBody: 1 << 10, SlowBodyAfter: 10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// testUse is a Use of an engine that stays.
type testUse struct {
	engine  *offload.Engine
	turnout *Turnout
}

func (u testUse) Engine() *offload.Engine { return u.engine }
func (u testUse) Turnout() *Turnout       { return u.turnout }
func (testUse) Release()                  {}

// writeFile writes a media file below the site's directory.
func writeFile(t testing.TB, docRoot, key, content string) {
	t.Helper()
	name := filepath.Join(docRoot, "wp-content", "uploads", filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// longest bounds every wait of a test; a busy machine takes its time.
const longest = time.Minute

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
