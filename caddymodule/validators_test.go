package caddymodule

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// validatingApp is an app that says when what it makes has changed, and answers 304 as
// RFC 9110 wants it.
type validatingApp struct {
	tag, modified string
	contentType   string
	header        map[string]string
	body          string
	early         bool // the page leaves before its end

	runs, spared int // how many times it made a page and answered 304
	request      http.Header
}

const modifiedBefore = "Mon, 02 Jan 2006 15:04:05 GMT"

func (a *validatingApp) serve(w http.ResponseWriter, r *http.Request) error {
	a.request = r.Header.Clone()
	hdr := w.Header()
	hdr.Set("Content-Type", a.contentType)
	for name, value := range a.header {
		hdr.Set(name, value)
	}
	if a.tag != "" {
		hdr.Set("Etag", a.tag)
	}
	var modified time.Time
	if a.modified != "" {
		modified, _ = http.ParseTime(a.modified)
	}
	recorder := httptest.NewRecorder()
	for name, values := range hdr {
		recorder.Header()[name] = values
	}
	http.ServeContent(recorder, r, "", modified, strings.NewReader(a.body))
	if a.modified != "" {
		hdr.Set("Last-Modified", a.modified)
	}
	if recorder.Code == http.StatusNotModified {
		a.spared++
		delete(hdr, "Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	a.runs++
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	if a.early {
		if _, err := io.WriteString(w, repeat("<p>text</p>", 256<<10)); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, a.body)
	return err
}

// validatingSite is a site with a.jpg committed and url_version on.
func validatingSite(t *testing.T, app *validatingApp) *testSite {
	t.Helper()
	var s *testSite
	s = newTestSite(t, uploadApp(&s, app.serve))
	s.handler["public_url"] = publicTestURL
	s.handler["url_version"] = true
	s.handler["cors_check"] = "allowed"
	s.start()
	s.upload(map[string]string{"a.jpg": "picture"})
	return s
}

// conditions are those that a client has after an answer.
func conditions(a answer) (header []string) {
	if tag := a.Header.Get("Etag"); tag != "" {
		header = append(header, "If-None-Match", tag)
	}
	if modified := a.Header.Get("Last-Modified"); modified != "" {
		header = append(header, "If-Modified-Since", modified)
	}
	return header
}

var pageValidators = []struct {
	name, tag, modified string
	early               bool
}{
	{"ETag", `"v1"`, "", false},
	{"weak ETag", `W/"v1"`, "", false},
	{"date", "", modifiedBefore, false},
	{"both", `"v1"`, modifiedBefore, false},
	{"both, early", `"v1"`, modifiedBefore, true},
	{"date, early", "", modifiedBefore, true},
}

// TestNotModifiedIsTrue: a page that the app has not changed is sent again when what
// becomes of it is another, and not when it is not.
func TestNotModifiedIsTrue(t *testing.T) {
	for _, v := range pageValidators {
		t.Run(v.name, func(t *testing.T) {
			app := &validatingApp{tag: v.tag, modified: v.modified, early: v.early, contentType: "text/html", body: mediaImage}
			s := validatingSite(t, app)
			first := s.get("/page/?a=1")
			if !strings.Contains(first.body, publicTestURL+"a.jpg?v=mo") {
				t.Fatalf("page: %.100q", first.body)
			}
			held := conditions(first)
			if len(held) != 2 || held[0] != "If-None-Match" {
				t.Fatalf("the client is given %q", held)
			}
			// Nothing has changed: the app is asked, and says so.
			for range 2 {
				a := s.get("/page/?a=1", held...)
				if a.StatusCode != http.StatusNotModified || a.body != "" || a.Header.Get("Etag") != held[1] || a.Header.Get("Last-Modified") != "" {
					t.Fatalf("unchanged: %d %q %v", a.StatusCode, a.body, a.Header)
				}
			}
			if app.spared != 2 {
				t.Errorf("the app was spared %d times", app.spared)
			}
			// Another file: the page is the same, but it has to be made to know.
			s.upload(map[string]string{"other.jpg": "picture"})
			a := s.get("/page/?a=1", held...)
			if early := a.StatusCode == http.StatusOK; early != v.early || !early && a.Header.Get("Etag") != held[1] || app.spared != 2 {
				t.Errorf("after another file: %d %v", a.StatusCode, a.Header)
			}
			held = conditions(a)
			if held == nil {
				held = conditions(first)
			}
			if a := s.get("/page/?a=1", held...); a.StatusCode != http.StatusNotModified || app.spared != 3 {
				t.Errorf("after that: %d, the app was spared %d times", a.StatusCode, app.spared)
			}
			// The picture itself.
			s.upload(map[string]string{"a.jpg": "another picture"})
			a = s.get("/page/?a=1", held...)
			if a.StatusCode != http.StatusOK || a.body == first.body || a.Header.Get("Etag") == held[1] {
				t.Errorf("after the picture: %d %.100q", a.StatusCode, a.body)
			}
			// The public URL.
			held = conditions(a)
			s.handler["public_url"] = "https://other.test/"
			if err := s.load(); err != nil {
				t.Fatal(err)
			}
			// A request may still reach the old config, which is right to answer 304.
			eventually(t, "the page has the new public URL, and is sent", func() bool {
				return strings.Contains(s.get("/page/?a=1", held...).body, "https://other.test/a.jpg")
			})
		})
	}
}

// TestNotModifiedElsewhere: another server, or the same one after a start, gives the
// same ETag, so that a client keeps its page whichever answers.
func TestNotModifiedElsewhere(t *testing.T) {
	app := &validatingApp{tag: `"v1"`, modified: modifiedBefore, contentType: "text/html", body: mediaImage}
	s := validatingSite(t, app)
	held := conditions(s.get("/"))
	if err := s.load(); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if a := s.get("/", held...); a.StatusCode != http.StatusNotModified {
			t.Errorf("time %d: %d", i, a.StatusCode)
		}
	}
	if app.runs != 2 || app.spared != 2 {
		t.Errorf("the app made %d pages, and said %d times that nothing has changed", app.runs, app.spared)
	}
}

// TestForeignValidators: what a client has from before there was a public URL, or from
// another time, is no reason to say that nothing has changed.
func TestForeignValidators(t *testing.T) {
	app := &validatingApp{tag: `"v1"`, modified: modifiedBefore, contentType: "text/html", body: mediaImage}
	s := validatingSite(t, app)
	for _, held := range [][]string{
		{"If-None-Match", `"v1"`},
		{"If-None-Match", `W/"v1"`},
		{"If-None-Match", `*`},
		{"If-None-Match", `"x", "v1"`},
		{"If-Modified-Since", modifiedBefore},
		{"If-Modified-Since", "Mon, 30 Nov 2026 00:00:00 GMT"}, // when the client had it
		{"If-None-Match", `"v1"`, "If-Modified-Since", modifiedBefore},
		{"If-None-Match", `W/"v1~mo0123456789abcdef"`},
		{"If-None-Match", `W/"v1~mo0123456789abcdef`},
	} {
		for range 2 {
			if a := s.get("/", held...); a.StatusCode != http.StatusOK || !strings.Contains(a.body, publicTestURL) {
				t.Errorf("%q: %d %q", held, a.StatusCode, a.body)
			}
		}
	}
	tag := s.get("/").Header.Get("Etag")
	for _, held := range []string{tag, `"x", ` + tag, `"x",` + tag + `, "y"`, strings.TrimPrefix(tag, "W/")} {
		if a := s.get("/", "If-None-Match", held); a.StatusCode != http.StatusNotModified {
			t.Errorf("%s: %d", held, a.StatusCode)
		}
	}
	// The tag of one page is not that of another, whatever the app says.
	if a := s.get("/other/", "If-None-Match", tag); a.StatusCode != http.StatusNotModified || app.request.Get("If-None-Match") != "" {
		t.Errorf("%d, the app was asked with %v", a.StatusCode, app.request)
	}
}

// TestUntouchedPagesKeepValidators: a page in which nothing was replaced is the app's,
// until something is.
func TestUntouchedPagesKeepValidators(t *testing.T) {
	for _, v := range pageValidators[:4] {
		t.Run(v.name, func(t *testing.T) {
			app := &validatingApp{tag: v.tag, modified: v.modified, contentType: "text/html", body: strings.ReplaceAll(mediaImage, "a.jpg", "b.jpg")}
			s := validatingSite(t, app)
			a := s.get("/")
			if a.body != app.body || a.Header.Get("Etag") != v.tag || a.Header.Get("Last-Modified") != v.modified {
				t.Fatalf("%q %v", a.body, a.Header)
			}
			held := conditions(a)
			for i := range 2 {
				if a := s.get("/", held...); a.StatusCode != http.StatusNotModified || app.spared != i+1 {
					t.Errorf("unchanged: %d, spared %d times", a.StatusCode, app.spared)
				}
			}
			s.upload(map[string]string{"c.jpg": "picture"})
			if a := s.get("/", held...); a.StatusCode != http.StatusNotModified || a.Header.Get("Etag") != v.tag {
				t.Errorf("after another file: %d %v", a.StatusCode, a.Header)
			}
			s.upload(map[string]string{"b.jpg": "picture"})
			if a := s.get("/", held...); a.StatusCode != http.StatusOK || !strings.Contains(a.body, publicTestURL) {
				t.Errorf("after the file: %d %q", a.StatusCode, a.body)
			}
		})
	}
}

// TestOtherAnswersKeepValidators: what is not rewritten has the app's validators, and
// an answer 304 whenever the app would give one. Once it is known what it is, the app
// does.
func TestOtherAnswersKeepValidators(t *testing.T) {
	for _, v := range pageValidators[:4] {
		for name, header := range map[string]map[string]string{
			"picture":      {"Content-Type": "image/png"},
			"download":     {"Content-Type": "text/html", "Content-Disposition": "attachment"},
			"no-transform": {"Content-Type": "text/html", "Cache-Control": "no-transform"},
		} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				t.Run(v.name+" "+name+" "+method, func(t *testing.T) {
					app := &validatingApp{tag: v.tag, modified: v.modified, contentType: "text/html", body: mediaImage, header: header}
					s := validatingSite(t, app)
					a := s.get("/")
					if a.body != mediaImage || a.Header.Get("Etag") != v.tag || a.Header.Get("Last-Modified") != v.modified {
						t.Fatalf("%q %v", a.body, a.Header)
					}
					s.upload(map[string]string{"c.jpg": "picture"})
					for i, held := range [][]string{conditions(a), {"If-None-Match", `"old"`}, {"If-Modified-Since", "Tue, 03 Jan 2006 15:04:05 GMT"}} {
						a := s.do(method, "/", "", held...)
						want := http.StatusNotModified
						if i == 1 || i == 2 && v.modified == "" {
							want = http.StatusOK
						}
						if a.StatusCode != want || a.StatusCode == http.StatusNotModified && (a.body != "" || a.Header.Get("Etag") != v.tag) {
							t.Errorf("%q: %d %q %v", held, a.StatusCode, a.body, a.Header)
						}
					}
					if app.spared != 1 {
						t.Errorf("the app was spared %d times", app.spared)
					}
				})
			}
		}
	}
}

// TestHeadOfPages: what GET would send is not known, so nothing is said of it.
func TestHeadOfPages(t *testing.T) {
	app := &validatingApp{tag: `"v1"`, modified: modifiedBefore, contentType: "text/html", body: mediaImage}
	s := validatingSite(t, app)
	held := conditions(s.get("/"))
	if a := s.do(http.MethodHead, "/", ""); a.Header.Get("Etag") != "" || a.Header.Get("Last-Modified") != "" || a.StatusCode != http.StatusOK {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
	if a := s.do(http.MethodHead, "/", "", held...); a.StatusCode != http.StatusNotModified || a.Header.Get("Etag") != held[1] {
		t.Errorf("unchanged: %d %v", a.StatusCode, a.Header)
	}
	s.upload(map[string]string{"a.jpg": "another picture"})
	if a := s.do(http.MethodHead, "/", "", held...); a.StatusCode != http.StatusOK {
		t.Errorf("changed: %d %v", a.StatusCode, a.Header)
	}
}

// TestNotModifiedHeader: an answer 304 of this module's has the header that the page
// would have, but for what describes a body.
func TestNotModifiedHeader(t *testing.T) {
	app := &validatingApp{tag: `"v1"`, contentType: "text/html", body: mediaImage, header: map[string]string{
		"Set-Cookie": "a=1", "Cache-Control": "max-age=60", "Vary": "Cookie", "Content-Security-Policy": "img-src 'self'", "Content-Language": "en",
	}}
	s := validatingSite(t, app)
	held := conditions(s.get("/"))
	for _, by := range []string{"the app", "this module"} {
		a := s.get("/", held...)
		if a.StatusCode != http.StatusNotModified || (app.spared == 1) != (by == "the app") && app.runs == 1 {
			t.Fatalf("by %s: %d", by, a.StatusCode)
		}
		for name, want := range map[string]string{
			"Set-Cookie": "a=1", "Cache-Control": "max-age=60", "Vary": "Cookie", "Etag": held[1],
			"Content-Security-Policy": "img-src 'self' " + publicTestURL, "Content-Type": "", "Content-Length": "",
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("by %s: %s: %q, want %q", by, name, got, want)
			}
		}
		s.upload(map[string]string{"c.jpg": "picture"})
	}
}

// TestErrorPagesAreSent: only what would be a success can be unchanged.
func TestErrorPagesAreSent(t *testing.T) {
	app := &pageApp{status: 404, header: map[string]string{"Content-Type": "text/html", "Etag": `"v"`}, body: mediaImage}
	s := newPageSite(t, app)
	tag := s.get("/").Header.Get("Etag")
	if a := s.get("/", "If-None-Match", tag); a.StatusCode != 404 || a.body != publicImage {
		t.Errorf("%d %q", a.StatusCode, a.body)
	}
}

// TestIfMatchIsTheApps: who read something from an API and writes it sends the ETag
// that the app gave it.
func TestIfMatchIsTheApps(t *testing.T) {
	for _, tag := range []string{`"v1"`, `W/"v1"`} {
		app := &validatingApp{tag: tag, contentType: "application/json"}
		s := validatingSite(t, app)
		app.body = `{"u":"http://` + s.address() + `/wp-content/uploads/a.jpg"}`
		a := s.get("/api")
		if !strings.Contains(a.body, publicTestURL) {
			t.Fatalf("%s", a.body)
		}
		for _, method := range []string{http.MethodPut, http.MethodPost, http.MethodDelete} {
			s.do(method, "/api", "", "If-Match", `"x", `+a.Header.Get("Etag"))
			if got := app.request.Get("If-Match"); got != `"x", `+tag {
				t.Errorf("%s: the app got If-Match %s", method, got)
			}
		}
	}
}

// TestNotModifiedAfterHold: a GET that may write has its answer held, and is judged the
// same.
func TestNotModifiedAfterHold(t *testing.T) {
	app := &validatingApp{tag: `"v1"`, contentType: "text/html", body: mediaImage}
	var s *testSite
	s = newTestSite(t, uploadApp(&s, app.serve))
	s.handler["public_url"] = publicTestURL
	s.handler["may_write"] = []string{"/job/*"}
	s.start()
	s.upload(map[string]string{"a.jpg": "picture"})
	a := s.get("/job/1")
	if a.body != publicImage {
		t.Fatalf("%q", a.body)
	}
	held := conditions(a)
	for range 2 {
		if a := s.get("/job/1", held...); a.StatusCode != http.StatusNotModified || a.body != "" {
			t.Errorf("%d %q", a.StatusCode, a.body)
		}
		s.upload(map[string]string{"c.jpg": "picture"})
	}
	app.body, app.header = "<p>"+mediaImage, map[string]string{"Content-Type": "image/png"}
	if a := s.get("/job/1", "If-None-Match", `"v1"`); a.StatusCode != http.StatusNotModified || a.body != "" {
		t.Errorf("a picture: %d %q", a.StatusCode, a.body)
	}
}

// TestNamedFilesKeepConditions: what the app hands out by X-Accel-Redirect is judged by
// the file's validators, and its bytes do not leave the bucket for an answer 304.
func TestNamedFilesKeepConditions(t *testing.T) {
	app := &pageApp{status: 200, header: map[string]string{"X-Accel-Redirect": "/wp-content/uploads/a.jpg", "Content-Type": "image/jpeg"}}
	s := newPageSite(t, app)
	a := s.get("/download")
	if a.body != "picture" || a.Header.Get("Etag") == "" {
		t.Fatalf("%q %v", a.body, a.Header)
	}
	for _, held := range [][]string{{"If-None-Match", a.Header.Get("Etag")}, {"If-Modified-Since", a.Header.Get("Last-Modified")}} {
		if a := s.get("/download", held...); a.StatusCode != http.StatusNotModified || a.body != "" {
			t.Errorf("%q: %d %q", held, a.StatusCode, a.body)
		}
		if app.request.Get(held[0]) != "" {
			t.Errorf("the app saw %q", held)
		}
	}
	if a := s.get("/download", "If-None-Match", `"old"`); a.StatusCode != http.StatusOK || a.body != "picture" {
		t.Errorf("%d %q", a.StatusCode, a.body)
	}
}
