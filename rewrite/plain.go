package rewrite

import "slices"

// Most of a page is plain markup: text, and tags that neither hold a URL nor
// change how what follows is read. plainBlocks passes over it by looking at 64
// bytes at a time, where the scanner would look at each tag by itself. It needs
// no exact tokenizer to be right, for it stops wherever there is a doubt:
//
//   - at a '<' that is not followed by a letter, or by '/' and a letter: it may
//     begin a comment, a declaration, nothing;
//   - at a start tag whose name begins as that of a special element does;
//   - at a tag with a single quote in it before the first '>';
//   - at a tag in which the last double quote before the first '>' may have
//     begun a value, because '=' or whitespace is before it. Else no value is
//     open at that '>', as obviousTagEnd says, and the tag ends there.
//
// A bit of a word stands for each byte of a block. Which bytes are in tags then
// comes of one subtraction: in the word of all '>' less that of all '<', the
// borrow runs from each '<' to the next '>', and from block to block; a second
// '<' or '>' changes nothing. Likewise the borrow from each quote that may begin
// a value runs to the next one that cannot.

// blockSize is how many bytes plainBlocks looks at at once, nameMargin how many
// more behind the last block.
const (
	blockSize  = 64
	nameMargin = 3
)

// skipPlain passes over plain markup from pos on, where text begins, up to stop
// at most. It returns the position reached, at which text or a tag begins, and
// the one from which on to try it again is worthwhile.
func skipPlain(src []byte, pos, stop int) (next, again int) {
	blocks := (min(stop, len(src)-nameMargin) - pos) / blockSize
	if blocks <= 0 {
		return pos, pos
	}
	done, seen := plainBlocks(&src[pos], blocks, &plainNames)
	return pos + done, pos + seen
}

// nameSets has for each of the bytes after a '<' a set for each value of it. If
// the three sets have a bit in common, what begins there may be something else
// than a plain tag.
type nameSets [nameMargin][256]uint16

// plainNames has a bit for each three letters that a special element's name begins
// with, or for two such that differ in one of them; one for what is not a letter,
// and one for a slash before what is not a letter.
var plainNames = func() (t nameSets) {
	const noLetter, slash = 1 << 0, 1 << 1
	for c := range 256 {
		t[2][c] = noLetter | slash
		t[1][c] = noLetter
		if !is(byte(c), isAlpha) {
			t[0][c], t[1][c] = noLetter, noLetter|slash
		}
	}
	t[0]['/'] = slash
	bit := uint16(slash)
	for _, pair := range pairedStarts() {
		if bit <<= 1; bit == 0 {
			panic("rewrite: more special elements than bits")
		}
		for _, start := range pair {
			for i := range start {
				t[i][start[i]] |= bit
				t[i][start[i]-'a'+'A'] |= bit
			}
		}
	}
	return t
}()

// pairedStarts are the three letters that special elements' names begin with,
// those together that differ in one of them.
func pairedStarts() (pairs [][]string) {
	var seen []string
next:
	for _, name := range elementNames[elScript:] {
		start := name[:nameMargin]
		if slices.Contains(seen, start) {
			continue
		}
		seen = append(seen, start)
		for i, pair := range pairs {
			if len(pair) == 1 && differences(pair[0], start) == 1 {
				pairs[i] = append(pair, start)
				continue next
			}
		}
		pairs = append(pairs, []string{start})
	}
	return pairs
}

// differences is in how many bytes a and b differ, which are of one length.
func differences(a, b string) (n int) {
	for i := range a {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}
