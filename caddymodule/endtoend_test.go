package caddymodule

import (
	"net/http"
	"strings"
	"testing"
)

// TestUploadPageRead is the module's work in one test: an upload is held until
// it is in the bucket, a page gets the public URL, and the file is served
// from the bucket when the disk has lost it.
func TestUploadPageRead(t *testing.T) {
	var s *testSite
	s = newTestSite(t, uploadApp(&s, func(w http.ResponseWriter, r *http.Request) error {
		if strings.HasPrefix(r.URL.Path, "/wp-content/") {
			return notFound(w, r)
		}
		return html(`<p>/wp-content/uploads/2026/11/a.jpg</p><img src="/wp-content/uploads/2026/11/a.jpg"><img src="/wp-content/uploads/2026/11/b.jpg">`)(w, r)
	}))
	s.handler["public_url"] = publicTestURL
	s.start()

	s.upload(map[string]string{"2026/11/a.jpg": "picture"})

	page := s.get("/")
	want := `<p>/wp-content/uploads/2026/11/a.jpg</p><img src="https://cdn.test/m/2026/11/a.jpg"><img src="/wp-content/uploads/2026/11/b.jpg">`
	if page.body != want {
		t.Errorf("page:\n%s\nwant:\n%s", page.body, want)
	}

	s.drop("2026/11/a.jpg")
	file := s.get("/wp-content/uploads/2026/11/a.jpg")
	if file.StatusCode != http.StatusOK || file.body != "picture" || file.Header.Get("Content-Type") != "image/jpeg" {
		t.Errorf("file: %d %q %v", file.StatusCode, file.body, file.Header)
	}
	if missing := s.get("/wp-content/uploads/2026/11/b.jpg"); missing.StatusCode != http.StatusNotFound {
		t.Errorf("missing file: %d %q", missing.StatusCode, missing.body)
	}
}
