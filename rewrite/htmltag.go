package rewrite

import (
	"bytes"
	"strings"
)

// attribute is an attribute of a tag, by positions: where its name begins and
// ends, and what encloses its value.
type attribute struct {
	name, nameEnd int
	start, end    int
}

// attributeList is the attributes of a tag.
type attributeList []attribute

// maxAttributes bounds the attributes of one tag that are looked at: so many
// first ones, but for one, and the last.
const maxAttributes = 512

// obviousTagEnd is the position after the '>' that ends the tag whose name ends
// at i, if that is obvious from the first '>', as it is in nearly all tags; else
// 0. (It saves a tenth of the time of BenchmarkTags.)
//
// It is the end unless it stands in a quoted value. If there is no single quote
// before, that must be a double-quoted one. The last quote, with nothing but
// separators after it, does not begin one if neither '=' nor whitespace is
// before it: then it either ends one or is a part of something unquoted.
func obviousTagEnd(src []byte, i int) int {
	if i < len(src) && src[i] == '>' {
		return i + 1
	}
	gt := bytes.IndexByte(src[i:], '>')
	if gt < 0 {
		return 0
	}
	gt += i
	last := gt - 1
	for last > i && (src[last] == ' ' || src[last] == '/') {
		last--
	}
	if last <= i {
		return gt + 1
	}
	if src[last] == '"' {
		if before := src[last-1]; before == '=' || is(before, isSpace) {
			return 0
		}
	} else if bytes.IndexByte(src[i:last], '"') >= 0 {
		return 0
	}
	if bytes.IndexByte(src[i:gt], '\'') >= 0 {
		return 0
	}
	return gt + 1
}

// skipAttributes is the position after the '>' that ends the tag whose name
// ends at i, or -1 if src ends before (HTML standard, 13.2.5.8 and 13.2.5.32
// ff).
func skipAttributes(src []byte, i int) int {
	for i < len(src) {
		c := src[i]
		if is(c, endsTag) {
			if c == '>' {
				return i + 1
			}
			i++
			continue
		}
		// A name may begin with '='.
		for i++; i < len(src) && !is(src[i], endsName); i++ {
		}
		if i < len(src) && src[i] != '=' {
			i = skipSpace(src, i)
		}
		if i == len(src) {
			return -1
		}
		if src[i] != '=' {
			continue
		}
		if i++; i < len(src) && src[i] != '"' {
			i = skipSpace(src, i)
		}
		if i == len(src) {
			return -1
		}
		switch q := src[i]; q {
		case '"', '\'':
			j := indexNear(src[i+1:], q)
			if j < 0 {
				return -1
			}
			i += j + 2
		case '>':
			return i + 1
		default:
			for i < len(src) && !is(src[i], isSpace) && src[i] != '>' {
				i++
			}
		}
	}
	return -1
}

// readAttributes is skipAttributes that notes the attributes in l.
func readAttributes(l attributeList, src []byte, i int) (attributeList, int) {
	for i < len(src) {
		c := src[i]
		if is(c, endsTag) {
			if c == '>' {
				return l, i + 1
			}
			i++
			continue
		}
		name := i
		for i++; i < len(src) && !is(src[i], endsName); i++ {
		}
		nameEnd, start, end := i, i, i
		if i < len(src) && src[i] != '=' {
			i = skipSpace(src, i)
		}
		if i < len(src) && src[i] == '=' {
			if i++; i < len(src) && src[i] == '"' { // most are
				start = i + 1
				if end = indexNear(src[start:], '"'); end < 0 {
					return l, -1
				}
				end += start
				i = end + 1
			} else {
				start, end, i = readValue(src, i)
			}
		}
		if i < 0 || i == len(src) {
			return l, -1
		}
		if len(l) == maxAttributes {
			l = l[:maxAttributes-1]
		}
		l = append(l, attribute{name, nameEnd, start, end})
	}
	return l, -1
}

// readValue is where the value after the '=' before i begins and ends, and the
// position after it, or -1 if src ends before.
func readValue(src []byte, i int) (start, end, next int) {
	if i < len(src) && src[i] != '"' {
		i = skipSpace(src, i)
	}
	if i == len(src) {
		return i, i, -1
	}
	if q := src[i]; q == '"' || q == '\'' {
		j := indexNear(src[i+1:], q)
		if j < 0 {
			return i, i, -1
		}
		return i + 1, i + 1 + j, i + 2 + j
	}
	start = i
	for i < len(src) && !is(src[i], isSpace) && src[i] != '>' {
		i++
	}
	return start, i, i
}

// index is the number of the first attribute called name, -1 if there is none.
func (l attributeList) index(src []byte, name string) int {
	for i := range l {
		a := &l[i]
		if a.nameEnd-a.name == len(name) && equalFold(src[a.name:a.nameEnd], name) {
			return i
		}
	}
	return -1
}

// value is the value of the first attribute called name, nil if there is none.
func (l attributeList) value(src []byte, name string) []byte {
	if i := l.index(src, name); i >= 0 {
		return src[l[i].start:l[i].end]
	}
	return nil
}

// has reports whether there is an attribute called name: browsers take the
// first of several.
func (l attributeList) has(src, name []byte) bool {
	for i := range l {
		a := &l[i]
		if a.nameEnd-a.name == len(name) && sameName(src[a.name:a.nameEnd], name) {
			return true
		}
	}
	return false
}

// lengths are those of the names of the attributes.
func (l attributeList) lengths() (set lengths) {
	for i := range l {
		set |= 1 << ((l[i].nameEnd - l[i].name) & 63)
	}
	return set
}

// lengths is a set of lengths of names: what has none of the length that a name has
// needs no search for it.
type lengths uint64

// lengthsOf is the lengths of the names between spaces in s.
func lengthsOf(s string) (set lengths) {
	for name := range strings.FieldsSeq(s) {
		set |= 1 << len(name)
	}
	return set
}

func sameName(a, b []byte) bool {
	for i := range a {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// closesItself reports whether the tag that ends before end and has the
// attributes l ends with a slash that does not belong to an unquoted value.
func (l attributeList) closesItself(src []byte, end int) bool {
	return src[end-2] == '/' && (len(l) == 0 || l[len(l)-1].end < end-1)
}

// attrState is where in a tag a scan stopped.
type attrState uint8

const (
	inTagName attrState = iota
	beforeName
	inName
	afterName
	beforeValue
	inDouble
	inSingle
	inUnquoted
)

// unfinishedTag is for a tag at pos that does not end in src, or is over the
// limit: then it is passed over without being read.
func (h *htmlScanner) unfinishedTag(src []byte, pos, end int, final bool) (int, bool) {
	if end < 0 && final {
		return len(src), true // a browser drops it
	}
	if len(src)-pos <= h.w.rw.maxToken {
		return pos, false
	}
	h.state, h.long = htmlLongTag, inTagName
	h.after = elOther
	if src[pos+1] != '/' {
		name := src[pos+1 : tagNameEnd(src[:pos+1+longestName], pos+1)]
		h.after = elementOf(name)
	}
	return pos + 1, true
}

// longTag passes over a tag over the limit.
func (h *htmlScanner) longTag(src []byte, pos int, final bool) (int, bool) {
	for i := pos; i < len(src); i++ {
		c := src[i]
		next := h.long.after(c)
		if c == '>' && next == inTagName {
			h.state = htmlData
			if h.foreign.inside() {
				return i + 1, true
			}
			h.enter(src, nil, h.after)
			h.supposeMost()
			return i + 1, true
		}
		h.long = next
	}
	return len(src), true
}

// supposeMost supposes of a tag over the limit, which was not read, what asks for most.
func (h *htmlScanner) supposeMost() {
	switch h.after {
	case elVideo, elAudio:
		h.media = useCredentials
	case elMeta:
		if h.w.rw.policy != nil && h.depth == 0 {
			h.w.addHashed(ContextStyle | ContextScript)
		}
	}
}

// after is the state that c leads to; inTagName stands for the tag's end when
// c is '>'.
func (s attrState) after(c byte) attrState {
	switch s {
	case inDouble:
		if c == '"' {
			return beforeName
		}
		return s
	case inSingle:
		if c == '\'' {
			return beforeName
		}
		return s
	}
	switch {
	case c == '>':
		return inTagName
	case is(c, isSpace):
		switch s {
		case inName, afterName:
			return afterName
		case beforeValue:
			return beforeValue
		}
		return beforeName
	case c == '/' && s != beforeValue && s != inUnquoted:
		return beforeName
	case s == inTagName:
		return inTagName
	case s == beforeValue && c == '"':
		return inDouble
	case s == beforeValue && c == '\'':
		return inSingle
	case s == beforeValue || s == inUnquoted:
		return inUnquoted
	case c == '=' && (s == inName || s == afterName):
		return beforeValue
	}
	return inName
}
