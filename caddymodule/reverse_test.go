package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// received is what an app got.
type received struct {
	Length int64
	Header string // Content-Length
	Body   string
	Err    string
}

// echo answers with what it got.
func echo(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	got := received{Length: r.ContentLength, Header: r.Header.Get("Content-Length"), Body: string(body)}
	if err != nil {
		got.Err = err.Error()
	}
	return json.NewEncoder(w).Encode(got)
}

// sent sends a body and returns what the app got. length -1: it is not told.
func (s *testSite) sent(method, path string, body io.Reader, length int64, header ...string) received {
	s.t.Helper()
	var response *http.Response
	for try := 0; response == nil; try++ {
		r, err := http.NewRequestWithContext(s.t.Context(), method, s.url(path), body)
		if err != nil {
			s.t.Fatal(err)
		}
		r.ContentLength = length
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		if response, err = s.client.Do(r); err == nil {
			break
		}
		again, ok := body.(io.Seeker)
		if !ok || try >= s.loads-1 { // see load
			s.t.Fatal(err)
		}
		if _, err := again.Seek(0, io.SeekStart); err != nil {
			s.t.Fatal(err)
		}
	}
	defer response.Body.Close()
	var got received
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		s.t.Fatal(err)
	}
	return got
}

func newReverseSite(t *testing.T, app appFunc) *testSite {
	t.Helper()
	s := newTestSite(t, app)
	s.handler["public_url"] = publicTestURL
	s.start()
	return s
}

// reload loads the config again. A POST on a connection of the old one would
// not be repeated.
func (s *testSite) reload() {
	s.t.Helper()
	if err := s.load(); err != nil {
		s.t.Fatal(err)
	}
	s.client.CloseIdleConnections()
}

// session is the cookie of someone who is logged in to the app.
const session = "session=1"

const formType = "application/x-www-form-urlencoded"

// part makes a part of a multipart body with the boundary XX.
func part(name, file, content string) string {
	disposition := `form-data; name="` + name + `"`
	if file != "" {
		disposition += `; filename="` + file + `"`
	}
	return "--XX\r\nContent-Disposition: " + disposition + "\r\n\r\n" + content + "\r\n"
}

// TestPublicURLsInBodies posts bodies of each type.
//
// Promise 4: "public URLs that come back in a request body are turned back into
// local ones, so that the app's database never holds one."
func TestPublicURLsInBodies(t *testing.T) {
	s := newReverseSite(t, echo)
	public := publicTestURL + "2026/11/a.jpg"
	local := s.origin() + "/wp-content/uploads/2026/11/a.jpg"
	escaped := func(u string) string { return strings.ReplaceAll(u, "/", `\/`) }
	serialize := func(u string) string { return fmt.Sprintf(`a:1:{s:3:"url";s:%d:"%s";}`, len(u), u) }
	const multi = `multipart/form-data; boundary=XX`
	for _, test := range []struct{ name, contentType, body, want string }{
		{"form", formType, "content=" + url.QueryEscape(`<img src="`+public+`">`) + "&n=1", "content=" + url.QueryEscape(`<img src="`+local+`">`) + "&n=1"},
		{"form without", formType, "a=1&b=2", ""},
		{"JSON", "application/json", `{"src":"` + public + `","html":"` + escaped(public) + `"}`, `{"src":"` + local + `","html":"` + escaped(local) + `"}`},
		{"XML-RPC", "text/xml", "<string>&lt;img src=\"" + public + "\"&gt;</string>", "<string>&lt;img src=\"" + local + "\"&gt;</string>"},
		{"fields", multi, part("a", "", public) + part("b", "", public) + "--XX--\r\n", part("a", "", local) + part("b", "", local) + "--XX--\r\n"},
		{"file last", multi, part("a", "", public) + part("f", "x.txt", public) + "--XX--\r\n", part("a", "", local) + part("f", "x.txt", public) + "--XX--\r\n"},
		{"not below the folder", formType, "a=https://cdn.test/other/a.jpg", ""},
		{"other host", formType, "a=https://cdn.test.evil/m/a.jpg", ""},
		{"other type", "text/plain", public, ""},
		{"unfinished multipart", multi, part("a", "", public), part("a", "", local)},
		// What is serialized already would be refused by PHP with another length.
		{"serialized by the client", formType, "o=" + url.QueryEscape(serialize(public)), ""},
		{"serialized, plain", formType, "o=" + serialize(public), ""},
		{"serialized in JSON", "application/json", `{"o":` + strconv.Quote(serialize(public)) + `}`, ""},
		{"serialized elsewhere", formType, "o=" + url.QueryEscape(serialize("x")) + strings.Repeat(".", 100) + "&a=" + public, "o=" + url.QueryEscape(serialize("x")) + strings.Repeat(".", 100) + "&a=" + local},
	} {
		want := test.want
		if want == "" {
			want = test.body
		}
		header := []string{"Content-Type", test.contentType, "Cookie", session}
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch} {
			got := s.sent(method, "/", strings.NewReader(test.body), int64(len(test.body)), header...)
			if got.Err != "" || got.Length != int64(len(got.Body)) || got.Header != strconv.Itoa(len(got.Body)) {
				t.Errorf("%s %s: length %d, header %q, %d bytes, error %s", method, test.name, got.Length, got.Header, len(got.Body), got.Err)
			}
			// What follows the first file may end in filling; see NewSizedReader.
			if strings.TrimRight(got.Body, " &") != want {
				t.Errorf("%s %s:\ngot  %s\nwant %s", method, test.name, got.Body, want)
			}
		}
		if got := s.sent(http.MethodPost, "/", strings.NewReader(test.body), -1, header...); got.Err != "" || got.Length != -1 || got.Body != want {
			t.Errorf("%s in chunks: length %d, error %s:\ngot  %s\nwant %s", test.name, got.Length, got.Err, got.Body, want)
		}
	}
}

// TestSerializedOptions: a form with a URL in it, of which the app then makes a
// serialized value: its lengths are right, since the app counts what it got.
func TestSerializedOptions(t *testing.T) {
	s := newReverseSite(t, func(w http.ResponseWriter, r *http.Request) error {
		if err := r.ParseForm(); err != nil {
			return err
		}
		logo := r.PostForm.Get("options[logo]")
		_, err := fmt.Fprintf(w, `a:1:{s:4:"logo";s:%d:"%s";}`, len(logo), logo)
		return err
	})
	a := s.do(http.MethodPost, "/wp-admin/options.php", url.Values{"options[logo]": {publicTestURL + "a.jpg"}}.Encode(), "Content-Type", formType, "Cookie", session)
	local := s.origin() + "/wp-content/uploads/a.jpg"
	if want := fmt.Sprintf(`a:1:{s:4:"logo";s:%d:"%s";}`, len(local), local); a.body != want {
		t.Errorf("%s, want %s", a.body, want)
	}
}

// TestBodiesLeftAlone: what must keep its bytes does.
func TestBodiesLeftAlone(t *testing.T) {
	s := newReverseSite(t, echo)
	body := "a=" + publicTestURL + "a.jpg"
	for _, test := range []struct {
		name, path string
		header     []string
	}{
		{"signed", "/", []string{"X-Hub-Signature-256", "sha256=00"}}, // see TestSenders
		{"compressed", "/", []string{"Content-Encoding", "gzip"}},
		{"a media file", "/wp-content/uploads/a.json", nil},
		{"incremental", "/", []string{"Incremental", "?1"}},
	} {
		got := s.sent(http.MethodPost, test.path, strings.NewReader(body), int64(len(body)), append(test.header, "Content-Type", formType, "Cookie", session)...)
		if got.Body != body {
			t.Errorf("%s: %s", test.name, got.Body)
		}
	}
	delete(s.handler, "public_url")
	s.reload()
	if got := s.sent(http.MethodPost, "/", strings.NewReader(body), int64(len(body)), "Content-Type", formType, "Cookie", session); got.Body != body {
		t.Errorf("without public_url: %s", got.Body)
	}
}

// TestLongBodies: above the limit, and of unknown length, a body streams.
func TestLongBodies(t *testing.T) {
	s := newReverseSite(t, echo)
	public, local := publicTestURL+"a.jpg", s.origin()+"/wp-content/uploads/a.jpg"
	text := `"` + strings.Repeat("x", 2<<20) + `",`
	body := `[` + text + `"` + public + `"]`
	for _, test := range []struct {
		name   string
		length int64
		want   string
	}{
		// As short as this the public URL only fits root-relative, if at all.
		{"known length", int64(len(body)), `[` + text + `"` + public + `"]`},
		{"unknown length", -1, `[` + text + `"` + local + `"]`},
	} {
		got := s.sent(http.MethodPost, "/", strings.NewReader(body), test.length, "Content-Type", "application/json", "Cookie", session)
		if got.Err != "" || got.Length != test.length || got.Body != test.want {
			t.Errorf("%s: length %d, %s, end %q", test.name, got.Length, got.Err, got.Body[max(0, len(got.Body)-100):])
		}
	}

	// A serialized string in what streams by, of known length and of unknown.
	body = `[` + text + strconv.Quote(fmt.Sprintf(`s:%d:"%s";`, len(public), public)) + `]`
	for _, length := range []int64{int64(len(body)), -1} {
		if got := s.sent(http.MethodPost, "/", strings.NewReader(body), length, "Content-Type", "application/json", "Cookie", session); got.Body != body {
			t.Errorf("serialized, length %d: end %q", length, got.Body[max(0, len(got.Body)-100):])
		}
	}

	s.handler["public_url"] = "https://a-longer-host-than-that.cdn.test/site1/media"
	s.reload()
	body = `[` + text + `"https://a-longer-host-than-that.cdn.test/site1/media/a.jpg"]`
	got := s.sent(http.MethodPost, "/", strings.NewReader(body), int64(len(body)), "Content-Type", "application/json", "Cookie", session)
	if !strings.Contains(got.Body, `/wp-content/uploads/a.jpg"]`) || len(got.Body) != len(body) || !json.Valid([]byte(got.Body)) {
		t.Errorf("%d of %d bytes, end %q", len(got.Body), len(body), got.Body[len(got.Body)-100:])
	}
	body = `[` + text + `"s:57:\"https://a-longer-host-than-that.cdn.test/site1/media/a.jpg\";"]`
	got = s.sent(http.MethodPost, "/", strings.NewReader(body), int64(len(body)), "Content-Type", "application/json", "Cookie", session)
	if got.Body != body {
		t.Errorf("serialized, where a local URL fits: end %q", got.Body[len(got.Body)-100:])
	}
}

// TestUploadIsNotBuffered: the app gets the first byte of a file before the
// client has sent the second.
func TestUploadIsNotBuffered(t *testing.T) {
	first := make(chan struct{})
	s := newReverseSite(t, func(w http.ResponseWriter, r *http.Request) error {
		var got bytes.Buffer
		for !strings.Contains(got.String(), "FIRST") {
			if _, err := io.CopyN(&got, r.Body, 1); err != nil {
				return err
			}
		}
		close(first)
		if _, err := io.Copy(&got, r.Body); err != nil {
			return err
		}
		return json.NewEncoder(w).Encode(received{Length: r.ContentLength, Body: got.String()})
	})
	head := part("a", "", publicTestURL+"a.jpg") + part("f", "a.jpg", "FIRST"+strings.Repeat("-", 64<<10))
	tail := part("b", "", "text") + "--XX--\r\n"
	r, w := io.Pipe()
	go func() {
		_, _ = io.WriteString(w, head)
		select {
		case <-first:
			_, _ = io.WriteString(w, tail)
			w.Close()
		case <-time.After(longest):
			w.CloseWithError(errors.New("the app got nothing"))
		}
	}()
	got := s.sent(http.MethodPost, "/", r, int64(len(head)+len(tail)), "Content-Type", "multipart/form-data; boundary=XX", "Cookie", session)
	want := strings.Replace(head+tail, publicTestURL, s.origin()+"/wp-content/uploads/", 1)
	if got.Body != want || got.Length != int64(len(want)) {
		t.Errorf("length %d, %d bytes, want %d", got.Length, len(got.Body), len(want))
	}
}

// TestBodyThatBreaksOff: the app sees the error where it happened.
func TestBodyThatBreaksOff(t *testing.T) {
	result := make(chan received, 1)
	s := newReverseSite(t, func(w http.ResponseWriter, r *http.Request) error {
		body, err := io.ReadAll(r.Body)
		got := received{Length: r.ContentLength, Body: string(body)}
		if err != nil {
			got.Err = err.Error()
		}
		result <- got
		return err
	})
	r, w := io.Pipe()
	go func() {
		_, _ = io.WriteString(w, "a=1")
		w.CloseWithError(errors.New("gone"))
	}()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url("/"), r)
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = 10
	request.Header.Set("Content-Type", formType)
	if response, err := s.client.Do(request); err == nil {
		response.Body.Close()
		t.Errorf("status %d", response.StatusCode)
	}
	if got := <-result; got.Body != "a=1" || got.Length != 10 || got.Err == "" {
		t.Errorf("%+v", got)
	}
}

// TestOrigin: local URLs get the scheme that the client used.
func TestOrigin(t *testing.T) {
	s := newReverseSite(t, echo)
	body := "a=" + publicTestURL + "a.jpg"
	host := strings.TrimPrefix(s.origin(), "http://")
	for origin, want := range map[string]string{
		"https://" + host: "https://" + host, "http://" + host: "http://" + host, "https://evil.test": "http://" + host, "": "http://" + host,
	} {
		got := s.sent(http.MethodPost, "/", strings.NewReader(body), int64(len(body)), "Content-Type", formType, "Origin", origin, "Authorization", "Basic YTpi")
		if got.Body != "a="+want+"/wp-content/uploads/a.jpg" {
			t.Errorf("origin %q: %s", origin, got.Body)
		}
	}
}

// TestPublicURLsInQueries: what a writing request says in its query is stored, too.
//
// Promise 4: "public URLs that come back in a request body are turned back into local
// ones, so that the app's database never holds one."
func TestPublicURLsInQueries(t *testing.T) {
	s := newReverseSite(t, func(w http.ResponseWriter, r *http.Request) error {
		original, _ := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
		return json.NewEncoder(w).Encode(received{Body: r.URL.RawQuery + " " + original.URL.RawQuery})
	})
	public, local := url.QueryEscape(publicTestURL+"a.jpg"), url.QueryEscape(s.origin()+"/wp-content/uploads/a.jpg")
	own := []string{"Sec-Fetch-Site", "same-origin"}
	for _, test := range []struct {
		name, method, path, query, want string
		header                          []string
	}{
		{"a form's", "POST", "/x", "url=" + public + "&n=1", "url=" + local + "&n=1", own},
		{"two", "PUT", "/x", "a=" + public + "&b=" + public, "a=" + local + "&b=" + local, own},
		{"without a body", "DELETE", "/x", "url=" + public, "url=" + local, []string{"Cookie", session}},
		{"plain", "POST", "/x", "url=" + publicTestURL + "a.jpg", "url=" + s.origin() + "/wp-content/uploads/a.jpg", own},
		{"its version", "POST", "/x", "url=" + public + "%3Fv%3Dmo0123456789", "url=" + local, own},
		{"not ours", "POST", "/x", "url=https%3A%2F%2Fcdn.test%2Fother", "", own},
		{"signed", "POST", "/x", "url=" + public + "&X-Amz-Signature=1", "", own},
		{"a digest", "POST", "/x", "hmac=1&url=" + public, "", own},
		{"a webhook's", "POST", "/x", "url=" + public, "", nil},
		{"of a signed request", "POST", "/x", "url=" + public, "", append([]string{"X-Hub-Signature", "x"}, own...)},
		{"of a reader", "GET", "/x", "url=" + public, "", own},
		{"of a file", "PUT", uploadsPath + "a.jpg", "url=" + public, "", own},
	} {
		want := test.want
		if want == "" {
			want = test.query
		}
		if got := s.sent(test.method, test.path+"?"+test.query, http.NoBody, 0, test.header...).Body; got != want+" "+want {
			t.Errorf("%s: %s\nwant %s", test.name, got, want)
		}
	}
}
