package rewrite

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// Names, values and gaps between tags are mostly a few bytes long. Looking at
// eight bytes in one word spares the loop whose end the processor guesses
// wrongly, and the call of an assembly routine made for long texts.
//
// equalTo and below return a word whose lowest set bit is the highest one of
// the lowest matching byte; the bits above it mean nothing.

const (
	wordSize = 8
	ones     = 0x0101010101010101
	tops     = 0x8080808080808080
)

// wordAt is the eight bytes of s from i on, the first one lowest.
func wordAt(s []byte, i int) uint64 { return binary.LittleEndian.Uint64(s[i : i+wordSize]) }

// equalTo finds c in v.
func equalTo(v uint64, c byte) uint64 {
	v ^= uint64(c) * ones
	return (v - ones) &^ v & tops
}

// below finds bytes less than c, which is at most 128, in v.
func below(v uint64, c byte) uint64 { return (v - uint64(c)*ones) &^ v & tops }

// firstByte is the index of the byte that m marks.
func firstByte(m uint64) int { return bits.TrailingZeros64(m) / wordSize }

// nearSteps is how many words indexNear looks at itself.
const nearSteps = 4

// indexNear is bytes.IndexByte for where c is expected within a few bytes.
func indexNear(s []byte, c byte) int {
	i := 0
	for ; i < wordSize*nearSteps && i+wordSize <= len(s); i += wordSize {
		if m := equalTo(wordAt(s, i), c); m != 0 {
			return i + firstByte(m)
		}
	}
	if j := bytes.IndexByte(s[i:], c); j >= 0 {
		return i + j
	}
	return -1
}

// tagNameEnd is the position from i on of what ends a tag's name.
func tagNameEnd(src []byte, i int) int {
	for i < len(src) && !is(src[i], endsTag) {
		i++
	}
	return i
}

// indexSpace is the position from i on of whitespace, or the length of s.
func indexSpace(s []byte, i int) int {
	for i+wordSize <= len(s) {
		m := below(wordAt(s, i), ' '+1)
		if m == 0 {
			i += wordSize
			continue
		}
		if i += firstByte(m); is(s[i], isSpace) {
			return i
		}
		i++
	}
	for i < len(s) && !is(s[i], isSpace) {
		i++
	}
	return i
}
