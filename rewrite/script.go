package rewrite

import "bytes"

// scriptScanner finds URLs in the strings of JSON and JavaScript: strings that
// are a URL as a whole, and those that hold HTML, CSS, JSON or a srcset. Keys
// of objects are left alone, as are comments and regular expressions.
//
// JavaScript cannot be cut into tokens without parsing it (a slash divides or
// begins a regular expression). The scanner goes by the token before, and a
// string that a wrong guess opened ends with its line.
type scriptScanner struct {
	w     *Writer
	depth int
	json  bool
	// manifest says that only members that are URLs are read; isURL that the
	// member in hand is one.
	manifest, isURL bool
	rel             relative
	use             use // of what the strings name
	state           scriptState
	quote           byte // that ends the string in hand
	// last is the last byte that was not whitespace, beforeValue says that it
	// ended a keyword after which a regular expression may follow.
	last        byte
	beforeValue bool
	fresh       bool // nothing was read yet
}

type scriptState uint8

const (
	scriptCode scriptState = iota
	scriptLineComment
	scriptBlockComment
	scriptLongHTML // within a string over the limit that holds HTML
	scriptLongSkip // within another one
)

// scanScript reads a whole text of JSON or JavaScript.
func (w *Writer) scanScript(text []byte, json bool, u use, depth int) {
	s := scriptScanner{w: w, depth: depth, json: json, use: u}
	f := finder{ns: w.rw.needles}
	s.scan(text, 0, &f, true, false)
}

// scan works as cssScanner.scan does.
func (s *scriptScanner) scan(src []byte, pos int, f *finder, final, advance bool) int {
	for pos < len(src) {
		n := f.next(src, pos)
		if n < 0 || n >= len(src) {
			if final {
				return len(src)
			}
			if !advance {
				return pos
			}
			n = len(src)
		}
		next, ok := s.step(src, pos, n, final)
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

// step reads one token, n being the position of the next needle. It reports
// false if more input is needed.
func (s *scriptScanner) step(src []byte, pos, n int, final bool) (int, bool) {
	switch s.state {
	case scriptLineComment:
		if j := bytes.IndexByte(src[pos:], '\n'); j >= 0 {
			s.state = scriptCode
			return pos + j + 1, true
		}
		return len(src), true
	case scriptBlockComment:
		return s.blockComment(src, pos, final)
	case scriptLongHTML, scriptLongSkip:
		return s.longString(src, pos, n, final)
	}
	i := pos
	if s.json {
		i = s.jsonCode(src, i)
	} else {
		for i < len(src) && scriptPasses[src[i]] {
			if c := src[i]; c > ' ' {
				s.last, s.beforeValue = c, false
			}
			i++
		}
	}
	if i == len(src) {
		return i, true
	}
	switch c := src[i]; {
	case c == '"', c == '\'', c == '`':
		return s.stringAt(src, i, pos, n, final)
	case c == '/':
		return s.slash(src, i, pos, final)
	case c == '<':
		return s.less(src, i, pos, final)
	}
	return s.word(src, i, pos, final)
}

// scriptPasses are the bytes that scripts' code is passed over at.
var scriptPasses = func() (t [256]bool) {
	for c := range 256 {
		t[c] = !is(byte(c), isWordy) || c == '-'
	}
	for _, c := range []byte("\"'`/<") {
		t[c] = false
	}
	return t
}()

// jsonCode is the position of the next string.
func (s *scriptScanner) jsonCode(src []byte, i int) int {
	j := bytes.IndexByte(src[i:], '"')
	if j < 0 {
		j = len(src) - i
	}
	for k := i + j - 1; k >= i; k-- {
		if !is(src[k], isSpace) {
			s.last = src[k]
			break
		}
	}
	return i + j
}

// afterImport, as the last byte, says that a string that follows names a module. (Of
// other words the last byte is an x.)
const afterImport = 'm'

func (s *scriptScanner) word(src []byte, i, pos int, final bool) (int, bool) {
	end := i
	for end < len(src) && is(src[end], isWordy) && src[end] != '-' {
		end++
	}
	if end == len(src) && !final {
		if end-i < longestName {
			return retreat(i, pos)
		}
		s.last, s.beforeValue = 'x', false
		return end - longestName + 1, true
	}
	s.last = 'x'
	switch string(src[i:end]) {
	case "return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "do", "else":
		s.beforeValue = true
	case "import", "from":
		s.last, s.beforeValue = afterImport, false
	default:
		s.beforeValue = false
	}
	return end, true
}

// slash reads a comment's start, a regular expression or a division sign.
func (s *scriptScanner) slash(src []byte, i, pos int, final bool) (int, bool) {
	if i+1 == len(src) && !final {
		return retreat(i, pos)
	}
	if i+1 == len(src) {
		return i + 1, true
	}
	switch src[i+1] {
	case '/':
		s.state = scriptLineComment
		return i + 2, true
	case '*':
		s.state = scriptBlockComment
		return i + 2, true
	}
	if s.divides() {
		s.last, s.beforeValue = '/', false
		return i + 1, true
	}
	if end, ok := regexpEnd(src[i:min(len(src), i+s.w.rw.maxToken)]); ok {
		s.last, s.beforeValue = 'x', false
		return i + end, true
	}
	if !final && len(src)-i < s.w.rw.maxToken {
		return retreat(i, pos)
	}
	s.last, s.beforeValue = '/', false
	return i + 1, true
}

// regexpEnd is the length of the regular expression that s begins with, which
// a newline ends too.
func regexpEnd(s []byte) (int, bool) {
	inClass := false
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
		case c == '[':
			inClass = true
		case c == ']':
			inClass = false
		case c == '/' && !inClass, c == '\n':
			return i + 1, true
		}
	}
	return 0, false
}

// less reads a less-than sign or the start of an HTML-like comment, which ends
// with its line (ECMAScript, B.1.1).
func (s *scriptScanner) less(src []byte, i, pos int, final bool) (int, bool) {
	switch m := matchText(src[i:], "<!--"); {
	case m == partMatch && !final:
		return retreat(i, pos)
	case m == fullMatch:
		s.state = scriptLineComment
		return i + 4, true
	}
	s.last, s.beforeValue = '<', false
	return i + 1, true
}

// divides reports whether a slash here is a division sign.
func (s *scriptScanner) divides() bool {
	if s.beforeValue {
		return false
	}
	switch c := s.last; c {
	case ')', ']', '}', '"', '\'', '`':
		return true
	default:
		return is(c, isWordy) && c != '-'
	}
}

func (s *scriptScanner) blockComment(src []byte, pos int, final bool) (int, bool) {
	if j := bytes.Index(src[pos:], []byte("*/")); j >= 0 {
		s.state = scriptCode
		return pos + j + 2, true
	}
	if !final && src[len(src)-1] == '*' {
		return retreat(len(src)-1, pos)
	}
	return len(src), true
}

// stringAt reads the string that begins at i.
func (s *scriptScanner) stringAt(src []byte, i, pos, n int, final bool) (int, bool) {
	q := src[i]
	end := s.stringEnd(src, i+1, q)
	if end < 0 || end-i > s.w.rw.maxToken {
		if len(src)-i <= s.w.rw.maxToken {
			if final {
				return len(src), true
			}
			return retreat(i, pos)
		}
		s.openLong(src, i)
		return i + 1, true
	}
	if src[end] != q {
		s.last, s.beforeValue = q, false
		return end + 1, true
	}
	if n < end || s.manifest {
		next, ok := nextCode(src, end+1, final)
		if !ok {
			return retreat(i, pos)
		}
		switch {
		case next == ':' && (s.last == '{' || s.last == ','):
			s.member(src[i+1:end], i+1, n < end)
		case n < end:
			s.readString(src[i+1:end], i+1, next)
		}
	}
	s.last, s.beforeValue = q, false
	return end + 1, true
}

// member reads the key of a member, which stands at off. A key may be a URL: scripts look
// things up by an element's URL. In a manifest the table of places has the keys whose
// values are URLs.
func (s *scriptScanner) member(key []byte, off int, needle bool) {
	if !s.manifest {
		if needle {
			s.w.use = s.use
			s.w.use.whole = true
			s.w.value(key, off, urlOnly, escapes, s.depth)
		}
		return
	}
	t := &placeTables[inManifest]
	id := t.attributes.id(key)
	s.isURL, s.use = id != 0, t.use(0, id, nil)
}

// readString reads a string before next. One that is joined with others is not
// a whole URL, even if it looks like one.
func (s *scriptScanner) readString(text []byte, off int, next byte) {
	k := anything
	switch {
	case !s.json && (s.last == '+' || next == '+'):
		k = fragment
	case s.rel == anyRelative:
		k = anyText
	case s.manifest && s.isURL && s.last == ':':
		k = oneURL
	case s.manifest:
		return
	}
	s.w.use = s.use
	if s.last == afterImport && !s.json {
		s.w.use = moduleUse
	}
	s.w.value(text, off, k, escapes, s.depth)
}

// stringEnd is the position of what ends the string whose content begins at i:
// its quote, or a newline in JavaScript, or -1.
func (s *scriptScanner) stringEnd(src []byte, i int, q byte) int {
	stop := i - 1
	for i < len(src) {
		if stop < i {
			stop = len(src)
			if j := bytes.IndexByte(src[i:], q); j >= 0 {
				stop = i + j
			}
		}
		if !s.json && q != '`' {
			if k := bytes.IndexByte(src[i:stop], '\n'); k >= 0 {
				if nl := i + k; !escaped(src, i, nl) && (nl == i || src[nl-1] != '\r' || !escaped(src, i, nl-1)) {
					return nl
				}
				i += k + 1
				continue
			}
		}
		if stop == len(src) {
			return -1
		}
		if !escaped(src, i, stop) {
			return stop
		}
		i = stop + 1
	}
	return -1
}

// escaped reports whether an odd number of backslashes stands before i, from
// start on.
func escaped(src []byte, start, i int) bool {
	n := 0
	for i-1-n >= start && src[i-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

// nextCode is the first byte from i on that is not whitespace, or 0 if there is
// none near; ok is false if more input is needed to know.
func nextCode(src []byte, i int, final bool) (c byte, ok bool) {
	for end := min(len(src), i+longestGap); i < end; i++ {
		if !is(src[i], isSpace) {
			return src[i], true
		}
	}
	return 0, final || i < len(src)
}

// longestGap is the most whitespace looked at after a string.
const longestGap = 256

// openLong decides what to do with the string over the limit at i, by as much
// of it as the limit allows.
func (s *scriptScanner) openLong(src []byte, i int) {
	s.quote = src[i]
	s.state = scriptLongSkip
	if s.depth >= maxDepth {
		return
	}
	lv := &s.w.levels[s.depth]
	lv.decoded.decode(src[i+1:i+s.w.rw.maxToken], escapes, false)
	start := skipSpace(lv.decoded.text, 0)
	if start < len(lv.decoded.text) && lv.decoded.text[start] != '{' && lv.decoded.text[start] != '[' && hasTag(lv.decoded.text) {
		s.state = scriptLongHTML
		lv.html.reset(s.w, s.depth+1)
	}
}

// longString reads on in a string over the limit.
func (s *scriptScanner) longString(src []byte, pos, n int, final bool) (int, bool) {
	end := s.stringEnd(src, pos, s.quote)
	stop, ends := end, true
	if end < 0 {
		stop, ends = len(src), final
	}
	if s.state == scriptLongHTML && stop > pos {
		if done := s.w.readPiece(src[pos:stop], pos, escapes, s.depth, ends); done < stop-pos {
			return pos + done, done > 0
		}
	} else if !ends && src[len(src)-1] == '\\' {
		return retreat(pos+evenEnd(src[pos:]), pos)
	}
	if end < 0 {
		return len(src), true
	}
	s.state = scriptCode
	s.last, s.beforeValue = s.quote, false
	return end + 1, true
}

// evenEnd is the length of s without an unfinished escape at its end.
func evenEnd(s []byte) int {
	if escaped(s, 0, len(s)) {
		return len(s) - 1
	}
	return len(s)
}

// readPiece reads the next piece of a long text of HTML that is escaped by c
// within the text being scanned, where it begins at off. It returns how much
// of it is decided; what is not is to be given again with more.
func (w *Writer) readPiece(src []byte, off int, c codec, depth int, final bool) int {
	lv := &w.levels[depth]
	first := len(w.edits)
	lv.decoded.decode(src, c, final)
	f := finder{ns: w.rw.needles}
	done := lv.html.scan(lv.decoded.text, 0, &f, final, true)
	w.outward(first, &lv.decoded, src, off, c)
	return lv.decoded.at(done)
}
