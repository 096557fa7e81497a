package rewrite

// go test -run '^$' -fuzz '^FuzzHTML$' -fuzztime 20s ./rewrite
//
// and so for FuzzCSS, FuzzJSON, FuzzXML, FuzzXHTML, FuzzReferences and FuzzReverse. A failure's input goes
// to testdata/fuzz and is kept there.

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"
)

// tight is r with limits that a fuzzer's inputs reach.
func tight(t testing.TB) *Rewriter {
	r := newTest(t, withPolicy, withPlaces)
	r.maxToken, r.unread = 96, 64
	return r
}

func unresolved(c *Config) {
	c.Resolve = func(dst []byte, _ Match) ([]byte, bool) { return append(dst, "garbage"...), false }
}

// fuzzFormat fuzzes one content type from the inputs of the tables.
func fuzzFormat(f *testing.F, contentType string, seeds []row) {
	for _, s := range seeds {
		f.Add([]byte(s.in), uint64(1))
	}
	p := sitePage
	p.ContentType = contentType
	r, none, small := newTest(f, withPolicy, withPlaces), newTest(f, unresolved), tight(f)
	known := newTest(f, withPolicy, withPlaces, withMemory)
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		in := string(data)
		if out := rewriteIn(t, none, p, in, random(seed), false); out != in {
			t.Fatalf("changed without a resolvable URL\n in  %q\n out %q", in, out)
		}
		out := rewriteIn(t, r, p, in, whole(in), false)
		checkSplits(t, r, p, in, out, seed)
		checkRemembered(t, known, p, in, out, seed)
		if again := rewriteIn(t, r, p, out, whole(out), false); again != out {
			t.Fatalf("rewriting twice changes more\n in    %q\n once  %q\n twice %q", in, out, again)
		}
		checkSplits(t, small, p, in, rewriteIn(t, small, p, in, whole(in), false), seed)
		checkBounds(t, small, p, data)
	})
}

func checkSplits(t *testing.T, r *Rewriter, p Page, in, out string, seed uint64) {
	t.Helper()
	for _, flush := range []bool{false, true} {
		if got := rewriteIn(t, r, p, in, random(seed), flush); got != out {
			t.Fatalf("split, flush %v\n in  %q\n one %q\n got %q", flush, in, out, got)
		}
	}
	if got := rewriteIn(t, r, p, in, bytewise, true); got != out {
		t.Fatalf("byte by byte\n in  %q\n one %q\n got %q", in, out, got)
	}
}

// checkRemembered rewrites in until what can be remembered is, and a different
// page now and then.
func checkRemembered(t *testing.T, known *Rewriter, p Page, in, out string, seed uint64) {
	t.Helper()
	for range 2 {
		if got := rewriteIn(t, known, p, in, whole(in), false); got != out {
			t.Fatalf("with a memory\n in  %q\n one %q\n got %q", in, out, got)
		}
	}
	checkSplits(t, known, p, in, out, seed)
}

// checkBounds writes data many times over, and looks at what is kept.
func checkBounds(t *testing.T, r *Rewriter, p Page, data []byte) {
	t.Helper()
	w := r.NewWriter(io.Discard, p)
	defer w.Close()
	for range 20 {
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 50)
			if _, err := w.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
			if bound := w.windowLimit() + 50 + maxHead; w.format != formatPending && len(w.win) > bound {
				t.Fatalf("%d bytes kept, more than %d", len(w.win), bound)
			}
		}
	}
}

func FuzzHTML(f *testing.F) {
	fuzzFormat(f, "text/html", rows(htmlRows+policyRows+hashedMetaRows+placeRows))
}
func FuzzCSS(f *testing.F)  { fuzzFormat(f, "text/css", rows(cssRows+cssPlaceRows)) }
func FuzzJSON(f *testing.F) { fuzzFormat(f, "application/json", rows(jsonRows+jsonPlaceRows)) }
func FuzzXML(f *testing.F) {
	fuzzFormat(f, "application/rss+xml", rows(feedRows+svgRows+feedPlaceRows))
}

func FuzzXHTML(f *testing.F) {
	fuzzFormat(f, "application/xhtml+xml", rows(svgRows+svgPlaceRows+xhtmlPlaceRows))
}

func FuzzReverse(f *testing.F) {
	for i, c := range reverseCases {
		f.Add([]byte(c.in), uint8(i))
	}
	f.Add([]byte(`["s:30:\"https://cdn.test/site1/media/a\";","https://cdn.test/site1/media/a"]`), uint8(0))
	r := newReverse(f)
	types := []string{typeJSON, typeForm, typePart}
	f.Fuzz(func(t *testing.T, body []byte, n uint8) {
		ct := types[int(n)%len(types)]
		out, _ := r.Body(body, ct, origin)
		if !bytes.Contains(bytes.ToLower(body), []byte("cdn.test")) && !bytes.Equal(out, body) {
			t.Fatalf("changed without a public URL: %q to %q", body, out)
		}
		for _, src := range []io.Reader{iotest.OneByteReader(bytes.NewReader(body)), iotest.HalfReader(bytes.NewReader(body))} {
			got, err := io.ReadAll(r.NewReader(src, ct, origin))
			if err != nil || !bytes.Equal(got, out) {
				t.Fatalf("split: %v\n in  %q\n one %q\n got %q", err, body, out, got)
			}
		}
		if again, _ := r.Body(out, ct, origin); !bytes.Equal(again, out) {
			t.Fatalf("turning twice changes more: %q to %q", out, again)
		}
		sized, err := io.ReadAll(r.NewSizedReader(iotest.OneByteReader(bytes.NewReader(body)), ct, origin))
		if err != nil || len(sized) != len(body) {
			t.Fatalf("sized: %d bytes of %d, %v", len(sized), len(body), err)
		}
	})
}
