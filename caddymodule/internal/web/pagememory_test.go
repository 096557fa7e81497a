package web

import (
	"bytes"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/media-offload/caddy-media-offload/rewrite"
)

// TestRememberedPage: a page that comes again and again is read twice, and sent
// as if it had been read each time.
func TestRememberedPage(t *testing.T) {
	large := strings.Repeat("<p>text</p>", pageBuffer/len("<p>text</p>"))
	const (
		image  = "<img src=\"/wp-content/uploads/```.jpg\">"
		longer = `<img src="` + publicTestURL + `%60%60%60.jpg">`
		images = pageBuffer / len(image)
	)
	for _, test := range []struct {
		name, body, want string
		remembered       bool
	}{
		{"with media", mediaImage, publicImage, true},
		{"without media", "<p>text</p>", "<p>text</p>", true},
		{"over the limit", large + mediaImage, large + publicImage, false},
		// As it came it fits into the buffer, as it leaves it does not.
		{"grows over the limit", strings.Repeat(image, images), strings.Repeat(longer, images), false},
		{"empty", "", "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newTestPage(t)
			var first string
			for i := range 4 {
				client := httptest.NewRecorder()
				serveTestPage(t, client, p, test.body)
				if got := client.Body.String(); got != test.want {
					t.Fatalf("time %d: %d bytes: %.100q", i, len(got), got)
				}
				header := fmt.Sprint(client.Code, client.Header())
				if i == 0 {
					first = header
				} else if header != first {
					t.Errorf("time %d: %s, was %s", i, header, first)
				}
			}
			if got := p.memory.pages.Len() == 1; got != test.remembered {
				t.Errorf("remembered: %v", got)
			}
		})
	}
}

// serveTestPage gives a client a page as servePage does.
func serveTestPage(t testing.TB, client *httptest.ResponseRecorder, p *page, body string) {
	t.Helper()
	again := *p
	w := newResponseWriter(client, holding{}, &again)
	defer w.close()
	w.Header().Set("Content-Type", "text/html")
	w.Header().Set("Etag", `"v"`)
	if _, err := io.WriteString(w, body); err != nil {
		t.Fatal(err)
	}
	if err := w.endBody(); err != nil {
		t.Fatal(err)
	}
	if err := w.release(); err != nil {
		t.Fatal(err)
	}
}

// TestPageMemory: what is remembered is returned for nothing else, and not after
// a change.
func TestPageMemory(t *testing.T) {
	var changes uint64
	m := newPageMemory(func() uint64 { return changes })
	info := &rewrite.Page{ContentType: "text/html", Scheme: "https", Host: "site.test", Path: "/"}
	in, out := []byte(mediaImage), []byte(publicImage)
	key := m.key(info, in)
	m.note(key, info, in, out, 0)
	if m.find(key, info, in, 0) != nil {
		t.Fatal("remembered at first sight")
	}
	m.note(key, info, in, out, 0)
	if p := m.find(key, info, in, 0); p == nil || string(p.out) != publicImage {
		t.Fatalf("found %v", p)
	}
	out[0] = '!' // the buffer is another answer's by now
	if p := m.find(key, info, in, 0); string(p.out) != publicImage {
		t.Errorf("remembered %q", p.out)
	}
	if m.find(key, info, in, 1) != nil {
		t.Error("found what was right before a change")
	}
	if m.find(key, info, []byte(mediaImage+" "), 0) != nil {
		t.Error("found another page of the same key")
	}
	for _, other := range []rewrite.Page{
		{ContentType: "text/css", Scheme: "https", Host: "site.test", Path: "/"},
		{ContentType: "text/html", Scheme: "http", Host: "site.test", Path: "/"},
		{ContentType: "text/html", Scheme: "https", Host: "other.test", Path: "/"},
		{ContentType: "text/html", Scheme: "https", Host: "site.test", Path: "/a/"},
		{ContentType: "text/html", Scheme: "https", Host: "site.test", Path: "/", Hashed: rewrite.ContextStyle},
	} {
		if m.key(&other, in) == key || m.find(key, &other, in, 0) != nil {
			t.Errorf("found for %+v", other)
		}
	}
	hashed := *info
	hashed.Hashed = rewrite.ContextScript
	other := m.key(&hashed, in)
	for range 2 {
		m.note(other, &hashed, in, in, 0)
	}
	if p := m.find(other, &hashed, in, 0); p == nil || string(p.out) != mediaImage {
		t.Errorf("of a page with hashes: %v", p)
	}
	m.note(key, info, in, []byte("new"), 1) // at once
	if p := m.find(key, info, in, 1); p == nil || string(p.out) != "new" {
		t.Errorf("after a change: %v", p)
	}
}

// TestPagesOfOneKey: pages that differ where their key does not take each other's
// place only if they come again and again.
func TestPagesOfOneKey(t *testing.T) {
	m := newPageMemory(func() uint64 { return 0 })
	info := &rewrite.Page{Path: "/"}
	page := func(nonce int) []byte {
		in := bytes.Repeat([]byte{' '}, 100*keyPiece*keyPieces)
		copy(in[2*keyPiece:], fmt.Sprint(nonce))
		return in
	}
	key := m.key(info, page(0))
	kept := func(in []byte) bool {
		if m.key(info, in) != key {
			t.Fatal("another key")
		}
		if m.find(key, info, in, 0) != nil {
			return true
		}
		m.note(key, info, in, nil, 0)
		return false
	}
	for i, want := range []bool{false, false, true} {
		if got := kept(page(0)); got != want {
			t.Errorf("time %d: %v", i, got)
		}
	}
	for i := range 100 { // another each time
		if kept(page(1 + i)) {
			t.Errorf("found page %d", i)
		}
	}
	if !kept(page(0)) {
		t.Error("pages that came once have taken the place of one that came often")
	}
	if s := m.seen[key%seenPages]; s.wait != maxUnhashed {
		t.Errorf("the hash is taken of one in %d", s.wait+1)
	}
	times := 1
	for !kept(page(1000)) && times < 1000 {
		times++
	}
	if times > 2*(maxUnhashed+1)+1 {
		t.Errorf("page 1000 is found at time %d", times)
	}
	if kept(page(0)) {
		t.Error("two pages have one place")
	}
	if !kept(page(1000)) {
		t.Error("two pages that take turns are remembered by turns")
	}
}

// TestPageMemoryIsBounded: whatever comes, and by however many requests at once.
//
// Promise 5: "Memory for a rewritten response is bounded".
func TestPageMemoryIsBounded(t *testing.T) {
	m := newPageMemory(func() uint64 { return 0 })
	var clients sync.WaitGroup
	for c := range 4 {
		clients.Go(func() {
			for i := range 3 * rememberedBytes / pageBuffer {
				in := make([]byte, pageBuffer)
				copy(in, fmt.Sprint(c, i))
				info := &rewrite.Page{Path: "/" + strings.Repeat("a", 1000)}
				for range 2 {
					m.note(m.key(info, in), info, in, in, 0)
				}
			}
		})
	}
	clients.Wait()
	size := 0
	for _, p := range m.pages.Values() {
		size += p.size()
	}
	if m.size != size || size > rememberedBytes || size < rememberedBytes/2 {
		t.Errorf("%d bytes remembered, %d counted, limit %d", size, m.size, rememberedBytes)
	}
}
