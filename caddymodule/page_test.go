package caddymodule

import (
	"io"
	"net/http"

	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
)

const (
	mediaImage  = `<img src="/wp-content/uploads/a.jpg">`
	publicImage = `<img src="` + publicTestURL + `a.jpg">`
)

// pageApp answers with what a test puts into it.
type pageApp struct {
	status  int
	header  map[string]string
	body    string
	request http.Header // of the last request
}

func (p *pageApp) serve(w http.ResponseWriter, r *http.Request) error {
	p.request = r.Header.Clone()
	for name, value := range p.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(p.status)
	if r.Method == http.MethodHead {
		return nil
	}
	_, err := io.WriteString(w, p.body)
	return err
}

// newPageSite makes a site with a.jpg committed whose pages come from app.
func newPageSite(t *testing.T, app *pageApp) *testSite {
	t.Helper()
	var s *testSite
	s = newTestSite(t, uploadApp(&s, app.serve))
	s.handler["public_url"] = publicTestURL
	s.handler["cors_check"] = "allowed"
	s.start()
	s.upload(map[string]string{"a.jpg": "picture"})
	return s
}

// TestPageHeaders: what of an answer is changed, and what its header says then.
func TestPageHeaders(t *testing.T) {
	app := new(pageApp)
	s := newPageSite(t, app)
	untouched := strings.Repeat("<p>text</p>", 100)
	large := strings.Repeat("<p>text</p>", 40_000)
	type header = map[string]string
	for _, test := range []struct {
		name   string
		method string
		path   string
		ask    []string
		status int
		header header
		body   string
		want   string // body
		has    header // "" means absent, … at the end anything
	}{
		{
			name: "untouched", status: 200, body: untouched, want: untouched,
			header: header{"Content-Type": "text/html", "Content-Length": "1100", "Etag": `"v"`, "Accept-Ranges": "bytes", "Content-Md5": "x"},
			has:    header{"Content-Length": "1100", "Etag": `"v"`, "Accept-Ranges": "bytes", "Content-Md5": "x"},
		},
		{
			name: "untouched without length", status: 200, body: untouched + untouched + untouched, want: untouched + untouched + untouched,
			header: header{"Content-Type": "text/html"},
			has:    header{"Content-Length": "3300"},
		},
		{
			name: "changed", status: 200, body: mediaImage, want: publicImage,
			header: header{"Content-Type": "text/html", "Content-Length": strconv.Itoa(len(mediaImage)), "Etag": `"v"`, "Accept-Ranges": "bytes", "Content-Md5": "x", "Digest": "x", "Repr-Digest": "x", "Content-Digest": "x", "Vary": "Cookie", "Last-Modified": "Mon, 02 Jan 2006 15:04:05 GMT"},
			has:    header{"Content-Length": strconv.Itoa(len(publicImage)), "Etag": `W/"v~mo…`, "Accept-Ranges": "", "Content-Md5": "", "Digest": "", "Repr-Digest": "", "Content-Digest": "", "Vary": "Cookie", "Last-Modified": ""},
		},
		{
			name: "weak already", status: 200, body: mediaImage, want: publicImage,
			header: header{"Content-Type": "text/html", "Etag": `W/"v"`}, has: header{"Etag": `W/"v~mw…`},
		},
		{
			name: "larger than the buffer", status: 200, body: large + mediaImage, want: large + publicImage,
			header: header{"Content-Type": "text/html", "Content-Length": strconv.Itoa(len(large + mediaImage)), "Etag": `"v"`},
			has:    header{"Content-Length": "", "Etag": `W/"v~mo…`},
		},
		{name: "404 page", status: 404, body: mediaImage, want: publicImage, header: header{"Content-Type": "text/html"}},
		{name: "500 page", status: 500, body: mediaImage, want: publicImage, header: header{"Content-Type": "text/html"}},
		{name: "POST", method: "POST", status: 200, body: mediaImage, want: publicImage, header: header{"Content-Type": "text/html"}},
		{name: "PUT", method: "PUT", status: 200, body: mediaImage, want: mediaImage, header: header{"Content-Type": "text/html"}},
		{name: "206", status: 206, body: mediaImage, want: mediaImage, header: header{"Content-Type": "text/html", "Content-Range": "bytes 0-36/99"}},
		{name: "image", status: 200, body: mediaImage, want: mediaImage, header: header{"Content-Type": "image/png", "Etag": `"v"`}, has: header{"Etag": `"v"`}},
		{name: "download", status: 200, body: mediaImage, want: mediaImage, header: header{"Content-Type": "text/html", "Content-Disposition": `Attachment; filename="x.html"`}},
		{name: "inline", status: 200, body: mediaImage, want: publicImage, header: header{"Content-Type": "text/html", "Content-Disposition": "inline"}},
		{name: "no-transform", status: 200, body: mediaImage, want: mediaImage, header: header{"Content-Type": "text/html", "Cache-Control": "max-age=1, No-Transform"}},
		{name: "JSON", status: 200, body: `{"u":"\/\/` + s.address() + `\/wp-content\/uploads\/a.jpg"}`, want: `{"u":"https:\/\/cdn.test\/m\/a.jpg"}`, header: header{"Content-Type": "application/json"}},
		{name: "JSON as HTML", status: 200, body: `{"u":"\/\/` + s.address() + `\/wp-content\/uploads\/a.jpg"}`, want: `{"u":"https:\/\/cdn.test\/m\/a.jpg"}`, header: header{"Content-Type": "text/html; charset=UTF-8"}},
		{name: "script", path: "/x.js", status: 200, body: mediaImage, want: mediaImage, header: header{"Content-Type": "text/html"}},
		{name: "admin", path: "/wp-admin/upload.php", status: 200, body: mediaImage, want: mediaImage, header: header{"Content-Type": "text/html"}},
		{name: "editor API", path: "/wp-json/wp/v2/media", ask: []string{"X-Wp-Nonce", "abc"}, status: 200, body: mediaImage, want: mediaImage, header: header{"Content-Type": "text/html"}},
		{
			name: "HEAD", method: "HEAD", status: 200, want: "",
			header: header{"Content-Type": "text/html", "Content-Length": "99", "Etag": `"v"`},
			has:    header{"Content-Length": "", "Etag": ""}, // what GET would send is not known
		},
		{
			name: "redirect of a visitor to media", ask: []string{"Sec-Fetch-Dest", "document", "Sec-Fetch-Mode", "navigate"}, status: 301, want: "",
			header: header{"Content-Type": "text/html", "Location": "http://" + s.address() + "/wp-content/uploads/a.jpg?v=1"},
			has:    header{"Location": publicTestURL + "a.jpg?v=1"},
		},
		{
			name: "redirect of what a page loads", ask: []string{"Sec-Fetch-Dest", "track", "Sec-Fetch-Mode", "same-origin"}, status: 302, want: "",
			header: header{"Content-Type": "text/html", "Location": "/wp-content/uploads/a.jpg"},
			has:    header{"Location": "/wp-content/uploads/a.jpg"},
		},
		{
			name: "redirect of a download", ask: []string{"Sec-Fetch-Dest", "empty", "Sec-Fetch-Mode", "navigate"}, status: 302, want: "",
			header: header{"Content-Type": "text/html", "Location": "/wp-content/uploads/a.jpg"},
			has:    header{"Location": "/wp-content/uploads/a.jpg"},
		},
		{
			name: "redirect to an unknown file", status: 301, want: "",
			header: header{"Content-Type": "text/html", "Location": "/wp-content/uploads/unknown.jpg"},
			has:    header{"Location": "/wp-content/uploads/unknown.jpg"},
		},
		{
			name: "preload", status: 200, body: "<p>", want: "<p>",
			header: header{"Content-Type": "text/html", "Link": "</wp-content/uploads/a.jpg>; rel=preload; as=image"},
			has:    header{"Link": "<" + publicTestURL + "a.jpg>; rel=preload; as=image"},
		},
		{
			name: "refresh", status: 200, body: "<p>", want: "<p>",
			header: header{"Content-Type": "text/html", "Refresh": "5; url=/wp-content/uploads/a.jpg"},
			has:    header{"Refresh": "5; url=" + publicTestURL + "a.jpg"},
		},
		{
			name: "header of an admin page", path: "/wp-admin/", status: 200, body: "<p>", want: "<p>",
			header: header{"Content-Type": "text/html", "Link": "</wp-content/uploads/a.jpg>; rel=preload; as=image"},
			has:    header{"Link": "</wp-content/uploads/a.jpg>; rel=preload; as=image"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.t = t
			app.status, app.header, app.body = test.status, test.header, test.body
			method, path := test.method, test.path
			if method == "" {
				method = http.MethodGet
			}
			if path == "" {
				path = "/page/"
			}
			for i := range 3 { // the last page is one that is remembered
				a := s.do(method, path, "", test.ask...)
				if a.err != nil || a.StatusCode != test.status {
					t.Fatalf("%d, %v", a.StatusCode, a.err)
				}
				if a.body != test.want {
					t.Errorf("time %d: body %.200q, want %.200q", i, a.body, test.want)
				}
				for name, want := range test.has {
					begin, open := strings.CutSuffix(want, "…")
					if got := a.Header.Get(name); got != want && !(open && strings.HasPrefix(got, begin)) {
						t.Errorf("time %d: %s: %q, want %q", i, name, got, want)
					}
				}
			}
		})
	}
}

// TestAcceptEncoding: only requests whose answer may be rewritten lose the
// header, and only on the way to the app.
func TestAcceptEncoding(t *testing.T) {
	app := &pageApp{status: 200, header: map[string]string{"Content-Type": "text/html"}, body: strings.Repeat(mediaImage, 100)}
	var s *testSite
	s = newTestSite(t, uploadApp(&s, app.serve))
	s.handler["public_url"] = publicTestURL
	s.before = []map[string]any{{"handler": "encode", "encodings": map[string]any{"gzip": map[string]any{}}}}
	s.start()
	s.upload(map[string]string{"a.jpg": "picture"})
	a := s.get("/", "Accept-Encoding", "gzip")
	if app.request.Get("Accept-Encoding") != "" {
		t.Error("the app was asked to compress a page")
	}
	text, err := gzip.NewReader(strings.NewReader(a.body))
	if err != nil {
		t.Fatalf("encode did not compress: %v: %v", err, a.Header)
	}
	plain, err := io.ReadAll(text)
	if err != nil || string(plain) != strings.Repeat(publicImage, 100) {
		t.Errorf("%.100q, %v", plain, err)
	}
	for _, path := range []string{"/theme/x.js", "/theme/x.WOFF2", "/wp-admin/"} {
		s.get(path, "Accept-Encoding", "gzip")
		if app.request.Get("Accept-Encoding") != "gzip" {
			t.Errorf("%s: the app was asked for %q", path, app.request.Get("Accept-Encoding"))
		}
	}
}

// TestUncommittedStaysLocal: a file that is on disk but not in the bucket keeps
// its local URL, and the page does not wait for it.
//
// Promise 3: "Pages never wait for the bucket. […] A URL whose object is not
// known to be committed stays as it is; the local URL always works."
func TestUncommittedStaysLocal(t *testing.T) {
	app := &pageApp{status: 200, header: map[string]string{"Content-Type": "text/html"}}
	s := newPageSite(t, app)
	mend := s.breakBucket()
	defer mend()
	s.writeUpload("b.jpg", "new")
	s.writeUpload("woocommerce_uploads/p.jpg", "private")
	app.body = mediaImage + `<img src="/wp-content/uploads/b.jpg"><img src="/wp-content/uploads/woocommerce_uploads/p.jpg"><img src="/wp-content/uploads/none.jpg">`
	begun := time.Now()
	a := s.get("/")
	if want := strings.Replace(app.body, mediaImage, publicImage, 1); a.body != want {
		t.Errorf("%s\nwant %s", a.body, want)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}
