package rewrite

import "bytes"

// cssScanner finds URLs in CSS: url() with and without quotes, the string of
// @import, and the strings of image-set() (CSS Syntax 4.3, Images 4).
type cssScanner struct {
	w     *Writer
	depth int
	state cssState
	quote byte // of the string being skipped
	// importing says that the string that follows is that of @import.
	importing bool
	// parens is the depth of parentheses within image-set(, 0 outside.
	parens int
	// use is how what the declaration in hand names is fetched; named says that
	// its property was seen.
	use   use
	named bool
	face  fontFace
}

// fontFace is where in a @font-face rule the scanner is.
type fontFace uint8

const (
	noFace    fontFace = iota
	faceAhead          // its block follows
	inFace
)

type cssState uint8

const (
	cssCode cssState = iota
	cssComment
	cssLongString // a string or url( too long to be held
	cssLongURL
)

// scanStyle reads a whole style sheet or list of declarations, or only the value of one:
// then u is how what it names is fetched, with or without a host. One with a hole stays.
func (w *Writer) scanStyle(text []byte, u use, value bool, depth int) {
	if hasHole(text) {
		return
	}
	u.whole = false
	s := cssScanner{w: w, depth: depth, use: u, named: value}
	f := finder{ns: w.rw.needles}
	s.scan(text, 0, &f, true, false)
}

// isStyleValue reports whether a text of CSS with a URL in it is nothing but a value, so
// that no word of it is a property.
func isStyleValue(text []byte) bool {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '(':
			return true
		case '{', ':', ';', '@':
			return false
		case '/':
			if bytes.HasPrefix(text[i:], []byte("/*")) {
				end := bytes.Index(text[i+2:], []byte("*/"))
				if end < 0 {
					return false
				}
				i += 2 + end + 1
			}
		}
	}
	return false
}

// scan reads src from pos on and adds edits. It returns the position up to
// which everything is decided: the end, if final. Unless advance, it stops as
// soon as no needle is ahead.
func (s *cssScanner) scan(src []byte, pos int, f *finder, final, advance bool) int {
	for pos < len(src) {
		n := f.next(src, pos)
		if n < 0 || n >= len(src) {
			if final {
				return len(src)
			}
			if !advance {
				return pos
			}
		}
		next, ok := s.step(src, pos, final)
		if !ok {
			if final {
				return len(src)
			}
			return pos
		}
		pos = next
	}
	return pos
}

// step reads one token. It reports false if more input is needed.
func (s *cssScanner) step(src []byte, pos int, final bool) (int, bool) {
	switch s.state {
	case cssComment:
		return s.comment(src, pos, final)
	case cssLongString, cssLongURL:
		return s.skipLong(src, pos, final)
	}
	i := pos
	for i < len(src) && !cssStops[src[i]] {
		i++
	}
	if i == len(src) {
		return i, true
	}
	switch c := src[i]; c {
	case '/':
		return s.slash(src, i, final)
	case '"', '\'':
		return s.stringAt(src, i, pos, final)
	case '\\':
		if i+1 >= len(src) && !final {
			return retreat(i, pos)
		}
		s.property(nil, true)
		return min(i+2, len(src)), true
	case '@':
		return s.atRule(src, i, pos, final)
	case '(':
		if s.parens > 0 {
			s.parens++
		}
	case ')':
		if s.parens > 0 {
			s.parens--
		}
	case ';', '{', '}':
		s.delimit(c)
	default:
		return s.word(src, i, pos, final)
	}
	return i + 1, true
}

// longestName is more than the length of each name that the scanner knows.
const longestName = 32

// cssStops are the bytes that mean something to the scanner.
var cssStops = func() (t [256]bool) {
	for c := range 256 {
		t[c] = is(byte(c), isWordy)
	}
	for _, c := range []byte("/\"'\\@();{}") {
		t[c] = true
	}
	return t
}()

// retreat asks for more input, from i on; what stands before it is decided.
func retreat(i, pos int) (int, bool) {
	return i, i > pos
}

func (s *cssScanner) slash(src []byte, i int, final bool) (int, bool) {
	if i+1 == len(src) && !final {
		return i, false
	}
	if i+1 < len(src) && src[i+1] == '*' {
		s.state = cssComment
		return i + 2, true
	}
	return i + 1, true
}

func (s *cssScanner) comment(src []byte, pos int, final bool) (int, bool) {
	if j := bytes.Index(src[pos:], []byte("*/")); j >= 0 {
		s.state = cssCode
		return pos + j + 2, true
	}
	if final {
		return len(src), true
	}
	if src[len(src)-1] == '*' {
		return retreat(len(src)-1, pos)
	}
	return len(src), true
}

// delimit takes note of what ends a declaration or begins or ends a block.
func (s *cssScanner) delimit(c byte) {
	s.parens, s.named = 0, false
	switch {
	case c == '{' && s.face == faceAhead:
		s.face = inFace
	case c == '}' || s.face == faceAhead:
		s.face = noFace
	}
}

// property takes note of a name that may be the property of a declaration. One
// with an escape in it may be any.
func (s *cssScanner) property(name []byte, escaped bool) {
	switch {
	case s.named:
		return
	case s.face == inFace:
		s.use = fontUse
	case escaped:
		s.use = unknownUse
	default:
		s.use = propertyUse(name)
	}
	s.named = true
}

// word reads an identifier and what follows it if that is url( or image-set(.
func (s *cssScanner) word(src []byte, i, pos int, final bool) (int, bool) {
	end := i
	for end < len(src) && is(src[end], isWordy) {
		end++
	}
	if end == len(src) && !final {
		if end-i > s.w.rw.maxToken {
			s.property(src[i:end], false)
			return end - longestName, true
		}
		return retreat(i, pos)
	}
	if long := end-i > s.w.rw.maxToken; long || end == len(src) || src[end] != '(' {
		s.property(src[i:end], !long && end < len(src) && src[end] == '\\')
		return end, true
	}
	name := src[i:end]
	switch {
	case equalFold(name, "url"), equalFold(name, "src"):
		return s.urlFunc(src, i, end+1, pos, final)
	case equalFold(name, "image-set"), equalFold(name, "-webkit-image-set"):
		s.parens = 1
		return end + 1, true
	}
	return end, true
}

// urlFunc reads what follows "url(".
func (s *cssScanner) urlFunc(src []byte, i, open, pos int, final bool) (int, bool) {
	start := skipSpace(src, open)
	if start == len(src) {
		if final || start-i > s.w.rw.maxToken {
			return start, true
		}
		return retreat(i, pos)
	}
	if q := src[start]; q == '"' || q == '\'' {
		end := stringEnd(src, start+1, q)
		if end < 0 {
			return s.unfinished(src, i, start, pos, final, cssLongString)
		}
		if src[end] == q && end-i <= s.w.rw.maxToken {
			s.url(src[start+1:end], start+1)
		}
		return end + 1, true
	}
	end := start
	for end < len(src) && src[end] != ')' {
		if src[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(src) {
		if final {
			return len(src), true
		}
		return s.unfinished(src, i, start, pos, final, cssLongURL)
	}
	if u := trimSpace(src[start:end]); end-i <= s.w.rw.maxToken && bareURL(u) {
		s.url(u, start)
	}
	return end + 1, true
}

func (s *cssScanner) url(text []byte, off int) {
	s.w.use = s.use
	s.w.value(text, off, oneURL, cssText, s.depth)
}

// bareURL reports whether u can stand in url() without quotes.
func bareURL(u []byte) bool {
	for i := 0; i < len(u); i++ {
		if !is(u[i], bareStop) {
			continue
		}
		if u[i] != '\\' {
			return false
		}
		_, n := cssEscape(u[i:]) // whitespace after hexadecimal digits is part of it
		i += max(n-1, 0)
	}
	return true
}

// unfinished is for a token that begins at i and does not end in src.
func (s *cssScanner) unfinished(src []byte, i, start, pos int, final bool, long cssState) (int, bool) {
	if final {
		return len(src), true
	}
	if len(src)-i <= s.w.rw.maxToken {
		return retreat(i, pos)
	}
	s.state, s.importing = long, false
	s.quote = ')'
	if long == cssLongString {
		s.quote = src[start]
		start++
	}
	return start, true
}

// skipLong passes over the rest of a long string or url().
func (s *cssScanner) skipLong(src []byte, pos int, final bool) (int, bool) {
	for i := pos; i < len(src); i++ {
		switch c := src[i]; {
		case c == '\\':
			if i+1 == len(src) && !final {
				return retreat(i, pos)
			}
			i++
		case c == s.quote, c == '\n' && s.state == cssLongString:
			s.state = cssCode
			return i + 1, true
		}
	}
	return len(src), true
}

// stringAt reads a string outside url().
func (s *cssScanner) stringAt(src []byte, i, pos int, final bool) (int, bool) {
	end := stringEnd(src, i+1, src[i])
	if end < 0 {
		return s.unfinished(src, i, i, pos, final, cssLongString)
	}
	if src[end] == src[i] && end-i <= s.w.rw.maxToken && (s.importing || s.parens == 1) {
		s.url(src[i+1:end], i+1)
	}
	s.importing = false
	return end + 1, true
}

// stringEnd is the position of the quote q, or of the newline, that ends the
// string whose content begins at i, or -1.
func stringEnd(src []byte, i int, q byte) int {
	for ; i < len(src); i++ {
		switch src[i] {
		case q, '\n':
			return i
		case '\\':
			i++
		}
	}
	return -1
}

// atRule reads the name of an at-rule, and takes note of @import and @font-face.
func (s *cssScanner) atRule(src []byte, i, pos int, final bool) (int, bool) {
	end := i + 1
	for end < len(src) && end < i+longestName && is(src[end], isWordy) {
		end++
	}
	if end == len(src) && !final {
		return retreat(i, pos)
	}
	rule := src[i:end]
	if equalFold(rule, "@font-face") {
		s.face = faceAhead
	}
	if equalFold(rule, "@import") {
		gap := skipSpace(src, end)
		if gap == len(src) && !final && gap-i <= longestGap {
			return retreat(i, pos)
		}
		if gap < len(src) && (src[gap] == '"' || src[gap] == '\'') {
			s.importing = true
			end = gap
		}
	}
	s.use, s.named = importUse, true // no other names anything that is fetched
	return end, true
}
