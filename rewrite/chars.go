package rewrite

// Classes of bytes, one bit each.
const (
	isSpace   = 1 << iota // HTML's ASCII whitespace
	endsTag               // what ends a tag name: whitespace, '/', '>'
	endsName              // what ends an attribute name: endsTag and '='
	endsHead              // what cannot stand between a URL's start and its needle
	isAlpha               // ASCII letter
	isWordy               // letter, digit, '_', '$', '-' or non-ASCII: part of a name
	unsafeURL             // must be percent-encoded in a URL that is written out
	endsURL               // ends a URL among other text
	badPath               // makes a path one that is left alone
	isEscape              // '%'
	endsPath              // begins a query or fragment
	isHigh                // not ASCII
	varies                // written in another way in some context
	bareStop              // ends a url() without quotes, or begins an escape in it
	isSlash               // '/'
)

var class = func() (t [256]uint16) {
	set := func(chars string, b uint16) {
		for i := range len(chars) {
			t[chars[i]] |= b
		}
	}
	set(" \t\n\f\r", isSpace|endsTag|endsName|endsHead|endsURL)
	set("/>", endsTag|endsName)
	set("=", endsName)
	set("\"'<>()`", endsHead)
	set("\"<>\\^`{|}'", unsafeURL)
	set("\"'<>`", endsURL)
	set("\\", badPath)
	set("%", isEscape)
	set("?#", endsPath)
	set("&()\\", varies)
	set(" \t\n\f\r\"'(\\", bareStop)
	set("/", isSlash)
	for c := range 256 {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			t[c] |= isAlpha | isWordy
		case c >= '0' && c <= '9', c == '_', c == '$', c == '-':
			t[c] |= isWordy
		case c >= 0x80:
			t[c] |= isWordy | unsafeURL | isHigh
		case c <= 0x20, c == 0x7f:
			t[c] |= unsafeURL | endsURL
			if c != ' ' {
				t[c] |= badPath
			}
		}
	}
	return t
}()

// is reports whether c has one of the bits.
func is(c byte, b uint16) bool { return class[c]&b != 0 }

// indexOf is the position of the first byte of s that has one of the bits, or the
// length of s.
func indexOf(s []byte, b uint16) int {
	for i, c := range s {
		if is(c, b) {
			return i
		}
	}
	return len(s)
}

// lower is the lower case of an ASCII letter and every other byte as it is.
func lower(c byte) byte {
	if c-'A' < 26 {
		return c + 'a' - 'A'
	}
	return c
}

// equalFold compares s with t, which is in lower case, ignoring ASCII case.
func equalFold[T string | []byte](s []byte, t T) bool {
	if len(s) != len(t) {
		return false
	}
	for i := range len(s) {
		if s[i] != t[i] && lower(s[i]) != t[i] {
			return false
		}
	}
	return true
}

// hasPrefixFold reports whether s begins with t, which is in lower case.
func hasPrefixFold(s []byte, t string) bool {
	return len(s) >= len(t) && equalFold(s[:len(t)], t)
}

// skipSpace is the first position from i on that is not whitespace.
func skipSpace(s []byte, i int) int {
	for i < len(s) && is(s[i], isSpace) {
		i++
	}
	return i
}

// trimSpace is s without ASCII whitespace at its ends.
func trimSpace(s []byte) []byte {
	for len(s) > 0 && is(s[0], isSpace) {
		s = s[1:]
	}
	for len(s) > 0 && is(s[len(s)-1], isSpace) {
		s = s[:len(s)-1]
	}
	return s
}

// unhex is the value of a hexadecimal digit, or -1.
func unhex(c byte) int {
	switch {
	case c-'0' < 10:
		return int(c - '0')
	case lower(c)-'a' < 6:
		return int(lower(c)-'a') + 10
	}
	return -1
}
