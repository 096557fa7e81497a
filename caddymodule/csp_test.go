package caddymodule

import (
	"cmp"
	"fmt"
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

// TestHashesInPolicies: inline text that a policy names by its hash keeps its bytes,
// whichever way the policy comes, and however often the page does.
//
// Promise 4: "A page works as it did before."
func TestHashesInPolicies(t *testing.T) {
	const (
		local   = "/wp-content/uploads/p3.jpg"
		whole   = "//127.0.0.1" + local
		style   = `<style>p{background:url(` + local + `)}</style><p style="background:url(` + local + `)">`
		script  = `<script>show("` + whole + `")</script><p onclick="show('` + whole + `')">`
		image   = `<img src="` + local + `">`
		meta    = `<meta http-equiv="Content-Security-Policy" content="%s">`
		styles  = "style-src 'sha256-AAAA='"
		scripts = "script-src 'unsafe-hashes' 'sha512-AAAA='"
		both    = "default-src 'sha384-AAAA='"
		none    = "style-src 'unsafe-inline'; img-src 'sha256-AAAA='; script-src 'unsafe-hashes' 'unsafe-inline'"
	)
	var s *testSite
	s = newTestSite(t, uploadApp(&s, func(w http.ResponseWriter, r *http.Request) error {
		body := style + script + image
		policy := r.Header.Get("X-Policy")
		if field := r.Header.Get("X-Field"); field != "" {
			w.Header().Set(field, policy)
		} else {
			body = fmt.Sprintf(meta, policy) + body
		}
		return html(body)(w, r)
	}))
	s.handler["public_url"] = publicTestURL
	s.handler["cors_check"] = "allowed"
	s.start()
	s.upload(map[string]string{"p3.jpg": "picture"})
	moved := strings.NewReplacer(whole, publicTestURL+"p3.jpg", local, publicTestURL+"p3.jpg")
	for range 3 { // tags and pages are remembered by then
		for _, test := range []struct{ policy, want string }{
			{styles, style + moved.Replace(script+image)},
			{scripts, moved.Replace(style) + script + moved.Replace(image)},
			{both, style + script + moved.Replace(image)},
			{none, moved.Replace(style + script + image)},
		} {
			for _, field := range []string{"Content-Security-Policy", "Content-Security-Policy-Report-Only", ""} {
				want := test.want
				if field == "" {
					want = fmt.Sprintf(meta, test.policy) + want
				}
				if a := s.get("/", "X-Field", field, "X-Policy", test.policy); a.body != want {
					t.Errorf("%s: %s\ngot  %s\nwant %s", cmp.Or(field, "meta"), test.policy, a.body, want)
				}
			}
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
