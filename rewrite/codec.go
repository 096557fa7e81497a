package rewrite

import (
	"bytes"
	"html"
	"unicode/utf8"
)

// codec is a way in which a text is escaped within the text around it.
type codec uint8

const (
	plain   codec = iota
	markup        // character references of HTML and XML
	escapes       // string escapes of JSON and JavaScript
	cssText       // escapes of CSS
)

// needed reports whether src holds anything that c would change.
func (c codec) needed(src []byte) bool {
	switch c {
	case markup:
		return bytes.IndexByte(src, '&') >= 0
	case escapes, cssText:
		return bytes.IndexByte(src, '\\') >= 0
	}
	return false
}

// decoded is a text with its escapes undone.
type decoded struct {
	text []byte
	// points say where in the source the text comes from: from text on it is
	// a copy of the source from src on, up to the next escape. The last one is
	// for the end.
	points []point
	// near is the point that the last position asked for was at.
	near int
}

type point struct{ text, src int }

// decode undoes the escapes of src. Unless final, it stops before an escape at
// the end that more input might complete.
func (d *decoded) decode(src []byte, c codec, final bool) {
	d.text, d.points, d.near = d.text[:0], append(d.points[:0], point{}), 0
	mark := byte('\\')
	if c == markup {
		mark = '&'
	}
	i := 0
	for i < len(src) {
		n := indexNear(src[i:], mark)
		if n < 0 {
			n = len(src) - i
		}
		d.text = append(d.text, src[i:i+n]...)
		if i += n; i == len(src) || !final && len(src)-i < longestEscape {
			break
		}
		if mark == '\\' && i+1 < len(src) && src[i+1] == '/' { // most are
			d.text = append(d.text, '/')
			i += 2
			d.points = append(d.points, point{len(d.text), i})
			continue
		}
		r, n := c.escape(src[i:])
		switch {
		case n == 0:
			d.text = append(d.text, mark)
			i++
			continue
		case r >= 0:
			d.text = utf8.AppendRune(d.text, r)
		}
		i += n
		d.points = append(d.points, point{len(d.text), i})
	}
}

// escape decodes the escape at the start of s; n is its length, 0 if there is
// none. A negative rune stands for nothing (a line continuation).
func (c codec) escape(s []byte) (r rune, n int) {
	switch c {
	case markup:
		return charRef(s)
	case escapes:
		return stringEscape(s)
	}
	return cssEscape(s)
}

// at is where in the source position p of the text comes from. It is fastest
// for positions in ascending order.
func (d *decoded) at(p int) int {
	if d.points[d.near].text > p {
		d.near = 0
	}
	for d.near+1 < len(d.points) && d.points[d.near+1].text <= p {
		d.near++
	}
	q := d.points[d.near]
	return q.src + p - q.text
}

// longestEscape is more than the length of each escape that matters in a URL.
const longestEscape = 40

// charRef decodes the character reference at the start of s; n is 0 if there
// is none.
func charRef(s []byte) (r rune, n int) {
	if len(s) < 3 {
		return 0, 0
	}
	switch {
	case s[1] == '#':
		return numericRef(s)
	case s[1] == 'q' && len(s) >= 6 && string(s[:6]) == "&quot;": // most are
		return '"', 6
	}
	end := 1
	for end < len(s) && end < longestEscape && is(s[end], isWordy) && s[end] < 0x80 {
		end++
	}
	name := s[1:end]
	if end == len(s) || s[end] != ';' {
		// References without a semicolon are not decoded in an attribute
		// before an alphanumeric or '='.
		if end < len(s) && s[end] == '=' {
			return 0, 0
		}
		switch string(name) {
		case "amp", "AMP":
			return '&', end
		case "lt", "LT":
			return '<', end
		case "gt", "GT":
			return '>', end
		case "quot", "QUOT":
			return '"', end
		}
		return 0, 0
	}
	switch string(name) {
	case "amp":
		return '&', end + 1
	case "quot":
		return '"', end + 1
	case "lt":
		return '<', end + 1
	case "gt":
		return '>', end + 1
	case "apos":
		return '\'', end + 1
	}
	text := html.UnescapeString(string(s[:end+1]))
	r, size := utf8.DecodeRuneInString(text)
	if size != len(text) {
		return 0, 0
	}
	return r, end + 1
}

// numericRef decodes &#47; and &#x2F; with or without the semicolon.
func numericRef(s []byte) (r rune, n int) {
	i, radix := 2, 10
	if lower(s[2]) == 'x' {
		i, radix = 3, 16
	}
	start, v := i, 0
	for ; i < len(s) && i < longestEscape; i++ {
		d := unhex(s[i])
		if d < 0 || d >= radix {
			break
		}
		v = min(v*radix+d, utf8.MaxRune+1)
	}
	if i == start {
		return 0, 0
	}
	if i < len(s) && s[i] == ';' {
		i++
	}
	if v == 0 || v > utf8.MaxRune || v >= 0xd800 && v < 0xe000 {
		return utf8.RuneError, i
	}
	return rune(v), i
}

// stringEscape decodes an escape by the rules of JSON and JavaScript together.
func stringEscape(s []byte) (r rune, n int) {
	if len(s) < 2 {
		return 0, 0
	}
	switch c := s[1]; c {
	case 'n':
		return '\n', 2
	case 't':
		return '\t', 2
	case 'r':
		return '\r', 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'v':
		return '\v', 2
	case '\n':
		return -1, 2
	case '\r':
		if len(s) > 2 && s[2] == '\n' {
			return -1, 3
		}
		return -1, 2
	case 'x':
		v, n := hexDigits(s[2:], 2)
		if n != 2 {
			return 0, 0
		}
		return v, 4
	case 'u':
		return unicodeEscape(s)
	default:
		r, size := utf8.DecodeRune(s[1:])
		if r == utf8.RuneError && size <= 1 {
			return 0, 0
		}
		return r, 1 + size
	}
}

// unicodeEscape decodes \uXXXX, a surrogate pair of them, and \u{X…}.
func unicodeEscape(s []byte) (rune, int) {
	if len(s) > 2 && s[2] == '{' {
		v, n := hexDigits(s[3:], 6)
		if n == 0 || 3+n >= len(s) || s[3+n] != '}' {
			return 0, 0
		}
		return v, n + 4
	}
	v, n := hexDigits(s[2:], 4)
	if n != 4 {
		return 0, 0
	}
	if v >= 0xd800 && v < 0xdc00 && len(s) >= 12 && s[6] == '\\' && s[7] == 'u' {
		if lo, n := hexDigits(s[8:], 4); n == 4 && lo >= 0xdc00 && lo < 0xe000 {
			return 0x10000 + (v-0xd800)<<10 + lo - 0xdc00, 12
		}
	}
	return v, 6
}

// cssEscape decodes an escape of CSS (CSS Syntax, 4.3.7).
func cssEscape(s []byte) (rune, int) {
	if len(s) < 2 {
		return 0, 0
	}
	v, n := hexDigits(s[1:], 6)
	if n > 0 {
		n++
		switch {
		case n+1 < len(s) && s[n] == '\r' && s[n+1] == '\n':
			n += 2
		case n < len(s) && is(s[n], isSpace):
			n++
		}
		return v, n
	}
	switch s[1] {
	case '\n', '\r', '\f':
		return -1, 2
	}
	r, size := utf8.DecodeRune(s[1:])
	if r == utf8.RuneError && size <= 1 {
		return 0, 0
	}
	return r, 1 + size
}

// hexDigits reads at most limit hexadecimal digits.
func hexDigits(s []byte, limit int) (v rune, n int) {
	for n < limit && n < len(s) {
		d := unhex(s[n])
		if d < 0 {
			break
		}
		v = v<<4 | rune(d)
		n++
	}
	return v, n
}

// encode appends repl[from:to] to repl as c escapes it, writing a slash as the
// original does.
func encode(repl []byte, from, to int, c codec, slash []byte) []byte {
	for from < to {
		i := from + indexOf(repl[from:to], varies|isSlash)
		repl = append(repl, repl[from:i]...)
		if from = i + 1; i == to {
			break
		}
		switch b := repl[i]; {
		case b == '/':
			repl = append(repl, slash...)
		case b == '&' && c == markup:
			repl = append(repl, "&amp;"...)
		case b == '\\' && c != markup:
			repl = append(repl, '\\', '\\')
		case (b == '(' || b == ')') && c == cssText:
			repl = append(repl, '%', '2', "89"[b-'('])
		default:
			repl = append(repl, b)
		}
	}
	return repl
}

var plainSlash = []byte("/")

// outward turns the edits from number first on, which are in the coordinates
// of a text decoded from src, into edits of the text around it, in which src
// begins at off.
func (w *Writer) outward(first int, d *decoded, src []byte, off int, c codec) {
	slash := plainSlash
	for i := first; i < len(w.edits); i++ {
		e := &w.edits[i]
		if d != nil {
			slash = d.outward(e, src, slash)
		}
		e.start += off
		e.end += off
		if len(slash) == 1 && (e.simple || !escapable(w.repl[e.from:e.to], c)) {
			continue
		}
		from := len(w.repl)
		w.repl = encode(w.repl, e.from, e.to, c, slash)
		e.from, e.to, e.simple = from, len(w.repl), false
	}
}

// outward turns e, which is in the coordinates of d.text, into an edit of src,
// from which that was decoded, and returns how a slash of it is written there: as
// last if it is joined to the edit of which last was returned.
func (d *decoded) outward(e *edit, src, last []byte) (slash []byte) {
	slash = plainSlash
	if e.joined {
		slash = last
	}
	start := d.at(e.start)
	if j := indexNear(d.text[e.start:e.end], '/'); j >= 0 {
		j += e.start
		slash = src[d.at(j):d.at(j+1)]
	}
	e.start, e.end = start, d.at(e.end)
	e.literal = false
	return slash
}

// escapable reports whether c writes some byte of s, other than a slash, in
// another way.
func escapable(s []byte, c codec) bool {
	switch c {
	case markup:
		return bytes.IndexByte(s, '&') >= 0
	case escapes:
		return bytes.IndexByte(s, '\\') >= 0
	case cssText:
		return bytes.IndexByte(s, '\\') >= 0 || bytes.IndexByte(s, '(') >= 0 || bytes.IndexByte(s, ')') >= 0
	}
	return false
}
