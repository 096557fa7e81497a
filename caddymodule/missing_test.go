package caddymodule

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

const missingPath = "/wp-content/uploads/2026/11/none.jpg"

// newMissingSite makes a site that has compared disk and bucket, and counts
// what its app is asked.
func newMissingSite(t *testing.T, change func(s *testSite)) (*testSite, *atomic.Int64) {
	t.Helper()
	asked := new(atomic.Int64)
	s := newTestSite(t, func(w http.ResponseWriter, r *http.Request) error {
		asked.Add(1)
		return notFound(w, r)
	})
	s.after = []map[string]any{{"handler": "file_server", "root": s.docRoot, "pass_thru": true}}
	if change != nil {
		change(s)
	}
	s.start()
	eventually(t, "a reconcile", func() bool { return !theEngine(t).engine.Stats().Reconciled.IsZero() })
	return s, asked
}

// TestMissing: WordPress is not asked for what it would not make, and for all
// else it is.
func TestMissing(t *testing.T) {
	s, asked := newMissingSite(t, nil)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		a := s.do(method, missingPath, "")
		if a.StatusCode != http.StatusNotFound || a.body != "" || a.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %d %q %v", method, a.StatusCode, a.body, a.Header)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the app was asked %d times", n)
	}

	outside := filepath.Join(t.TempDir(), "old")
	if err := os.MkdirAll(outside, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(outside, "a.jpg"), []byte("old picture"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(s.uploads, "2009")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(outside, "a.jpg"), filepath.Join(s.uploads, "link.jpg")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"2009/a.jpg", "link.jpg"} {
		if a := s.get("/wp-content/uploads/" + name); a.body != "old picture" {
			t.Errorf("%s, through a symlink: %d %q", name, a.StatusCode, a.body)
		}
	}

	for i, request := range []struct{ method, path string }{
		{"GET", "/none"},
		{"GET", "/wp-content/uploads/woocommerce_uploads/none.pdf"}, // private: the app says who may know
		{"GET", "/wp-content/uploads/none.php"},
		{"GET", "/wp-content/uploads/2026/"},
		{"GET", "/wp-content/uploads/%2e%2e/none.jpg"},
		{"POST", missingPath},
	} {
		if a := s.do(request.method, request.path, ""); a.StatusCode != http.StatusNotFound || asked.Load() != int64(i+1) {
			t.Errorf("%s %s: %d, the app was asked %d times", request.method, request.path, a.StatusCode, asked.Load())
		}
	}
}

// TestMissingFileAppears: a file that comes later is served at once.
func TestMissingFileAppears(t *testing.T) {
	s, _ := newMissingSite(t, nil)
	if a := s.get(missingPath); a.StatusCode != http.StatusNotFound {
		t.Fatalf("%d", a.StatusCode)
	}
	s.writeUpload("2026/11/none.jpg", "picture")
	if a := s.get(missingPath); a.body != "picture" {
		t.Errorf("%d %q", a.StatusCode, a.body)
	}
}

// TestMissingIsForTheApp: by option, and where the app may make the file.
func TestMissingIsForTheApp(t *testing.T) {
	for name, change := range map[string]func(s *testSite){
		"option": func(s *testSite) { s.handler["missing"] = "app" },
		"an app that makes files when asked": func(s *testSite) {
			s.handler["app"] = nil
			s.handler["roots"] = []any{map[string]any{"dir": s.uploads, "url": "/wp-content/uploads/"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, asked := newMissingSite(t, change)
			if a := s.get(missingPath); a.body != "app: not found" || asked.Load() != 1 {
				t.Errorf("%d %q", a.StatusCode, a.body)
			}
		})
	}
}

// TestMissingWhenBucketFails: it may have the file.
func TestMissingWhenBucketFails(t *testing.T) {
	asked := new(atomic.Int64)
	var s *testSite
	s = newTestSite(t, uploadApp(&s, func(w http.ResponseWriter, r *http.Request) error {
		asked.Add(1)
		return notFound(w, r)
	}))
	mount := s.bucket
	s.bucket = filepath.Join(mount, "bucket") // it is made, but not what it is in
	s.handler["bucket"] = map[string]any{"url": "file://" + s.bucket}
	s.start()
	if a := s.get(missingPath); a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("bucket away: %d", a.StatusCode)
	}
	if err := os.Mkdir(mount, 0o755); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a 404 of the module's", func() bool {
		before := asked.Load()
		a := s.get(missingPath)
		return a.StatusCode == http.StatusNotFound && asked.Load() == before
	})
}

func TestMissingOption(t *testing.T) {
	s := newTestSite(t, notFound)
	s.handler["missing"] = "410"
	if err := s.load(); err == nil || !strings.Contains(err.Error(), `missing: "410" is none of 404, app`) {
		t.Errorf("error %v", err)
	}
}
