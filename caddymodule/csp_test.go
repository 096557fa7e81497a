package caddymodule

import (
	"net/http"
	"strings"
	"testing"
)

// TestPolicyOfPages: the header of pages that may be rewritten, and of no other
// answer.
func TestPolicyOfPages(t *testing.T) {
	const policy = "img-src 'self'"
	s := newTestSite(t, func(w http.ResponseWriter, r *http.Request) error {
		hdr := w.Header()
		hdr.Add("Content-Security-Policy", policy)
		hdr.Add("Content-Security-Policy", "font-src 'self'")
		hdr.Set("Content-Security-Policy-Report-Only", policy)
		switch r.URL.Path {
		case "/", "/wp-admin/":
			return html("<p>")(w, r)
		case "/not-modified":
			w.WriteHeader(http.StatusNotModified)
		case "/download":
			hdr.Set("Content-Disposition", "attachment")
			return html("<p>")(w, r)
		case "/picture":
			hdr.Set("Content-Type", "image/png")
			_, err := w.Write([]byte("x"))
			return err
		}
		return nil
	})
	s.handler["public_url"] = publicTestURL
	s.start()
	for _, test := range []struct {
		method, path string
		extended     bool
	}{
		{"GET", "/", true},
		{"HEAD", "/", true},
		{"POST", "/", true},
		{"GET", "/not-modified", true},
		{"GET", "/wp-admin/", false},
		{"GET", "/download", false},
		{"GET", "/picture", false},
	} {
		hdr := s.do(test.method, test.path, "").Header
		want := []string{policy, "font-src 'self'", policy}
		if test.extended {
			for i := range want {
				want[i] += " " + publicTestURL
			}
		}
		got := append(hdr["Content-Security-Policy"], hdr["Content-Security-Policy-Report-Only"]...)
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%s %s: %q, want %q", test.method, test.path, got, want)
		}
	}
}

// TestPolicyInMeta: what stands in a page, be there media in it or not.
func TestPolicyInMeta(t *testing.T) {
	const meta = `<head><meta http-equiv="Content-Security-Policy" content="img-src 'self'; script-src 'none'"></head><p>`
	s := newTestSite(t, html(meta))
	s.handler["public_url"] = publicTestURL
	s.start()
	want := strings.Replace(meta, "'self'", "'self' "+publicTestURL, 1)
	if a := s.do("GET", "/", ""); a.body != want {
		t.Errorf("got  %s\nwant %s", a.body, want)
	}
	if a := s.do("GET", "/wp-admin/", ""); a.body != meta {
		t.Errorf("an admin page changes: %s", a.body)
	}
}
