package rewrite

// skipTag is the position after the '>' that ends the tag whose name goes on
// at i, or -1 if src ends before.
func skipTag(src []byte, i int) int {
	for i < len(src) && !is(src[i], endsTag) {
		i++
	}
	return skipAttributes(src, i)
}

// skipAttributes is skipTag from after the name on (HTML standard, 13.2.5.8
// and 13.2.5.32 ff).
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

// attribute is an attribute of a tag; start and end enclose its value.
type attribute struct {
	name       []byte
	start, end int
}

// nextAttribute reads the attribute at or after i in a whole tag that ends
// before end, and returns the position after it; ok is false at the tag's end.
func nextAttribute(src []byte, i, end int) (a attribute, next int, ok bool) {
	for is(src[i], endsTag) {
		if src[i] == '>' {
			return a, end, false
		}
		i++
	}
	start := i
	for i++; !is(src[i], endsName); i++ {
	}
	a.name = src[start:i]
	a.start, a.end = i, i
	j := skipSpace(src, i)
	if src[j] != '=' {
		return a, i, true
	}
	i = skipSpace(src, j+1)
	switch q := src[i]; q {
	case '"', '\'':
		a.start = i + 1
		a.end = a.start + indexNear(src[a.start:], q)
		return a, a.end + 1, true
	case '>':
		a.start, a.end = i, i
		return a, i, true
	}
	a.start = i
	for !is(src[i], isSpace) && src[i] != '>' {
		i++
	}
	a.end = i
	return a, i, true
}

// findAttribute is the value of the first attribute called name.
func findAttribute(src []byte, i, end int, name string) []byte {
	for {
		a, next, ok := nextAttribute(src, i, end)
		if !ok {
			return nil
		}
		if equalFold(a.name, name) {
			return src[a.start:a.end]
		}
		i = next
	}
}

// isRepeated reports whether an attribute called name stands between i and the
// one at limit: browsers take the first of several.
func isRepeated(src []byte, i, end, limit int, name []byte) bool {
	for {
		a, next, ok := nextAttribute(src, i, end)
		if !ok || a.start >= limit {
			return false
		}
		if len(a.name) == len(name) && sameName(a.name, name) {
			return true
		}
		i = next
	}
}

func sameName(a, b []byte) bool {
	for i := range a {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// tagName is the name that begins at i.
func tagName(src []byte, i int) []byte {
	end := i
	for end < len(src) && !is(src[end], endsTag) {
		end++
	}
	return src[i:end]
}

// selfClosing reports whether the tag whose attributes are src[i:end] closes
// itself.
func selfClosing(src []byte, i, end int) bool {
	if src[end-2] != '/' {
		return false
	}
	for {
		a, next, ok := nextAttribute(src, i, end)
		if !ok {
			return true
		}
		if next == end-1 {
			return a.end < next // else the slash belongs to an unquoted value
		}
		i = next
	}
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
		name := tagName(src[:pos+1+longestName], pos+1)
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
			h.enter(src, i, i+1, h.after)
			return i + 1, true
		}
		h.long = next
	}
	return len(src), true
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
