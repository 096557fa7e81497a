package web

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// part makes a part of a multipart body with the boundary XX.
func part(name, file, content string) string {
	disposition := `form-data; name="` + name + `"`
	if file != "" {
		disposition += `; filename="` + file + `"`
	}
	return "--XX\r\nContent-Disposition: " + disposition + "\r\n\r\n" + content + "\r\n"
}

// TestReadHead gives bodies in pieces of every kind.
func TestReadHead(t *testing.T) {
	fields := "preamble\r\n" + part("a", "", "text --XX, filename=, \r\n--X") + part("b", "", "")
	file := part("f", "x", "content")
	failed := errors.New("failed")
	for _, test := range []struct {
		name, body string
		file       int
		err        error
	}{
		{"no file", fields + "--XX--\r\n", 0, io.EOF},
		{"file", fields + file, len(fields), nil},
		{"file first", file + fields, 0, nil},
		{"no end of header", fields + "--XX\r\nContent-Disposition: form-data; filename", 0, io.EOF},
		{"huge header", "--XX\r\n" + strings.Repeat("x", maxPartHeader+1) + "\r\n" + file, len("--XX\r\n") + maxPartHeader + 3, nil},
		{"error", fields, 0, failed},
	} {
		var src io.Reader = strings.NewReader(test.body)
		if test.err == failed {
			src = io.MultiReader(src, failingReader{failed})
		}
		whole, err := io.ReadAll(src)
		if err != nil && !errors.Is(err, failed) {
			t.Fatal(err)
		}
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"whole":        func(r io.Reader) io.Reader { return r },
			"byte by byte": iotest.OneByteReader,
			"data and EOF": iotest.DataErrReader,
		} {
			src := io.Reader(bytes.NewReader(whole))
			if test.err == failed {
				src = io.MultiReader(src, failingReader{failed})
			}
			memory := &share{of: &heads}
			head, at, err := readHead(wrap(src), "XX", int64(len(whole)), memory)
			memory.free()
			if !bytes.HasPrefix(whole, head) || at != test.file || err != test.err && !(test.err == nil && at == 0 && test.file == 0) {
				t.Errorf("%s, %s: %d bytes, file at %d, %v; want %d, %v", test.name, name, len(head), at, err, test.file, test.err)
			}
		}
	}
}

// FuzzReadHead: a body is never lost or changed by looking for its first file.
func FuzzReadHead(f *testing.F) {
	f.Add([]byte(part("a", "", "x")+part("f", "x", "y")), "XX")
	f.Add([]byte("--XX\r\n\r\n--XX--"), "XX")
	f.Fuzz(func(t *testing.T, body []byte, boundary string) {
		src := bytes.NewReader(body)
		memory := &share{of: &heads}
		head, file, _ := readHead(iotest.OneByteReader(src), boundary, int64(len(body)), memory)
		memory.free()
		rest, err := io.ReadAll(src)
		if err != nil || !slices.Equal(append(slices.Clip(head), rest...), body) {
			t.Errorf("%d and %d of %d bytes", len(head), len(rest), len(body))
		}
		if file < 0 || file > len(head) || file > 0 && !bytes.HasPrefix(head[file:], []byte("--"+boundary)) {
			t.Errorf("file at %d of %d", file, len(head))
		}
	})
}

// TestHeadsOfManyBodies: of bodies that do not get on, only so much is kept in memory,
// however many there are. Those beyond that reach the app as they come, and are turned
// without a change of their length.
func TestHeadsOfManyBodies(t *testing.T) {
	site, _ := newTestSite(t)
	engine := newTestEngine(t, site)
	engine.Start()
	h := newTestHandler(t, site, engine)
	arrived := make(chan struct{}, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h.ServeHTTP(w, r, nextFunc(func(w http.ResponseWriter, r *http.Request) error {
			arrived <- struct{}{}
			n, err := io.Copy(io.Discard, r.Body)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(w, n, " bytes")
			return err
		}))
		if err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	// As if many others were under way.
	others := &share{of: &heads}
	if !others.take(headsLimit - 256<<10) {
		t.Fatal("there is no memory")
	}
	defer others.free()
	form := repeat("a=b&", 1<<20)
	// begin sends the first bytes of a form; end sends the rest and tells the answer.
	begin := func(first int) (end func() string) {
		body, client := io.Pipe()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/save", body)
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = int64(len(form))
		r.Header.Set("Content-Type", queryType)
		r.Header.Set("Cookie", "session=1")
		answer := make(chan string, 1)
		go func() {
			response, err := server.Client().Do(r)
			if err != nil {
				answer <- err.Error()
				return
			}
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			answer <- fmt.Sprint(response.StatusCode, " ", string(text), " ", err)
		}()
		send := func(text string) {
			if _, err := io.WriteString(client, text); err != nil {
				t.Error(err)
			}
		}
		send(form[:first])
		return func() string {
			send(form[first:])
			_ = client.Close()
			return <-answer
		}
	}
	kept := begin(100 << 10)
	eventually(t, "the head in memory", func() bool { return heads.inUse() >= others.taken+64<<10 })
	passed := begin(600 << 10)
	<-arrived // its body is not there yet
	for _, end := range []func() string{passed, kept} {
		if got := end(); got != fmt.Sprint("200 ", 1<<20, " bytes <nil>") {
			t.Error(got)
		}
	}
	eventually(t, "the end of all", func() bool { return heads.inUse() == others.taken })
}
