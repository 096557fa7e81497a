package caddymodule

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"
)

// meeting is an app whose requests tell when they arrive and when they have read
// their body, and stay until they are let go. The query's id tells them apart.
type meeting struct {
	arrived, read chan string
	leave         map[string]chan struct{}
}

func newMeeting(ids ...string) *meeting {
	m := &meeting{arrived: make(chan string, 100), read: make(chan string, 100), leave: make(map[string]chan struct{})}
	for _, id := range ids {
		m.leave[id] = make(chan struct{})
	}
	return m
}

func (m *meeting) serve(w http.ResponseWriter, r *http.Request) error {
	id := r.URL.Query().Get("id")
	m.arrived <- id
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		return err
	}
	m.read <- id
	if leave, ok := m.leave[id]; ok {
		<-leave
	}
	_, err = fmt.Fprintf(w, "%d bytes", n)
	return err
}

// ServeHTTP serves as an app of its own, behind a proxy.
func (m *meeting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := m.serve(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

// wantNext waits for a request to come, and wants it to be this one.
func wantNext(t *testing.T, what string, ch <-chan string, want string) {
	t.Helper()
	select {
	case got := <-ch:
		if got != want {
			t.Errorf("%s: request %s, want %s", what, got, want)
		}
	case <-time.After(longest):
		t.Fatalf("%s: no request %s", what, want)
	}
}

// upload is a request that brings a name.
type upload struct {
	name                string
	method, path, query string
	header              []string
	body                string
	unknownLength       bool
	preset              string
	inTime              bool // forwarded at once, but for the end
}

func multipartUpload(t testing.TB, before string, size int) (contentType, body string) {
	t.Helper()
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	if before != "" {
		if err := w.WriteField("text", before); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("async-upload", "Photo (1).JPG")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write([]byte(repeat("content", size))); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return w.FormDataContentType(), buf.String()
}

// uploads are the ways in which apps get a file that may be named photo.jpg.
func uploads(t testing.TB) []upload {
	goType, goBody := multipartUpload(t, "", 300_000)
	_, small := multipartUpload(t, "", 10)
	lateType, late := multipartUpload(t, repeat("x", 32<<10), 300_000)
	const browser = "------WebKitFormBoundaryABC\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nphoto.jpg\r\n" +
		"------WebKitFormBoundaryABC\r\nContent-Disposition: form-data; name=\"async-upload\"; filename=\"blob\"\r\nContent-Type: image/jpeg\r\n\r\nx\r\n------WebKitFormBoundaryABC--\r\n"
	smallType := "multipart/form-data; boundary=" + small[2:strings.Index(small, "\r\n")]
	return []upload{
		{name: "Go's multipart", method: "POST", path: "/up", header: []string{"Content-Type", goType}, body: goBody},
		{name: "small", method: "POST", path: "/up", header: []string{"Content-Type", smallType}, body: small},
		{name: "unknown length", method: "POST", path: "/up", header: []string{"Content-Type", goType}, body: goBody, unknownLength: true},
		{name: "expecting 100", method: "POST", path: "/up", header: []string{"Content-Type", goType, "Expect", "100-continue"}, body: goBody},
		{name: "a browser's chunk", method: "POST", path: "/up", header: []string{"Content-Type", "multipart/form-data; boundary=----WebKitFormBoundaryABC"}, body: browser},
		{name: "name far behind", method: "POST", path: "/up", header: []string{"Content-Type", lateType}, body: late, inTime: true},
		{name: "raw", method: "POST", path: "/wp-json/wp/v2/media", header: []string{"Content-Type", "image/jpeg", "Content-Disposition", `attachment; filename="photo.jpg"`}, body: repeat("x", 100_000)},
		{name: "XML-RPC", method: "POST", path: "/xmlrpc.php", header: []string{"Content-Type", "text/xml"}, body: "<member><name>name</name><value><string>photo-1.jpg</string></value></member><base64>" + repeat("AAAA", 100_000)},
		{name: "PUT", method: "PUT", path: "/files/photo.jpg", body: "x"},
		{name: "DELETE without body", method: "DELETE", path: "/files/PHOTO.jpg"},
		{name: "Joomla", preset: "joomla", method: "POST", path: "/administrator/index.php", header: []string{"Content-Type", "application/json"}, body: `{"0":"1","name":"photo.jpg","content":"` + repeat("AAAA", 300_000) + `"}`},
		{name: "Joomla's rename", preset: "joomla", method: "PUT", path: "/administrator/index.php", query: "path=local-images:/photo.png", header: []string{"Content-Type", "application/json"}, body: `{"move":1}`},
	}
}

// send sends an upload and returns the answer on a channel.
func (s *testSite) send(client *http.Client, u upload, id string) <-chan answer {
	s.t.Helper()
	var body io.Reader
	if u.body != "" {
		body = strings.NewReader(u.body)
	}
	if u.unknownLength {
		body = struct{ io.Reader }{body}
	}
	r, err := http.NewRequestWithContext(s.t.Context(), u.method, s.url(u.path)+"?id="+id+"&"+u.query, body)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(u.header); i += 2 {
		r.Header.Set(u.header[i], u.header[i+1])
	}
	result := make(chan answer, 1)
	go func() {
		response, err := client.Do(r)
		if err != nil {
			result <- answer{Response: &http.Response{}, err: err}
			return
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		result <- answer{Response: response, body: string(text), err: err}
	}()
	return result
}

// usePreset changes the app.
func (s *testSite) usePreset(name string) {
	if name != "" {
		s.handler["app"] = map[string]any{"preset": name, "docroot": s.docRoot}
	}
}
