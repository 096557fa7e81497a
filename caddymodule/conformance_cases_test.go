package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
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
				wantTag = `W/"v1~mo`
			}
			if tag := a.Header.Get("Etag"); !strings.HasPrefix(tag, wantTag) {
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
			if m.method == http.MethodPost && !m.rewrites {
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
