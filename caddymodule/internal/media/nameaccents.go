package media

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// decomposed returns a name with its accents as code points of their own (NFD):
// one letter has several spellings, and apps and systems change one into
// another (WordPress' remove_accents begins with NFC, macOS sends NFD). What is
// not UTF-8 is taken for ISO 8859-1, as WordPress does. The result is in dst if
// that has room.
func decomposed(dst []byte, name string) []byte {
	if !utf8.ValidString(name) {
		name = fromLatin1(name)
	}
	return norm.NFD.AppendString(dst, name)
}

// fromLatin1 returns name with the code points that its invalid bytes are in
// ISO 8859-1.
func fromLatin1(name string) string {
	var b strings.Builder
	for i, r := range name {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(name[i:]); size == 1 {
				r = rune(name[i])
			}
		}
		b.WriteRune(r)
	}
	return b.String()
}

// spelledOut returns the ASCII letters that stand for a lower-case letter which
// Unicode does not decompose, or "". Of several spellings (æ is a or ae) it is
// the one that appendBare makes of all.
func spelledOut(r rune) string {
	switch r {
	case 'æ', 'ª':
		return "a"
	case 'đ', 'ð':
		return "d"
	case '€':
		return "e"
	case 'ħ':
		return "h"
	case 'ı':
		return "i"
	case 'ĳ':
		return "ij"
	case 'ĸ':
		return "k"
	case 'ł', 'ŀ':
		return "l"
	case 'ŉ', 'ŋ':
		return "n"
	case 'ø', 'œ', 'º':
		return "o"
	case 'ß', 'ſ':
		return "s"
	case 'ŧ':
		return "t"
	case 'þ':
		return "th"
	}
	return ""
}
