package rewrite

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Promise 5: "Streams stay streams. Memory for a rewritten response is
// bounded, the first byte is not delayed".
func TestFlushEmitsWhatIsDecided(t *testing.T) {
	r := newTest(t)
	for _, c := range []struct{ contentType, in, held string }{
		{"text/html", "<p>some text", "text"},
		{"text/html", "<p>some text ", ""},
		{"text/html", "<!doctype html><html>", ""},
		{"text/html", "<img src=", "src="},
		{"text/html", `<img alt="x" src="/wp-content/upl`, "/wp-content/upl"},
		{"text/html", `<img alt="x" src="/wp-content/uploads/a.jpg`, "/wp-content/uploads/a.jpg"},
		{"text/html", expand.Replace(`<img src="{U}a.jpg"><p `), ""},
		{"text/html", expand.Replace(`<p>{U}a.jpg `), ""},
		{"text/css", "a{color:red} ", ""},
		{"application/json", `{"a":"b", `, ""},
		{"text/html", " \n{", "{"},
	} {
		var out bytes.Buffer
		p := sitePage
		p.ContentType = c.contentType
		w := r.NewWriter(&out, p)
		io.WriteString(w, c.in)
		w.Flush()
		want := strings.TrimSuffix(rewriteIn(t, r, p, c.in, whole(c.in), false), c.held)
		if out.String() != want {
			t.Errorf("%q: %q after Flush, want %q", c.in, out.String(), want)
		}
		w.Close()
	}
}

// What a Writer holds stays bounded whatever comes: a tag, a string, a URL, a
// comment without an end.
func TestMemoryIsBounded(t *testing.T) {
	r := newTest(t)
	for _, c := range []struct{ contentType, start, body string }{
		{"text/html", "<img src=\"/wp-content/uploads/", "a"},
		{"text/html", "<img ", "a=\"/wp-content/uploads/b\" "},
		{"text/html", "<!-- ", "<img src=\"/wp-content/uploads/b\">"},
		{"text/html", "<textarea>", "/wp-content/uploads/a.jpg "},
		{"text/html", "<script>x=\"", "/wp-content/uploads/a "},
		{"text/html", "<script>x=/", "/wp-content/uploads/a[ "},
		{"text/html", "<script type=text/html>", "<img src=\"/wp-content/uploads/b\">"},
		{"text/html", "<style>a{b:url(", "/wp-content/uploads/a"},
		{"text/html", "<img src=\"data:image/png;base64,", "AAAA"},
		{"text/html", "", "<"},
		{"text/html", "", "wp-content"},
		{"text/css", "a{b:url(\"", "/wp-content/uploads/a"},
		{"text/css", "a", "wp-content"},
		{"application/json", `{"a":"`, `<img src=\"\/wp-content\/uploads\/a.jpg\">`},
		{"application/json", `{"a":"`, `\\`},
		{"application/json", ``, `{"wp-content":`},
		{"application/rss+xml", "<a>", "&lt;img src=\"/wp-content/uploads/a.jpg\"&gt;"},
		{"application/rss+xml", "<a><![CDATA[", "<img src=\"/wp-content/uploads/a.jpg\">"},
		{"application/rss+xml", "<a b=\"", "/wp-content/uploads/a.jpg"},
	} {
		p := sitePage
		p.ContentType = c.contentType
		w := r.NewWriter(io.Discard, p)
		piece := []byte(strings.Repeat(c.body, 1+4096/len(c.body)))
		io.WriteString(w, c.start)
		most := 0
		for range 100 { // more than the limit
			if _, err := w.Write(piece); err != nil {
				t.Fatal(err)
			}
			most = max(most, len(w.win))
		}
		if limit := w.windowLimit() + len(piece); most > limit {
			t.Errorf("%q + %q: %d bytes held, limit %d", c.start, c.body, most, limit)
		}
		if size := cap(w.win) + cap(w.out) + cap(w.repl); size > 16*DefaultMaxToken {
			t.Errorf("%q + %q: buffers of %d bytes", c.start, c.body, size)
		}
		w.Close()
	}
}

// Time grows linearly with the page, on adversarial input too. What is read
// again for each write is bounded by the window, so a scanner that did so would
// take seconds for the 1 MB that takes some ten milliseconds of CPU time.
func TestTimeIsLinear(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r := newTest(t)
	pad := strings.Repeat("x ", DefaultMaxToken/2-100) // tokens just below the limit
	size, limit := 1000000, 1500*time.Millisecond
	if raceEnabled { // ten times as slow
		size, limit = size/5, limit*2
	}
	for _, c := range []struct{ contentType, body string }{
		{"text/html", "<img a='wp-content" + pad + "'>"}, {"text/html", "<img wp-content " + pad + ">"}, {"text/html", "<script>'wp-content" + pad + "'</script>"},
		{"text/css", "a{b:url('wp-content" + pad + "')}"}, {"application/json", `["wp-content` + pad + `"],`}, {"application/rss+xml", "<a>wp-content" + pad + "</a>"},
		{"text/html", "<img" + manyAttributes(2000) + ">"},
		{"text/html", "<"}, {"text/html", "<a"}, {"text/html", "<a \""}, {"text/html", "<!--"}, {"text/html", "--"},
		{"text/html", "</script"}, {"text/html", "<script><!--"}, {"text/html", "<svg>"}, {"text/html", "wp-content"},
		{"text/html", "<img a=\"wp-content\" "}, {"text/html", "<img src='wp-content\">"}, {"text/html", "<img srcset='/wp-content/uploads/a,'>"},
		{"text/html", "<div data-x='{\"a\":\"/wp-content/uploads/a\"}'>"}, {"text/html", "<script>'wp-content\"`"}, {"text/html", "<script>\"\\\n"},
		{"text/html", "<style>'wp-content\""}, {"text/html", "<textarea></textare"}, {"text/html", "&wp-content"},
		{"text/css", "url("}, {"text/css", "'wp-content\""}, {"text/css", "/*wp-content"}, {"text/css", "@import wp-content"},
		{"application/json", `{"wp-content`}, {"application/json", `"\"wp-content`}, {"application/json", `"<img src=\"wp-content`},
		{"application/rss+xml", "<a>wp-content"}, {"application/rss+xml", "<![CDATA[wp-content"}, {"application/rss+xml", "<a>&lt;wp-content"}, {"application/rss+xml", "<!DOCTYPE [wp-content"},
	} {
		in := strings.Repeat(c.body, size/len(c.body))
		if took := drip(r, c.contentType, in); took > limit {
			t.Errorf("%s %.30q: %v for %d bytes, more than %v", c.contentType, c.body, took, size, limit)
		}
	}
	halfURLs := strings.Repeat("/wp-content/ https://example.com/wp-content/uploads &lt;/wp-content/uploads/x ", size/77)
	for contentType, starts := range neverEnding {
		for _, start := range starts {
			if took := drip(r, contentType, start+halfURLs); took > limit {
				t.Errorf("%s %s…: %v for %d bytes, more than %v", contentType, start, took, size, limit)
			}
		}
	}
}

// neverEnding begin something that takes an end.
var neverEnding = map[string][]string{
	"text/html": {
		"<!--", "<!", "<svg><![CDATA[", "<svg><style>", "<textarea>", "<plaintext>", "<style>", "<style>a{b:url(", "<style>a{b:'",
		"<script>", "<script><!--<script>", "<script>'", "<script>`", "<script>/*", "<script>/[", "<script type=text/html>", "<script type=application/json>",
		"<a ", "<a b=", "<a b='", "<a b=\"", "<a href=\"/", "<a style=\"b:url(", "<a srcset=\"", "<a data-b='{\"", "</a b='",
	},
	"text/css":            {"/*", "a{b:url(", "a{b:'", "a{b:image-set(", "@import "},
	"application/json":    {"[\"", "[\"<img src='", "{"},
	"application/rss+xml": {"<a>", "<!--", "<a b=\"", "<a><![CDATA[", "<a>&lt;img src=&quot;", "<!DOCTYPE ["},
}

// drip writes in bit by bit and returns the CPU time of that.
func drip(r *Rewriter, contentType, in string) time.Duration {
	p := sitePage
	p.ContentType = contentType
	w := r.NewWriter(io.Discard, p)
	start := cpuTime()
	for rest := in; rest != ""; {
		n := min(len(rest), 16)
		io.WriteString(w, rest[:n])
		rest = rest[n:]
	}
	w.Close()
	return cpuTime() - start
}

// manyAttributes is attributes that each hold a URL.
func manyAttributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " x-%04d-src=\"//example.com/images/a\"", i)
	}
	return b.String()
}

// Of a tag's attributes so many are looked at, and the last.
func TestManyAttributes(t *testing.T) {
	r := newTest(t)
	in := "<img" + manyAttributes(maxAttributes+9) + "><img" + manyAttributes(maxAttributes) + ">"
	out := rewriteIn(t, r, sitePage, in, whole(in), false)
	if got := strings.Count(out, "cdn.test"); got != 2*maxAttributes {
		t.Errorf("%d URLs are replaced, want %d", got, 2*maxAttributes)
	}
	if got := rewriteIn(t, r, sitePage, in, func() int { return 500 }, true); got != out {
		t.Error("another output in pieces of 500 bytes")
	}
	for last, want := range map[string]bool{"/>": true, " a=b />": true, " a='b'/>": true, " a=b/>": false} {
		tag := []byte("<g" + manyAttributes(maxAttributes+9) + last)
		l, end := readAttributes(nil, tag, 2)
		if got := l.closesItself(tag, end); end != len(tag) || got != want {
			t.Errorf("a tag that ends with %q: ends at %d of %d, closes itself: %v", last, end, len(tag), got)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	for _, changes := range []func() uint64{nil, unchanging} {
		for _, kind := range benchKinds {
			page := generate(100e3, kind.urls)
			r := resolvedBy(resolveKnown(page), changes)
			checkAllocations(t, kind.name, r, []byte(page))
		}
	}
}

func checkAllocations(t *testing.T, kind string, r *Rewriter, in []byte) {
	dst := new(sink)
	w := r.NewWriter(dst, corpusPage)
	for range 3 { // until what comes again is remembered
		w.Reset(dst, corpusPage)
		inChunks(w, in)
	}
	if n := testing.AllocsPerRun(10, func() {
		w.Reset(dst, corpusPage)
		inChunks(w, in)
		w.Finish()
	}); n > 0 {
		t.Errorf("%s: %v allocations per page", kind, n)
	}
	w.Close()
	// A collection in between may empty the pool: less than one in ten
	// pages is nothing.
	if raceEnabled {
		return
	}
	if n := testing.AllocsPerRun(100, func() {
		w := r.NewWriter(dst, corpusPage)
		inChunks(w, in)
		w.Close()
	}); n > 0 {
		t.Errorf("%s: %v allocations per page, with the pool", kind, n)
	}
}

// Each URL of the corpus is replaced, whatever the size of the page.
func TestCorpus(t *testing.T) {
	for _, kind := range benchKinds {
		for _, size := range benchSizes {
			if size.size > 500e3 {
				continue // 500 KB exceed every limit
			}
			page := generate(size.size, kind.urls)
			r := resolvedBy(resolveKnown(page), nil)
			want := page
			for _, sep := range []string{"/", `\/`} {
				from := strings.ReplaceAll(corpusSite+"/wp-content/uploads/", "/", sep)
				to := strings.ReplaceAll("https://cdn.example.net/media/", "/", sep)
				want = strings.ReplaceAll(want, from, to)
			}
			for _, chunk := range []int{len(page), 32 << 10, 4 << 10, 300} {
				got := rewriteIn(t, r, corpusPage, page, func() int { return chunk }, false)
				if got != want {
					t.Errorf("%s %s in chunks of %d: not what replacing all gives", size.name, kind.name, chunk)
				}
			}
		}
	}
}

type failing struct{ after int }

var errBroken = errors.New("broken pipe")

func (f *failing) Write(p []byte) (int, error) {
	if f.after -= len(p); f.after < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

func TestWriteErrors(t *testing.T) {
	r := newTest(t)
	w := r.NewWriter(&failing{after: 10}, sitePage)
	var err error
	for range 100 {
		if _, err = io.WriteString(w, injected+"some text "); err != nil {
			break
		}
	}
	if !errors.Is(err, errBroken) {
		t.Errorf("Write = %v, want %v", err, errBroken)
	}
	if err := w.Close(); !errors.Is(err, errBroken) {
		t.Errorf("Close = %v, want %v", err, errBroken)
	}
}

func TestReset(t *testing.T) {
	r := newTest(t)
	var a, b bytes.Buffer
	w := r.NewWriter(&a, sitePage)
	io.WriteString(w, "<svg><style>a<base href=//x><img src=\"/wp-content/uploads/")
	w.Reset(&b, sitePage)
	io.WriteString(w, injected)
	if err := w.Finish(); err != nil || w.Replaced() != 1 {
		t.Errorf("Finish = %v, Replaced = %d, want 1", err, w.Replaced())
	}
	w.Close()
	if want := expand.Replace(`<img src="{C}a.jpg">`); b.String() != want {
		t.Errorf("%q after Reset, want %q", b.String(), want)
	}
}

func TestConcurrentUse(t *testing.T) {
	r := newTest(t)
	page := generate(20e3, 600)
	p := sitePage
	p.Host = "www.example.com"
	want := rewriteIn(t, r, p, page, whole(page), false)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 20 {
				if got := rewriteIn(t, r, p, page, func() int { return 700 + i }, false); got != want {
					t.Error("another output when used concurrently")
					return
				}
			}
		})
	}
	wg.Wait()
}
