package web

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/rewrite"
)

// TestResolvedURLs: what is remembered is returned for nothing else.
func TestResolvedURLs(t *testing.T) {
	c := newResolvedURLs()
	long := rewrite.Match{Raw: []byte(strings.Repeat("a", maxResolved))}
	c.add(rewrite.Match{Prefix: 1, Raw: []byte("a.jpg")}, []byte("https://cdn.test/a.jpg"), media.PlaceWithCORS("woff2"), 5)
	c.add(long, []byte("https://cdn.test/"), media.PlaceAnywhere, 5)
	for _, test := range []struct {
		match   rewrite.Match
		changes uint64
		want    string
	}{
		{rewrite.Match{Prefix: 1, Raw: []byte("a.jpg")}, 5, "x https://cdn.test/a.jpg"},
		{rewrite.Match{Prefix: 1, Raw: []byte("a.jpg")}, 6, ""},
		{rewrite.Match{Prefix: 0, Raw: []byte("a.jpg")}, 5, ""},
		{rewrite.Match{Prefix: 1, Raw: []byte("a.jpgh")}, 5, ""},
		{rewrite.Match{Prefix: 1, Raw: []byte("a.jp")}, 5, ""},
		{rewrite.Match{Prefix: 1}, 5, ""},
		{long, 5, ""},
	} {
		// As if all had one slot.
		c.slot(test.match.Raw).CompareAndSwap(nil, c.slot([]byte("a.jpg")).Load())
		got, place, ok := c.append([]byte("x "), test.match, test.changes)
		if ok != (test.want != "") || ok && (string(got) != test.want || place != media.PlaceWithCORS("woff2")) {
			t.Errorf("%+v, %d: %q, %s, %v", test.match, test.changes, got, place, ok)
		}
	}
}

// BenchmarkResolve is what each media URL in a page takes, remembered and not.
func BenchmarkResolve(b *testing.B) {
	site, docRoot := newTestSite(b)
	var keys []string
	for i := range 180 {
		keys = append(keys, fmt.Sprintf("2026/11/picture-of-something-%d-1024x768.jpg", i))
		writeFile(b, docRoot, keys[i], keys[i])
	}
	engine := newTestEngine(b, site)
	engine.Start()
	eventually(b, "all are committed", func() bool {
		return !slices.ContainsFunc(keys, func(key string) bool { _, _, ok := engine.Public([]byte(key)); return !ok })
	})
	h := newTestHandler(b, site, engine)
	var matches []rewrite.Match
	for _, key := range keys {
		matches = append(matches, rewrite.Match{Raw: []byte(key)})
	}
	lookUp := func(dst []byte, m rewrite.Match) ([]byte, bool) {
		dst, _, ok := h.lookUp(dst, m)
		return dst, ok
	}
	for name, resolve := range map[string]func([]byte, rewrite.Match) ([]byte, bool){"remembered": h.resolve, "looked up": lookUp} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var dst []byte
			for i := 0; b.Loop(); i++ {
				var ok bool
				if dst, ok = resolve(dst[:0], matches[i%len(matches)]); !ok {
					b.Fatal("not found")
				}
			}
		})
	}
}
