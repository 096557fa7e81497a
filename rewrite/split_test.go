package rewrite

import (
	"flag"
	"math/rand/v2"
	"strings"
	"testing"
)

var splitPages = flag.Int("split.pages", 100, "pages of each format that TestSplits generates")

// TestSplits makes pages of pieces of the tables' rows, cut anywhere, and
// looks at what the fuzz targets do.
// Promise 5: "Streams stay streams. Memory for a rewritten response is
// bounded, the first byte is not delayed".
func TestSplits(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	r, small, none := newTest(t, withPolicy, withPlaces), tight(t), newTest(t, unresolved)
	known := newTest(t, withPolicy, withPlaces, withMemory)
	for _, c := range []struct {
		contentType string
		rows        []row
	}{
		{"text/html", rows(htmlRows)},
		{"text/html", rows(policyRows + hashedMetaRows)},
		{"text/html", rows(placeRows)},
		{"text/html", append(rows(htmlRows), append(rows(jsonRows), rows(cssRows)...)...)},
		{"text/css", rows(cssRows)},
		{"text/css", rows(cssPlaceRows)},
		{"application/json", rows(jsonRows)},
		{"application/rss+xml", append(rows(feedRows), rows(htmlRows)...)},
		{"application/xml", rows(feedRows + feedPlaceRows)},
		{"application/xhtml+xml", rows(xhtmlPlaceRows + placeRows)},
		{"application/manifest+json", rows(manifestPlaceRows + jsonRows)},
		{"application/vnd.apple.mpegurl", playlistRows},
		{"application/dash+xml", rows(dashRows)},
		{"image/svg+xml", append(rows(svgRows), rows(cssRows)...)},
	} {
		p := sitePage
		p.ContentType = c.contentType
		for range *splitPages {
			in := pieced(rnd, c.rows)
			if got := rewriteIn(t, none, p, in, random(rnd.Uint64()), false); got != in {
				t.Fatalf("%s changed without a resolvable URL\n in  %q\n out %q", c.contentType, in, got)
			}
			out := rewriteIn(t, r, p, in, whole(in), false)
			checkSplits(t, r, p, in, out, rnd.Uint64())
			checkRemembered(t, known, p, in, out, rnd.Uint64())
			if again := rewriteIn(t, r, p, out, whole(out), false); again != out {
				t.Fatalf("%s, rewriting twice changes more\n in    %q\n once  %q\n twice %q", c.contentType, in, out, again)
			}
			checkSplits(t, small, p, in, rewriteIn(t, small, p, in, whole(in), false), rnd.Uint64())
			checkBounds(t, small, p, []byte(in))
			if t.Failed() {
				return
			}
		}
	}
}

func pieced(rnd *rand.Rand, rs []row) string {
	var b strings.Builder
	for range 1 + rnd.IntN(8) {
		s := rs[rnd.IntN(len(rs))].in
		switch rnd.IntN(3) {
		case 0:
			s = s[:rnd.IntN(len(s)+1)]
		case 1:
			s = s[rnd.IntN(len(s)+1):]
		}
		b.WriteString(s)
	}
	return b.String()
}
