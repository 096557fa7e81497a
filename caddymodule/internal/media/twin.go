package media

import (
	"unicode"
	"unicode/utf8"
)

// twin returns what some file systems take a key in lower case for: they fold
// letters (ext4's casefold, APFS, NTFS and what is mounted from them) and skip
// characters that show nothing (HFS+, ext4's casefold; the cause of
// CVE-2014-9390), so that a file named "x.p\u00adhp" is the one that is asked for
// as x.php. It serves to tell harmful names, never as a name.
func twin(key []byte) []byte {
	dst := make([]byte, 0, len(key))
	for len(key) > 0 {
		r, size := utf8.DecodeRune(key)
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(dst, key[0])
		case isUnseen(r):
		case r >= 0xfb00 && r <= 0xfb06: // ligatures
			dst = append(dst, ligatures[r-0xfb00]...)
		case r >= 0xff01 && r <= 0xff5e: // ASCII in full width
			dst = append(dst, lower(byte(r-0xff01+'!')))
		default:
			dst = utf8.AppendRune(dst, foldToASCII(r))
		}
		key = key[size:]
	}
	return dst
}

var ligatures = [...]string{"ff", "fi", "fl", "ffi", "ffl", "st", "st"}

// foldToASCII returns the ASCII letter that differs from r by case only (the
// Kelvin sign and the long s have one), else r.
func foldToASCII(r rune) rune {
	for folded := unicode.SimpleFold(r); folded != r; folded = unicode.SimpleFold(folded) {
		if folded < utf8.RuneSelf {
			return unicode.ToLower(folded)
		}
	}
	return r
}

// isUnseen reports whether r shows nothing by itself: Unicode's
// Default_Ignorable_Code_Point, and what else is invisible formatting.
func isUnseen(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

func isASCII[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
