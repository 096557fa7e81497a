package rewrite

import (
	"bytes"
	"fmt"
	"strings"
)

// maxNeedles bounds how many different strings one page is searched for.
const maxNeedles = 8

// maxHead is the largest distance in bytes between the start of a URL and its
// needle. It is what is held back at the end of a write when no delimiter is
// near. A prefix is at most maxPrefix long and a host 255, so that only
// generously escaped URLs of unusual length exceed it.
const maxHead = 4 << 10

// needle is a string that stands literally in each URL of some prefix.
type needle struct {
	text []byte
	// rare is the offset of the byte that pages hold least often.
	rare int
}

type needles []needle

func newNeedle(s string) needle { return needle{[]byte(s), rarest(s)} }

// newNeedles chooses for each prefix what to search for.
func newNeedles(prefixes []string) (needles, error) {
	var ns needles
	seen := make(map[string]bool)
	for _, p := range prefixes {
		for _, t := range needleTexts(p) {
			if !seen[t] {
				seen[t] = true
				ns = append(ns, newNeedle(t))
			}
		}
	}
	if len(ns) > maxNeedles {
		return nil, fmt.Errorf("rewrite: the prefixes have %d different names to search for, more than %d", len(ns), maxNeedles)
	}
	return ns, nil
}

// needleTexts is what a URL below prefix p holds one of. A run of unreserved
// ASCII characters has one spelling in practice; a prefix without any is
// searched for in each spelling of its first segment.
func needleTexts(p string) []string {
	best, bestScore := "", -1
	for run := range strings.FieldsFuncSeq(p, func(c rune) bool { return !unreserved(c) }) {
		if s := rarity(run); s > bestScore {
			best, bestScore = run, s
		}
	}
	if best != "" {
		return []string{best}
	}
	seg, _, _ := strings.Cut(p[1:], "/")
	var upper, lower, wide strings.Builder
	for _, c := range []byte(seg) {
		fmt.Fprintf(&upper, "%%%02X", c)
		fmt.Fprintf(&lower, "%%%02x", c)
	}
	first := []rune(seg)[0]
	if first <= 0xffff {
		fmt.Fprintf(&wide, `\u%04x`, first)
	}
	texts := []string{seg, upper.String()}
	if l := lower.String(); l != upper.String() {
		texts = append(texts, l)
	}
	if wide.Len() > 0 {
		texts = append(texts, wide.String())
	}
	return texts
}

func unreserved(c rune) bool {
	return c < 0x80 && (is(byte(c), isAlpha) || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' || c == '~')
}

// frequent lists the characters of markup-heavy English pages, most frequent
// first; what is not in it is rare.
const frequent = "etaoisnrl\"cdp/=u-m><hbg.fvwy:_"

// rarity scores how seldom s is expected in a page.
func rarity(s string) int {
	score := 0
	for i := range len(s) {
		score += 4 + charRarity(s[i])/8
	}
	return score
}

func charRarity(c byte) int {
	if i := strings.IndexByte(frequent, c); i >= 0 {
		return i
	}
	return len(frequent)
}

// rarest is the offset in s of its rarest byte.
func rarest(s string) int {
	best := 0
	for i := range len(s) {
		if charRarity(s[i]) > charRarity(s[best]) {
			best = i
		}
	}
	return best
}

// finder walks the needles of one text from left to right.
type finder struct {
	ns needles
	// at[i] is an occurrence of needle i when found[i], else the position up
	// to which there is none.
	at    [maxNeedles]int
	found [maxNeedles]bool
}

// next is the position of the first needle in src that begins at or after
// from, or -1. Successive calls must not go backwards, and src may only grow.
func (f *finder) next(src []byte, from int) int {
	best := -1
	for i := range f.ns {
		if !f.found[i] || f.at[i] < from {
			f.search(src, from, i)
		}
		if f.found[i] && (best < 0 || f.at[i] < best) {
			best = f.at[i]
		}
	}
	return best
}

func (f *finder) search(src []byte, from, i int) {
	from = max(from, f.at[i])
	text := f.ns[i].text
	if from+len(text) > len(src) {
		f.found[i] = false
		f.at[i] = max(f.at[i], min(from, len(src)))
		return
	}
	if j := bytes.Index(src[from:], text); j >= 0 {
		f.at[i], f.found[i] = from+j, true
		return
	}
	f.at[i], f.found[i] = len(src)-len(text)+1, false
}

// drop forgets the first n bytes of the text.
func (f *finder) drop(n int) {
	for i := range f.ns {
		f.at[i] -= n
		if f.at[i] < 0 {
			f.at[i], f.found[i] = 0, false
		}
	}
}

// reset makes f ready for another text.
func (f *finder) reset(ns needles) {
	*f = finder{ns: ns}
}

// contains reports whether a needle stands in s, and where the first one does.
func (ns needles) index(s []byte) int {
	best := -1
	for i := range ns {
		if j := bytes.Index(s, ns[i].text); j >= 0 && (best < 0 || j < best) {
			best = j
		}
	}
	return best
}
