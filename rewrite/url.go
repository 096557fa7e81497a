package rewrite

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// edit replaces a piece of the text being scanned.
type edit struct {
	start, end int // in the coordinates of the text
	from, to   int // the replacement in Writer.repl
	// literal says that scheme, host and prefix stood there unescaped, so that
	// nothing that ends a head can be between the start and the needle.
	literal bool
	// simple says that the replacement is the same in every context, but for
	// its slashes.
	simple bool
	// joined says that it belongs to the edit before, and is carried out if that is:
	// what the replacement adds to the query that is kept.
	joined bool
	// known, if not nil, is a whole piece: its out is the replacement.
	known *piece
}

// relative says which relative URLs are taken for URLs in some place.
type relative uint8

const (
	rootRelative relative = iota // only those that begin with a slash
	anyRelative                  // document-relative ones too
)

// url looks at u, which is one URL with nothing around it that begins at
// offset off of the text being scanned, and adds an edit if it is to change.
func (w *Writer) url(u []byte, off int, rel relative) {
	if w.found != nil {
		w.refer(u)
		return
	}
	prefix, rest, literal := w.match(u, rel)
	if prefix < 0 {
		return
	}
	path, bits := rest, uint16(0)
	if !isPlainPath(rest) {
		rest, bits = scanPath(rest)
		var ok bool
		if path, ok = w.decodePath(rest, bits); !ok {
			return
		}
	}
	n := cap(u) - cap(rest) + len(rest)
	from := len(w.repl)
	repl, ok := w.rw.resolve(w.repl, Match{
		Prefix: prefix, Path: path, Raw: rest, Place: w.use.place(rest, u), Page: &w.page,
	})
	if !ok {
		w.repl = w.repl[:from]
		return
	}
	if len(repl) > from+1 && repl[from] == '/' && repl[from+1] == '/' {
		repl = slices.Insert(repl, from, w.scheme...)
	}
	w.repl = repl
	known := bits&unsafeURL == 0 && w.isKnownBase(repl[from:], rest)
	if !known {
		w.repl = escapeUnsafe(repl, from)
		w.learnBase(w.repl[from:], rest)
	}
	w.edits = append(w.edits, edit{
		start: off, end: off + n, from: from, to: len(w.repl), literal: literal, simple: known && bits&varies == 0,
	})
	if !known && n < len(u) && u[n] == '?' {
		w.joinQueries(u[n:])
	}
}

// joinQueries puts the query of the last replacement, if it has one, behind the one
// that tail begins with, which the page's own server and scripts know.
func (w *Writer) joinQueries(tail []byte) {
	e := &w.edits[len(w.edits)-1]
	i := bytes.IndexByte(w.repl[e.from:], '?')
	if i < 0 {
		return
	}
	query := len(tail)
	if j := bytes.IndexByte(tail, '#'); j >= 0 {
		query = j
	}
	e.to = e.from + i
	switch tail[query-1] {
	case '?', '&':
		w.repl = slices.Delete(w.repl, e.to, e.to+1)
	default:
		w.repl[e.to] = '&'
	}
	at := e.end + query
	w.edits = append(w.edits, edit{start: at, end: at, from: e.to, to: len(w.repl), literal: e.literal, joined: true})
}

// learnBase takes note of what precedes rest in the URL repl, if that is the
// same in every context.
func (w *Writer) learnBase(repl, rest []byte) {
	base, ok := bytes.CutSuffix(repl, rest)
	if ok && classesOf(base)&(unsafeURL|varies) == 0 && bytes.IndexByte(base, '?') < 0 { // a query may end like rest
		w.safeBase = append(w.safeBase[:0], base...)
	}
}

// isKnownBase reports whether repl is rest below the base that an earlier
// replacement had, which is known to need no escaping.
func (w *Writer) isKnownBase(repl, rest []byte) bool {
	n := len(w.safeBase)
	return n > 0 && len(repl) == n+len(rest) && bytes.HasPrefix(repl, w.safeBase) && bytes.Equal(repl[n:], rest)
}

// isPlainPath reports whether s is a path to its end, in which nothing is escaped, has
// to be, or makes it one that is left alone. Most are so; of some that are so it does
// not know it. (To look at them by words takes 5 % off BenchmarkPage, dense, seen for
// the first time.)
func isPlainPath(s []byte) bool {
	last := len(s) - wordSize
	if last < 0 || s[0] == '.' {
		return false
	}
	i := 0
	for ; i+wordSize <= last; i += wordSize {
		if v := wordAt(s, i); notPlain(v)|equalTo(v, '.') != 0 { // a dot is mostly near the end
			return false
		}
	}
	v, w := wordAt(s, i), wordAt(s, last) // they share a byte, so that "/." is in one
	dots := equalTo(v, '/')<<8&equalTo(v, '.') | equalTo(w, '/')<<8&equalTo(w, '.')
	return notPlain(v)|notPlain(w)|dots == 0 && s[i] != '.'
}

// notPlain marks v if a byte in it has a meaning in a URL or has to be escaped in one or
// in what that stands in. Letters, digits and some marks have not.
func notPlain(v uint64) uint64 {
	below := ^((v | tops) - '*'*ones)
	above := v | (v + (0x80-'{')*ones)
	most := v&^(0x62*ones) ^ '<'&^0x62*ones // < > \ ^ | ~
	query := v ^ '?'*ones
	quote := v ^ '`'*ones
	return (below | above | (most-ones)&^most | (query-ones)&^query | (quote-ones)&^quote) & tops
}

// scanPath is s up to its query or fragment, and the classes of its bytes.
func scanPath(s []byte) ([]byte, uint16) {
	bits := classesOf(s)
	if bits&endsPath == 0 {
		return s, bits
	}
	for i, c := range s {
		if is(c, endsPath) {
			s = s[:i]
			break
		}
	}
	return s, classesOf(s)
}

// classesOf is the classes that the bytes of s have together.
func classesOf(s []byte) (bits uint16) {
	for _, c := range s {
		bits |= class[c]
	}
	return bits
}

// match is the index of the longest prefix that u lies below, or -1, and what
// follows it. The URLs of a page begin alike: the last one's head is tried
// first.
func (w *Writer) match(u []byte, rel relative) (prefix int, rest []byte, literal bool) {
	if len(w.head) > 0 && bytes.HasPrefix(u, w.head) {
		return w.headPrefix, u[len(w.head):], true
	}
	prefix, rest, literal = w.matchNew(u, rel)
	literal = literal && cap(u)-cap(rest) <= maxHead // slashes between host and prefix can be many
	if literal && u[0] != '/' && !w.rw.nested {
		w.head = append(w.head[:0], u[:cap(u)-cap(rest)]...)
		w.headPrefix = prefix
	}
	return prefix, rest, literal
}

func (w *Writer) matchNew(u []byte, rel relative) (prefix int, rest []byte, literal bool) {
	host, path, abs := splitAuthority(u)
	switch {
	case abs:
		if !w.ownHost(host) || len(path) == 0 {
			return -1, nil, false
		}
		for len(path) > 1 && path[1] == '/' {
			path = path[1:]
		}
		return w.matchPrefix(nil, path)
	case !w.base.own || len(u) == 0 || w.use.whole:
		return -1, nil, false
	case u[0] == '/':
		return w.matchPrefix(nil, u)
	case rel == anyRelative:
		w.relative = true
		dir, path := w.resolveDots(u)
		if len(dir) == 0 {
			return -1, nil, false
		}
		prefix, rest, _ = w.matchPrefix(dir, path)
		return prefix, rest, false
	}
	return -1, nil, false
}

// matchPrefix finds the longest prefix that the path dir+path lies below. A
// prefix that ends within dir is not looked at.
func (w *Writer) matchPrefix(dir, path []byte) (prefix int, rest []byte, literal bool) {
	prefix = -1
	longest := 0
	for i, p := range w.rw.prefixes {
		if len(p) <= longest {
			continue
		}
		if len(dir) == 0 && len(path) >= len(p) && string(path[:len(p)]) == p {
			prefix, rest, literal, longest = i, path[len(p):], true, len(p)
			continue
		}
		left, after, ok := consume(p, dir)
		if !ok || len(after) > 0 {
			continue
		}
		if left, after, ok = consume(left, path); ok && left == "" {
			prefix, rest, literal, longest = i, after, false, len(p)
		}
	}
	return prefix, rest, literal
}

// consume compares prefix with the percent-encoded path up to the end of the
// shorter one and returns what is left of both.
func consume(prefix string, path []byte) (string, []byte, bool) {
	for prefix != "" && len(path) > 0 {
		c, n := percentByte(path)
		if c != prefix[0] || c == '/' && n > 1 {
			return prefix, path, false
		}
		prefix, path = prefix[1:], path[n:]
	}
	return prefix, path, true
}

// percentByte is the first byte of the percent-encoded s and its length there.
func percentByte(s []byte) (byte, int) {
	if s[0] == '%' && len(s) >= 3 {
		if hi, lo := unhex(s[1]), unhex(s[2]); hi >= 0 && lo >= 0 {
			return byte(hi<<4 | lo), 3
		}
	}
	return s[0], 1
}

// splitAuthority splits an absolute or protocol-relative http(s) URL into host
// and path. The host of one with user information or a bad port is not one.
func splitAuthority(u []byte) (host, path []byte, abs bool) {
	switch {
	case len(u) < 2:
		return nil, u, false
	case u[0] == '/':
		if u[1] != '/' {
			return nil, u, false
		}
		u = u[2:]
	case hasPrefixFold(u, "https://"):
		u = u[8:]
	case hasPrefixFold(u, "http://"):
		u = u[7:]
	default:
		return nil, u, false
	}
	if i := indexNear(u, '/'); i >= 0 {
		u, path = u[:i], u[i:]
	}
	if bytes.IndexByte(u, '?') >= 0 || bytes.IndexByte(u, '#') >= 0 {
		return nil, nil, true
	}
	host = u
	if i := bytes.LastIndexByte(u, ':'); i >= 0 && bytes.IndexByte(u[i:], ']') < 0 {
		for _, c := range u[i+1:] {
			if c-'0' > 9 {
				return nil, path, true
			}
		}
		host = u[:i]
	}
	return host, path, true
}

// ownHost reports whether host is one of the site's.
func (w *Writer) ownHost(host []byte) bool {
	if len(host) == 0 {
		return false
	}
	if equalFold(host, w.pageHost) {
		return true
	}
	for _, h := range w.rw.hosts {
		if equalFold(host, h) {
			return true
		}
	}
	return false
}

// resolveDots takes the leading dot segments off the document-relative path u
// and returns the directory that the rest is relative to; nil if u is not a
// relative path or the directory is not known.
func (w *Writer) resolveDots(u []byte) (dir, path []byte) {
	if i := bytes.IndexByte(u, ':'); i >= 0 && bytes.IndexByte(u[:i], '/') < 0 {
		return nil, nil
	}
	dir = w.base.dir
	for {
		switch {
		case bytes.HasPrefix(u, []byte("./")):
			u = u[2:]
		case bytes.HasPrefix(u, []byte("../")):
			u = u[3:]
			if len(dir) > 1 {
				dir = dir[:bytes.LastIndexByte(dir[:len(dir)-1], '/')+1]
			}
		default:
			return dir, u
		}
	}
}

// decodePath undoes the percent-encoding of rest, bits being the classes of
// its bytes. It refuses what names no file that a resolver should be asked for.
func (w *Writer) decodePath(rest []byte, bits uint16) ([]byte, bool) {
	if len(rest) == 0 || bits&badPath != 0 {
		return nil, false
	}
	if bits&unsafeURL != 0 && (bytes.Contains(rest, []byte("${")) || bytes.Contains(rest, []byte("{{"))) {
		return nil, false // to be filled in by a script
	}
	// What a browser makes of other encodings depends on the page's.
	if bits&isHigh != 0 && (w.asciiOnly || !utf8.Valid(rest)) {
		return nil, false
	}
	if bits&isEscape == 0 {
		return rest, rest[0] != '.' && !bytes.Contains(rest, dotAfterSlash) || !hasDotSegment(rest)
	}
	if hasDotSegment(rest) {
		return nil, false
	}
	w.path = w.path[:0]
	for len(rest) > 0 {
		c, n := percentByte(rest)
		if n > 1 && (c == '/' || is(c, badPath)) {
			return nil, false
		}
		w.path = append(w.path, c)
		rest = rest[n:]
	}
	return w.path, true
}

// escapeUnsafe percent-encodes what cannot stand in a URL in each context,
// from position from on.
func escapeUnsafe(s []byte, from int) []byte {
	bits, n := uint16(0), 0
	for _, c := range s[from:] {
		bits |= class[c]
		if class[c]&unsafeURL != 0 {
			n++
		}
	}
	if bits&unsafeURL == 0 {
		return s
	}
	const hex = "0123456789ABCDEF"
	i := len(s)
	for range 2 * n {
		s = append(s, 0)
	}
	for j := len(s); i < j; {
		i--
		j--
		s[j] = s[i]
		if c := s[i]; is(c, unsafeURL) {
			s[j-2], s[j-1], s[j] = '%', hex[c>>4], hex[c&15]
			j -= 2
		}
	}
	return s
}
