package rewrite

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// needleSets are searched for in one way or another: seven or four bytes at a time,
// one at a time.
var needleSets = [][]string{
	{"wp-content"},
	append([]string{"wp-content"}, policyNeedles...),
	{"images", "media", "files"},
	{"uploads", "Uploads", "UPLOADS"},
	{"abc", "abd"},
	{"aaaaaaa", "aaaab"},
	{"aaaa"},
	{"a"},
	{"ab", "images"},
	{"%C3%A9", "é"},
	{strings.Repeat("long", 80), "wp-content"},
}

// firstNeedle is what needles.index looks for.
func firstNeedle(texts []string, s []byte, from int) int {
	first := -1
	for _, t := range texts {
		if i := bytes.Index(s[from:], []byte(t)); i >= 0 && (first < 0 || from+i < first) {
			first = from + i
		}
	}
	return first
}

func checkNeedles(t *testing.T, texts []string, s []byte) {
	t.Helper()
	ns := newNeedles(texts)
	for from := 0; from >= 0 && from < len(s); {
		want := firstNeedle(texts, s, from)
		if got := ns.index(s, from); got != want {
			t.Fatalf("%q from %d in %q: %d, want %d", texts, from, s, got, want)
		}
		if from = want; from >= 0 {
			from++
		}
	}
}

// The needles are found wherever bytes.Index finds them.
func TestNeedles(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		texts := needleSets[rnd.IntN(len(needleSets))]
		var s []byte
		for n := rnd.IntN(500); len(s) < n; {
			// Whole needles, and what resembles them.
			needle := texts[rnd.IntN(len(texts))]
			part := []byte(needle[rnd.IntN(2)*rnd.IntN(len(needle)):])
			if rnd.IntN(2) == 0 {
				part[rnd.IntN(len(part))] ^= []byte{0x20, 1, 0x80}[rnd.IntN(3)]
			}
			s = append(append(s, part...), bytes.Repeat([]byte{'-'}, rnd.IntN(90))...)
		}
		checkNeedles(t, texts, s)
	}
}

func FuzzNeedles(f *testing.F) {
	for i, texts := range needleSets {
		f.Add(bytes.Repeat([]byte(texts[0]+"-CONTENT_"), 20), uint8(i))
	}
	f.Fuzz(func(t *testing.T, s []byte, i uint8) {
		checkNeedles(t, needleSets[int(i)%len(needleSets)], s)
	})
}

// BenchmarkNeedles is the search of a page that has none.
func BenchmarkNeedles(b *testing.B) {
	page := []byte(generate(100e3, 0))
	ns := newNeedles(append([]string{"wp-content"}, policyNeedles...))
	b.SetBytes(int64(len(page)))
	for b.Loop() {
		ns.index(page, 0)
	}
}
