package rewrite

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// maxNeedles bounds how many different strings one page is searched for.
const maxNeedles = 16

// maxHead is the largest distance in bytes between the start of a URL and its
// needle. It is what is held back at the end of a write when no delimiter is
// near. A prefix is at most maxPrefix long and a host 255, so that only
// generously escaped URLs of unusual length exceed it.
const maxHead = 4 << 10

// needles is the set of strings of which one stands literally in each URL of
// the site's media.
//
// They are searched for together. Of the text only every stride-th position is
// looked at: the gram (up to four bytes) there is hashed into a table of the
// needles' own grams. An occurrence covers at least one of those positions, so
// that a page is read at several bytes a cycle until something like a needle
// comes.
type needles struct {
	// everywhere says that there is one at each position: every URL counts.
	everywhere bool
	texts      [][]byte
	gram       int
	stride     int
	longest    int
	table      [1 << gramBits]gramPlace
}

// gramPlace is where in the needles a gram stands: the needle's index and the
// offset in it, plus one; 0 means in none of them.
type gramPlace uint16

// severalPlaces is for a gram that stands at several, or shares its hash.
const severalPlaces gramPlace = 0xffff

const gramBits = 12

// strideFor is the largest stride not above n that there is a fast loop for.
func strideFor(n int) int {
	switch {
	case n >= 7:
		return 7
	case n >= 4:
		return 4
	}
	return n
}

func gramHash(g uint32) uint32 { return g * 0x9E3779B1 >> (32 - gramBits) }

// newNeedles prepares the search for texts.
func newNeedles(texts []string) *needles {
	ns := &needles{}
	shortest := len(texts[0])
	for _, t := range texts {
		ns.texts = append(ns.texts, []byte(t))
		shortest = min(shortest, len(t))
		ns.longest = max(ns.longest, len(t))
	}
	ns.gram = min(shortest, 4)
	ns.stride = strideFor(shortest - ns.gram + 1)
	for i, t := range ns.texts {
		for o := range ns.stride {
			var g uint32
			for k := range ns.gram {
				g |= uint32(t[o+k]) << (8 * k)
			}
			p := &ns.table[gramHash(g)]
			if *p != 0 {
				*p = severalPlaces
			} else {
				*p = gramPlace(i<<8 | o + 1)
			}
		}
	}
	return ns
}

// index is the position of the first needle in s that begins at or after from,
// or -1.
func (ns *needles) index(s []byte, from int) int {
	j := from + ns.stride - 1
	for ns.gram == 4 {
		var hit bool
		switch {
		case ns.stride == 7:
			j, hit = ns.skip7(s, j)
		case ns.stride == 4:
			j, hit = ns.skip4(s, j)
		}
		if !hit {
			break
		}
		if p := ns.at(s, from, j); p >= 0 {
			return p
		}
		j += ns.stride
	}
	for ; j+ns.gram <= len(s); j += ns.stride {
		if ns.placeAt(s, j) == 0 {
			continue
		}
		if p := ns.at(s, from, j); p >= 0 {
			return p
		}
	}
	return -1
}

// skip7 looks at every seventh position from j on, and returns the first at
// which there may be a gram, or the one from which on fewer are left than it
// takes at once. (Eight at once are a quarter faster than four.)
func (ns *needles) skip7(s []byte, j int) (int, bool) {
	const step = 7
	t := &ns.table
	for j+7*step+4 <= len(s) {
		p := (*[7*step + 4]byte)(s[j:]) // one bounds check for all eight
		g0 := t[gramHash(binary.LittleEndian.Uint32(p[0*step:0*step+4]))]
		g1 := t[gramHash(binary.LittleEndian.Uint32(p[1*step:1*step+4]))]
		g2 := t[gramHash(binary.LittleEndian.Uint32(p[2*step:2*step+4]))]
		g3 := t[gramHash(binary.LittleEndian.Uint32(p[3*step:3*step+4]))]
		g4 := t[gramHash(binary.LittleEndian.Uint32(p[4*step:4*step+4]))]
		g5 := t[gramHash(binary.LittleEndian.Uint32(p[5*step:5*step+4]))]
		g6 := t[gramHash(binary.LittleEndian.Uint32(p[6*step:6*step+4]))]
		g7 := t[gramHash(binary.LittleEndian.Uint32(p[7*step:7*step+4]))]
		if g0|g1|g2|g3|g4|g5|g6|g7 == 0 {
			j += 8 * step
			continue
		}
		if g0|g1|g2|g3 == 0 {
			return j + step*(4+firstOf(g4, g5, g6)), true
		}
		return j + step*firstOf(g0, g1, g2), true
	}
	return j, false
}

// skip4 is skip7 for needles of seven to nine bytes.
func (ns *needles) skip4(s []byte, j int) (int, bool) {
	const step = 4
	t := &ns.table
	for j+7*step+4 <= len(s) {
		p := (*[7*step + 4]byte)(s[j:])
		g0 := t[gramHash(binary.LittleEndian.Uint32(p[0*step:0*step+4]))]
		g1 := t[gramHash(binary.LittleEndian.Uint32(p[1*step:1*step+4]))]
		g2 := t[gramHash(binary.LittleEndian.Uint32(p[2*step:2*step+4]))]
		g3 := t[gramHash(binary.LittleEndian.Uint32(p[3*step:3*step+4]))]
		g4 := t[gramHash(binary.LittleEndian.Uint32(p[4*step:4*step+4]))]
		g5 := t[gramHash(binary.LittleEndian.Uint32(p[5*step:5*step+4]))]
		g6 := t[gramHash(binary.LittleEndian.Uint32(p[6*step:6*step+4]))]
		g7 := t[gramHash(binary.LittleEndian.Uint32(p[7*step:7*step+4]))]
		if g0|g1|g2|g3|g4|g5|g6|g7 == 0 {
			j += 8 * step
			continue
		}
		if g0|g1|g2|g3 == 0 {
			return j + step*(4+firstOf(g4, g5, g6)), true
		}
		return j + step*firstOf(g0, g1, g2), true
	}
	return j, false
}

// firstOf is which of four places is the first that is one, given that one is.
func firstOf(g0, g1, g2 gramPlace) int {
	switch {
	case g0 != 0:
		return 0
	case g1 != 0:
		return 1
	case g2 != 0:
		return 2
	}
	return 3
}

// placeAt is where in the needles the gram at j stands.
func (ns *needles) placeAt(s []byte, j int) gramPlace {
	if ns.gram == 4 {
		return ns.table[gramHash(binary.LittleEndian.Uint32(s[j:]))]
	}
	var g uint32
	for k := range ns.gram {
		g |= uint32(s[j+k]) << (8 * k)
	}
	return ns.table[gramHash(g)]
}

// at is the position of the first needle from on of which the gram at j is a
// part, or -1.
func (ns *needles) at(s []byte, from, j int) int {
	place := ns.placeAt(s, j)
	switch place {
	case 0:
		return -1
	case severalPlaces:
		return ns.search(s, from, j)
	}
	p := j - int(place&0xff) + 1
	if p >= from && bytes.HasPrefix(s[p:], ns.texts[place>>8]) {
		return p
	}
	return -1
}

// search is at for a gram that may stand at several places.
func (ns *needles) search(s []byte, from, j int) int {
	for o := ns.stride - 1; o >= 0; o-- {
		for _, t := range ns.texts {
			if p := j - o; p >= from && bytes.HasPrefix(s[p:], t) {
				return p
			}
		}
	}
	return -1
}

// prefixNeedles chooses for each prefix what to search for.
func prefixNeedles(prefixes []string) (texts []string, err error) {
	for _, p := range prefixes {
		for _, t := range needleTexts(p) {
			if !slices.Contains(texts, t) {
				texts = append(texts, t)
			}
		}
	}
	for _, t := range texts {
		for i := range len(t) {
			if is(t[i], endsHead) {
				return nil, fmt.Errorf("rewrite: nothing in %q can be searched for", t)
			}
		}
	}
	if len(texts) > maxNeedles {
		return nil, fmt.Errorf("rewrite: the prefixes have %d different names to search for, more than %d", len(texts), maxNeedles)
	}
	return texts, nil
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

// rarity scores how seldom s is expected in a page: by its length and by what
// is not an English letter.
func rarity(s string) int {
	score := 0
	for i := range len(s) {
		score += 2
		if !is(s[i], isAlpha) {
			score++
		}
	}
	return min(score, 2*longEnough)
}

// longEnough is the length above which a longer needle is no better.
const longEnough = 12

// finder walks the needles of one text from left to right.
type finder struct {
	ns *needles
	// at is the next needle if found, else up to where there is none.
	at    int
	found bool
}

// next is the position of the first needle in src that begins at or after
// from, or -1. Successive calls must not go backwards, and src may only grow.
func (f *finder) next(src []byte, from int) int {
	if f.found && f.at >= from {
		return f.at
	}
	if f.ns.everywhere {
		if from < len(src) {
			return from
		}
		return -1
	}
	if i := f.ns.index(src, max(from, f.at)); i >= 0 {
		f.at, f.found = i, true
		return i
	}
	f.at, f.found = max(f.at, len(src)-f.ns.longest+1), false
	return -1
}

// drop forgets the first n bytes of the text.
func (f *finder) drop(n int) {
	if f.at -= n; f.at < 0 {
		f.at, f.found = 0, false
	}
}
