package caddymodule

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// TestURLVersion: the URL in a page changes with the file, and what is pasted
// from the page into a form reaches the app without a version.
//
// Promise 4: "public URLs that come back in a request body are turned back into
// local ones".
func TestURLVersion(t *testing.T) {
	var s *testSite
	s = newTestSite(t, uploadApp(&s, func(w http.ResponseWriter, r *http.Request) error {
		if r.Method == http.MethodPost {
			return echo(w, r)
		}
		return html(`<img src="/wp-content/uploads/a.jpg"><img src="/wp-content/uploads/a.jpg?x=1#f">`)(w, r)
	}))
	s.handler["public_url"] = publicTestURL
	s.handler["url_version"] = true
	s.start()

	page := regexp.MustCompile(`^<img src="(https://cdn\.test/m/a\.jpg\?v=mo[0-9a-f]{10})"><img src="(https://cdn\.test/m/a\.jpg\?x=1&amp;v=mo[0-9a-f]{10})#f">$`)
	var versions []string
	for _, content := range []string{"one", "two", "one"} {
		s.upload(map[string]string{"a.jpg": content})
		body := s.get("/").body
		found := page.FindStringSubmatch(body)
		if found == nil || strings.Replace(found[2], "?x=1&amp;v=", "?v=", 1) != found[1] {
			t.Fatalf("page: %s", body)
		}
		versions = append(versions, found[1])
	}
	if versions[0] == versions[1] {
		t.Errorf("the URL did not change with the content: %s", versions[0])
	}
	if versions[0] != versions[2] {
		t.Errorf("the same content has two URLs: %q", versions)
	}

	local := s.origin() + "/wp-content/uploads/a.jpg"
	for body, want := range map[string]string{
		"a=" + url.QueryEscape(`<img src="`+versions[0]+`">`):                            "a=" + url.QueryEscape(`<img src="`+local+`">`),
		"a=" + url.QueryEscape(versions[0]+"?x=1#f") + "&b=1":                            "a=" + url.QueryEscape(local+"?x=1#f") + "&b=1",
		"a=" + url.QueryEscape(strings.Replace(versions[0], "?", "?x=1&", 1)+"#f"):       "a=" + url.QueryEscape(local+"?x=1#f"),
		"a=" + url.QueryEscape(strings.Replace(versions[0], "?", "?x=1&amp;", 1)+"&y=2"): "a=" + url.QueryEscape(local+"?x=1&y=2"),
		"a=" + url.QueryEscape(versions[0]+"&x=1"):                                       "a=" + url.QueryEscape(local+"?x=1"),
		"a=" + url.QueryEscape("https://other.test/?v=mo01234"):                          "",
	} {
		if want == "" {
			want = body
		}
		got := s.sent(http.MethodPost, "/", strings.NewReader(body), int64(len(body)), "Content-Type", formType, "Cookie", session)
		if got.Body != want || got.Length != int64(len(want)) {
			t.Errorf("%s: %s, want %s", body, got.Body, want)
		}
	}
}

// TestFontsHaveOneURL: a sheet in the bucket names its fonts as it always did, so that a
// font which a page names as well, to preload it, has no version there.
//
// Promise 4: "A page works as it did before."
func TestFontsHaveOneURL(t *testing.T) {
	const text = `<link rel="preload" as="font" crossorigin href="U/a.woff2"><link rel="stylesheet" href="U/a.css"><style>@font-face{src:url(U/a.EOT)}</style>`
	var s *testSite
	s = newTestSite(t, uploadApp(&s, html(strings.ReplaceAll(text, "U/", uploadsPath))))
	s.handler["public_url"] = publicTestURL
	s.handler["url_version"] = true
	s.handler["cors_check"] = "allowed"
	s.start()
	s.upload(map[string]string{"a.woff2": "font", "a.EOT": "font", "a.css": "@font-face{src:url(a.woff2)}"})
	got := regexp.MustCompile(`v=mo[0-9a-f]{10}`).ReplaceAllString(s.get("/").body, "v=1")
	if want := strings.Replace(strings.ReplaceAll(text, "U/", publicTestURL), "a.css", "a.css?v=1", 1); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestRememberedTagsFollowTheFile: a tag that stands in pages which are each
// another is not read again, until what it refers to changes.
//
// Promise 3: "A URL whose object is not known to be committed stays as it is; the
// local URL always works."
func TestRememberedTagsFollowTheFile(t *testing.T) {
	var s *testSite
	visits := 0
	s = newTestSite(t, uploadApp(&s, func(w http.ResponseWriter, r *http.Request) error {
		visits++
		return html(fmt.Sprintf(`<p>%d</p><img src="/wp-content/uploads/a.jpg">`, visits))(w, r)
	}))
	s.handler["public_url"] = publicTestURL
	s.handler["url_version"] = true
	s.start()

	image := func() string {
		_, tag, _ := strings.Cut(s.get("/").body, "</p>")
		return tag
	}
	if got := image(); got != `<img src="/wp-content/uploads/a.jpg">` {
		t.Fatalf("before the upload: %s", got)
	}
	before := ""
	for _, content := range []string{"one", "two", "three"} {
		s.upload(map[string]string{"a.jpg": content})
		first := image()
		if first == before || !strings.HasPrefix(first, `<img src="`+publicTestURL+`a.jpg?v=`) {
			t.Errorf("after the upload of %s: %s", content, first)
		}
		for range 3 {
			if got := image(); got != first {
				t.Errorf("%s, then %s", first, got)
			}
		}
		before = first
	}
}
