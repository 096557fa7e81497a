package rewrite

import (
	"regexp"
	"strconv"
)

// serializedStrings follows the strings in PHP's serialize format through a
// text that comes in pieces. Each begins with its length, so a URL of another
// length in it would make PHP refuse the whole value. An app serializes what it
// stores itself, after it got the body, so they are rare: an import form into
// which an export was pasted.
type serializedStrings struct {
	// seen is up to where their beginnings are known, end is where the last of
	// them may end; both count from the start of the piece.
	seen, end int
}

// serializedString is the beginning of one, plain and in the spellings of forms,
// JSON and XML. No body holds one whose length has nine digits.
var serializedString = regexp.MustCompile(`(?i)s(?::|%(?:25)?3a)([0-9]{1,8})(?::|%(?:25)?3a)` +
	`(?:(?:\\|%(?:25)?5c){0,7}(?:"|%(?:25)?22)|(?:\\|%(?:25)?5c){1,7}u0022|&(?:amp;)?(?:quot|#34|#x22);)`)

// maxSerializedStart is the length of what serializedString finds, at most.
const maxSerializedStart = 1 + 5 + 8 + 5 + 7*5 + 5

// longestSpelling is how many bytes a byte of a serialized string may take.
const longestSpelling = 6

// see looks for the strings that begin before piece[to]; those at its end are
// found if maxSerializedStart bytes follow it, or if none crosses it.
func (s *serializedStrings) see(piece []byte, to int) {
	window := piece[:min(len(piece), to+maxSerializedStart)]
	for s.seen < to {
		m := serializedString.FindSubmatchIndex(window[s.seen:])
		if m == nil || s.seen+m[0] >= to {
			break
		}
		size, err := strconv.Atoi(string(window[s.seen+m[2] : s.seen+m[3]]))
		s.seen += m[1]
		if err == nil {
			s.end = max(s.end, s.seen+longestSpelling*size)
		}
	}
	s.seen = max(s.seen, to)
}

// hold reports whether piece[at] may stand in a serialized string.
func (s *serializedStrings) hold(piece []byte, at int) bool {
	s.see(piece, at)
	return at < s.end
}

// drop goes on to the piece that begins at piece[n].
func (s *serializedStrings) drop(piece []byte, n int) {
	s.see(piece, n)
	s.seen -= n
	s.end -= n
}

// isSerialized reports whether a text begins as a value in PHP's serialize format that
// can have strings in it. Such a text keeps its bytes: what a page holds of it may be sent
// back to the app.
func isSerialized(text []byte) bool {
	text = text[skipSpace(text, 0):]
	return len(text) > 0 && startsSerialized(text[0]) && sniffSerialized(text, formatHTML, true) == formatNone
}

// startsSerialized reports whether such a value may begin with c: an array, a string, an
// object or an enumeration.
func startsSerialized(c byte) bool {
	switch c {
	case 'a', 's', 'O', 'C', 'E':
		return true
	}
	return false
}
