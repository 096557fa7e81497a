package media

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// NameStem returns what a file name has in common with all names that an app
// might give the file, or might confuse with them when it looks for a free one:
// two names that could collide in one directory have the same stem. Names that
// could not may share one, too; then one upload waits for another, nothing
// else. A path counts as its last part. The result is never empty.
//
// It undoes, in this order: what apps do to make a name safe (case, accents and
// their spellings in letters, spaces, punctuation; WordPress' sanitize_file_name
// and remove_accents, Joomla's File::makeSafe, MediaWiki's titles), the
// extension, and what WordPress appends for pictures of other sizes
// (-150x150, -scaled, -rotated), edited ones (-e1699999999999), previews (-pdf)
// and to make a name unique (-1; Drupal: _0).
//
// It knows no transliteration of other scripts than Latin: an app that makes
// "foto" out of Cyrillic letters is not followed.
func NameStem(name string) string {
	var buf, out [2 * maxSegment]byte
	safe := appendSafe(buf[:0], baseName(name))
	safe = bytes.Trim(safe, ".-_")
	if i := bytes.LastIndexByte(safe, '.'); i > 0 {
		safe = safe[:i]
	} else if assets[string(safe)] {
		safe = nil // ".jpg": nothing but an extension
	}
	if stem := appendBare(out[:0], withoutSuffixes(safe)); len(stem) > 0 {
		return string(stem)
	}
	return unnamed
}

// unnamed is the stem of WordPress' "unnamed-file", its name for a file of whose
// name nothing is left.
const unnamed = "unamedfile"

// baseName returns the last part of a path, of whatever system, cut to the
// length that a file name can have.
func baseName(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	return name[:min(len(name), maxSegment)]
}

// symbol stands in a safe name for what is no letter or digit but may stay in
// the app's name: an emoji, an accent without a letter, an @. "@-1.jpg" is a name
// made of "@.jpg", where "-1.jpg" is WordPress' "1.jpg".
const symbol = 1

// appendSafe appends name in lower case and without accents. Of what is neither
// letter nor digit it keeps dots, hyphens and underscores; a space becomes a
// hyphen, and other punctuation of ASCII is dropped, as WordPress and Joomla do;
// but WordPress keeps @ and ^.
func appendSafe(dst []byte, name string) []byte {
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			var buf [2 * maxSegment]byte
			return appendSafeUnicode(dst, decomposed(buf[:0], name))
		}
	}
	for i := range len(name) {
		dst = appendSafeASCII(dst, name[i])
	}
	return dst
}

// appendSafeUnicode is appendSafe for a decomposed name.
func appendSafeUnicode(dst, name []byte) []byte {
	for i := 0; i < len(name); {
		if c := name[i]; c < utf8.RuneSelf {
			dst = appendSafeASCII(dst, c)
			i++
			continue
		}
		r, size := utf8.DecodeRune(name[i:])
		i += size
		r = unicode.ToLower(r)
		switch letters := spelledOut(r); {
		case letters != "":
			dst = append(dst, letters...)
		case unicode.IsSpace(r):
			dst = append(dst, '-')
		case unicode.IsLetter(r), unicode.IsDigit(r):
			dst = utf8.AppendRune(dst, r)
		case unicode.Is(unicode.Mn, r) && endsInLetter(dst):
		default:
			dst = append(dst, symbol)
		}
	}
	return dst
}

// endsInLetter reports whether an accent that follows is one of a letter, or of
// a digit.
func endsInLetter(safe []byte) bool {
	if len(safe) == 0 {
		return false
	}
	c := safe[len(safe)-1]
	return isAlphanumeric(c) || c >= utf8.RuneSelf
}

func appendSafeASCII(dst []byte, c byte) []byte {
	switch {
	case isAlphanumeric(lower(c)), c == '.', c == '-', c == '_':
		return append(dst, lower(c))
	case c == ' ', c == '\t', c == '\r', c == '\n':
		return append(dst, '-')
	case 0 < c && c < ' ', c == 0x7f, c == '@', c == '^':
		return append(dst, symbol)
	}
	return dst
}

func isAlphanumeric(c byte) bool { return 'a' <= c && c <= 'z' || isDigit(c) }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// ends are what some app cuts from the end of a name.
const ends = ".-_" + string(rune(symbol))

// withoutSuffixes cuts from the end of a safe name what apps append, and the
// extension of a picture before that of another: "a-1.jpg.webp" stands beside
// "a-1.jpg".
func withoutSuffixes(safe []byte) []byte {
	for {
		safe = bytes.TrimRight(safe, ends)
		i := bytes.LastIndexAny(safe, ".-_")
		if i <= 0 || !isSuffix(safe[i], safe[i+1:]) {
			return safe
		}
		safe = safe[:i]
	}
}

// isSuffix reports whether an app may have appended the word and the separator
// before it to a name.
func isSuffix(separator byte, word []byte) bool {
	switch separator {
	case '.':
		return assets[string(word)]
	case '_':
		// Cameras write IMG_1234: a counter of Drupal's is shorter.
		return isCounter(word, 2) || string(word) == "0"
	}
	switch string(word) {
	case "scaled", "rotated", "pdf":
		return true
	}
	return isCounter(word, 5) || isSize(word) || isEditTime(word)
}

// isCounter reports whether word is a number above 0 as programs write it.
func isCounter(word []byte, maxDigits int) bool {
	return len(word) <= maxDigits && digits(word) == len(word) && len(word) > 0 && word[0] != '0'
}

// isSize reports whether word is like 150x150.
func isSize(word []byte) bool {
	width, height, ok := bytes.Cut(word, []byte{'x'})
	return ok && len(width) > 0 && digits(width) == len(width) && len(height) > 0 && digits(height) == len(height)
}

// isEditTime reports whether word is like e1699999999999, the time of an edit.
func isEditTime(word []byte) bool {
	return len(word) > 6 && word[0] == 'e' && digits(word[1:]) == len(word)-1
}

// digits is the number of digits that b begins with.
func digits(b []byte) int {
	for i, c := range b {
		if !isDigit(c) {
			return i
		}
	}
	return len(b)
}

// appendBare appends the letters and digits of a safe name. It leaves out what
// only some spellings have: an e after a, o and u (ä is a or ae), a j after d
// (đ is d or dj), and the second of two equal letters (ß is s or ss, å a or aa).
func appendBare(dst, safe []byte) []byte {
	var last byte
	for _, c := range safe {
		switch {
		case c == '.', c == '-', c == '_', c == symbol,
			c == last && 'a' <= c && c <= 'z',
			c == 'e' && (last == 'a' || last == 'o' || last == 'u'),
			c == 'j' && last == 'd':
			continue
		}
		dst = append(dst, c)
		last = c
	}
	return dst
}
