package rewrite

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// references are the URLs in body, each with its place, read in one way or
// another.
func references(t testing.TB, contentType string, body io.Reader) (found []string) {
	t.Helper()
	err := References(contentType, body, func(url []byte, p Place) bool {
		found = append(found, fmt.Sprintf("%s %s", p, url))
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// everyReferences reads body in several ways, all of which must find the same.
func everyReferences(t testing.TB, contentType, body string, seed uint64) []string {
	t.Helper()
	want := references(t, contentType, strings.NewReader(body))
	for name, r := range map[string]io.Reader{
		"byte by byte": iotest.OneByteReader(strings.NewReader(body)),
		"in pieces":    &pieces{strings.NewReader(body), random(seed)},
	} {
		if got := references(t, contentType, r); !slices.Equal(got, want) {
			t.Fatalf("%s, %s:\n in  %q\n one %q\n got %q", contentType, name, body, want, got)
		}
	}
	return want
}

// pieces is a reader of pieces whose sizes next gives.
type pieces struct {
	io.Reader
	next func() int
}

func (p *pieces) Read(b []byte) (int, error) { return p.Reader.Read(b[:min(len(b), p.next())]) }

var referenceCases = []struct{ contentType, body, want string }{
	{"text/css", `a{background:url(/core/misc/x.svg)}b{background:url( "../../themes/t/bg.png" )}`,
		"anywhere /core/misc/x.svg, anywhere ../../themes/t/bg.png"},
	{"text/css; charset=utf-8", `@import "a.css";@import url(b.css) print;@font-face{font-family:x;src:local(x),url('/wp-content/uploads/omgf/x.woff2')format("woff2")}a{cursor:url(c.cur)}`,
		"anywhere a.css, anywhere b.css, with CORS /wp-content/uploads/omgf/x.woff2, anywhere c.cur"},
	{"text/css", `a{mask-image:url(a.svg);mask:url(a.svg#m);filter:url(f.svg#f);--x:url(x.png);b\61 ckground:url(y.png);background:image-set("z.png" 1x)}`,
		"with CORS a.svg, at home a.svg#m, at home f.svg#f, with CORS x.png, with CORS y.png, anywhere z.png"},
	{"text/css", `a{background:url(d\61 ta.png)}/* url(x) */ b{content:"url(y)"}c{background:url(#z)}d{background:url()}`, "anywhere data.png"},
	{"text/html", `<base href="/x/"><img src="a.jpg?x=1&amp;y#z" srcset="b.jpg 1x, c.jpg 2x"><p style="background:url(&quot;d.jpg&quot;)">e.jpg<!-- <img src=f> --><script>x="\/g.jpg"</script>`,
		"at home /x/, anywhere a.jpg?x=1&y#z, anywhere b.jpg, anywhere c.jpg, anywhere d.jpg, with CORS /g.jpg"},
	{"application/xhtml+xml", `<html><img src="a.jpg"/><style>p{background:url(b.jpg)}</style></html>`, "anywhere a.jpg, anywhere b.jpg"},
	{"image/svg+xml", `<?xml version="1.0"?><?x href="n"?><svg xmlns="http://www.w3.org/2000/svg"><image xlink:href="../a.png"/><style><![CDATA[@font-face{src:url(f.woff)}]]></style><text>b.png</text></svg>`,
		"anywhere ../a.png, with CORS f.woff"},
	{"application/manifest+json", `{"name":"/x","start_url" : "/?pwa","scope":"..","id":"/i","icons":[{"src":"icons\/a.png","sizes":"1x1"}],"shortcuts":[{"url":"/b","name":"src"}],"categories":["url","src"]}`,
		"at home /?pwa, at home .., anywhere icons/a.png, at home /b"},
	{"application/vnd.apple.mpegurl", "#EXTM3U\r\n#EXT-X-KEY:METHOD=AES-128,URI=\"/key?a=,b\",IV=0x1\n#EXT-X-MEDIA:TYPE=AUDIO,NAME=\"URI=x, y\",URI=\"a/b.m3u8\"\n# comment URI=\"no\"\n\n#EXTINF:9,URI=\"no\nseg 1.ts\r\n../s2.ts",
		"with CORS /key?a=,b, with CORS a/b.m3u8, with CORS seg 1.ts, with CORS ../s2.ts"},
	{"audio/mpegurl", "a.mp3\n/b.mp3\n", "with CORS a.mp3, with CORS /b.mp3"},
	{"application/dash+xml", `<?xml version="1.0"?><MPD xmlns="urn:x" xlink:href="/r"><BaseURL>../v/</BaseURL><Title>x</Title><SegmentTemplate media="$Number$.m4s" initialization="i.mp4?a=1&amp;b" x="no"/><SegmentURL mediaRange="0-1"/><Initialization sourceURL="s.mp4"/></MPD>`,
		"with CORS /r, with CORS ../v/, with CORS $Number$.m4s, with CORS i.mp4?a=1&b, with CORS s.mp4"},
	{"text/css", "", ""},
}

// "Every URL counts, whatever its scheme and host."
func TestReferences(t *testing.T) {
	for _, c := range referenceCases {
		if got := strings.Join(everyReferences(t, c.contentType, c.body, rand.Uint64()), ", "); got != c.want {
			t.Errorf("%s %s\n got  %s\n want %s", c.contentType, c.body, got, c.want)
		}
	}
}

// "Until found returns false."
func TestReferencesStop(t *testing.T) {
	for _, c := range referenceCases {
		calls := 0
		err := References(c.contentType, io.MultiReader(strings.NewReader(c.body), iotest.ErrReader(io.EOF)), func([]byte, Place) bool {
			calls++
			return false
		})
		if err != nil || calls > 1 {
			t.Errorf("%s: %d calls, %v", c.contentType, calls, err)
		}
	}
}

// "A body that it cannot read … is an error."
func TestReferencesFail(t *testing.T) {
	broken := errors.New("broken")
	none := func([]byte, Place) bool { return true }
	if err := References("text/css", iotest.ErrReader(broken), none); !errors.Is(err, broken) {
		t.Errorf("a reader's error: %v", err)
	}
	for _, c := range [][2]string{
		{"text/css; charset=utf-16", "a{}"}, {"text/css", "\xff\xfea\x00"}, {"image/png", "x"}, {"text/css; charset=big5", "a"},
	} {
		if err := References(c[0], strings.NewReader(c[1]), none); err == nil {
			t.Errorf("%q in %s can be read", c[1], c[0])
		}
	}
}

// A body of any size takes no more memory than its longest part, up to the limit.
func TestReferencesAreBounded(t *testing.T) {
	for _, c := range referenceCases {
		found, window := 0, 0
		line := []byte(c.body + "\n")
		w := referrers.Get().(*Writer)
		w.Reset(io.Discard, Page{ContentType: c.contentType})
		w.found = func([]byte, Place) bool { found++; return true }
		long := append(append([]byte(`url("`), bytes.Repeat([]byte("x"), 3*DefaultMaxToken)...), "\")\n<\">"...)
		for i := range 200 {
			if i%50 == 0 {
				_, _ = w.Write(long)
			}
			_, _ = w.Write(line)
			window = max(window, len(w.win))
		}
		_ = w.Finish()
		if window > 2*DefaultMaxToken {
			t.Errorf("%s: %d bytes are kept", c.contentType, window)
		}
		w.found = nil
	}
}

func FuzzReferences(f *testing.F) {
	for i, c := range referenceCases {
		f.Add(c.body, uint8(i), uint64(i))
	}
	f.Fuzz(func(t *testing.T, body string, n uint8, seed uint64) {
		c := referenceCases[int(n)%len(referenceCases)]
		if err := References(c.contentType, strings.NewReader(body), func([]byte, Place) bool { return true }); err != nil {
			return
		}
		everyReferences(t, c.contentType, body, seed)
	})
}
