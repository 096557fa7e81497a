package rewrite

import "bytes"

// htmlScanner finds the places of an HTML document that URLs are read from. It
// follows the tokenizer of the HTML standard (13.2.5) as far as that is needed
// to know what is an attribute and what is not.
type htmlScanner struct {
	w     *Writer
	depth int
	state htmlState
	// end is the name of the end tag that ends the raw text in hand.
	end string
	// escape is the state within a script: 0, 1 escaped, 2 double escaped.
	escape uint8
	// ahead is how far the end of a script or style has been looked for.
	ahead int
	// long says which part of a tag over the limit is being passed over.
	long attrState
	// after is what follows such a tag.
	after   element
	content kind // of the script element in hand
	script  scriptScanner
	style   cssScanner
	foreign foreignStack
	// svgStyle says that text is CSS: a style element of SVG is not raw text,
	// there can be CDATA sections and comments in it.
	svgStyle bool
	// media is the state of the last video or audio element. Its end is not looked
	// for: what else a source or track element can be for says so itself.
	media crossoriginState
	// assets is the least state of all that follow. It is anonymous from an a-assets element
	// of A-Frame on, which gives that to what is in it. Its end is not looked for either.
	assets crossoriginState
	// around is of the start tag in hand.
	around around
}

type htmlState uint8

const (
	htmlData htmlState = iota
	htmlComment
	htmlBogus   // a comment that ends with the next '>'
	htmlCDATA   // in SVG and MathML
	htmlRaw     // text up to an end tag, with nothing in it
	htmlStyle   // the same, with CSS
	htmlScript  // the content of a script element
	htmlPlain   // everything that follows is text
	htmlLongTag // a tag over the limit
)

func (h *htmlScanner) reset(w *Writer, depth int) {
	*h = htmlScanner{w: w, depth: depth}
}

// scanHTML reads a whole document or fragment.
func (w *Writer) scanHTML(text []byte, depth int) {
	if depth >= maxDepth {
		return
	}
	var h htmlScanner
	h.reset(w, depth)
	f := finder{ns: w.rw.needles}
	h.scan(text, 0, &f, true, false)
}

// scan works as cssScanner.scan does.
func (h *htmlScanner) scan(src []byte, pos int, f *finder, final, advance bool) int {
	for pos < len(src) {
		n := f.next(src, pos)
		if n < 0 {
			if final {
				return len(src)
			}
			if !advance {
				return pos
			}
			n = len(src)
		}
		next, ok := h.step(src, pos, n, f, final, advance)
		if !ok {
			if final {
				return len(src)
			}
			return next
		}
		pos = next
	}
	return pos
}

// step reads on from pos, n being the position of the next needle. It returns
// the position reached, and false if more input is needed there.
func (h *htmlScanner) step(src []byte, pos, n int, f *finder, final, advance bool) (int, bool) {
	switch h.state {
	case htmlData:
		return h.data(src, pos, n, f, final)
	case htmlComment:
		end, ok := commentEnd(src, pos)
		if ok {
			h.state = htmlData
			return end, true
		}
		return max(pos, len(src)-3), false
	case htmlBogus:
		if i := bytes.IndexByte(src[pos:], '>'); i >= 0 {
			h.state = htmlData
			return pos + i + 1, true
		}
		return len(src), true
	case htmlCDATA:
		if i := bytes.Index(src[pos:], []byte("]]>")); i >= 0 {
			h.state = htmlData
			return pos + i + 3, true
		}
		return max(pos, len(src)-2), false
	case htmlRaw:
		end, found := rawEnd(src, pos, h.end)
		if found {
			h.state = htmlData
			return end, true
		}
		return end, false
	case htmlStyle:
		return h.styleElement(src, pos, f, final, advance)
	case htmlScript:
		return h.scriptElement(src, pos, f, final, advance)
	case htmlLongTag:
		return h.longTag(src, pos, final)
	}
	return len(src), true
}

// data reads text and tags up to the one that holds the needle at n.
func (h *htmlScanner) data(src []byte, pos, n int, f *finder, final bool) (int, bool) {
	limit := h.w.rw.maxToken
	for pos < len(src) {
		if src[pos] != '<' {
			if h.svgStyle {
				h.state, h.end, h.ahead = htmlStyle, "<", 0
				return pos, true
			}
			pos++ // often a newline between tags
			i := 0
			if pos == len(src) || src[pos] != '<' {
				i = bytes.IndexByte(src[pos:], '<')
			}
			if i < 0 {
				return len(src), true
			}
			pos += i
		}
		if pos > n {
			return pos, true // the needle stood in text
		}
		if pos+1 == len(src) {
			return undecided(src, pos, final)
		}
		c := src[pos+1]
		if c == '/' && h.foreign.n == 0 {
			if end := plainEndTag(src, pos); end > 0 {
				pos = end
				continue
			}
		}
		if !is(c, isAlpha) {
			next, ok := h.markup(src, pos, final)
			if !ok || h.state != htmlData {
				return next, ok
			}
			pos = next
			continue
		}
		name := pos + 2
		for name < len(src) && !is(src[name], endsTag) {
			name++
		}
		h.around = around{media: h.assets}
		if maybeSourced(c, name-pos-1) {
			var ok bool
			if h.around, ok = h.w.aroundOf(src, pos, name, n, h.media, final, h.depth); !ok {
				return pos, false
			}
		}
		attrs, end, known := h.tagEnd(src, pos, name, n)
		if known {
			pos = end
			continue
		}
		if end < 0 || end-pos > limit {
			return h.unfinishedTag(src, pos, end, final)
		}
		if end <= n && h.foreign.n == 0 && !maybeSpecial(c, name-pos-1) {
			pos = end
			continue
		}
		h.startTag(src, pos, name, end, attrs, n, f)
		pos = end
		if h.state != htmlData {
			return pos, true
		}
	}
	return pos, true
}

// undecided is for what begins at pos and takes more input to be known: if there
// is none, it is text.
func undecided(src []byte, pos int, final bool) (int, bool) {
	if final {
		return len(src), true
	}
	return pos, false
}

// nearNeedle is how many bytes after a tag's name a needle is likely one of the
// tag's. (To look at such tags once takes a tenth off pages full of media.)
const nearNeedle = 256

// tagEnd is the position after the tag at pos whose name ends at i, or -1 if src
// ends before, and its attributes, or nil if they were not worth noting. known
// is whether the tag was remembered, so that nothing is left to do with it.
func (h *htmlScanner) tagEnd(src []byte, pos, i, n int) (attrs attributeList, end int, known bool) {
	near := n-i <= nearNeedle
	remembers := h.w.remembers(h.depth) && h.foreign.n == 0
	if !near || remembers {
		end = obviousTagEnd(src, i)
	}
	switch {
	case end > n && near && remembers && elementOf(src[pos+1:i]) == elOther:
		if h.w.recall(src, pos, end, reading{places: h.around.key()}) {
			return nil, end, true
		}
	case end > 0:
		return nil, end, false
	case !near:
		return nil, skipAttributes(src, i), false
	}
	attrs, end = readAttributes(h.w.attrs[h.depth][:0], src, i)
	h.w.attrs[h.depth] = attrs
	return attrs, end, false
}

// plainEndTag is the position after the end tag at pos if it is nothing but a
// short name, as nearly all are, else 0.
func plainEndTag(src []byte, pos int) int {
	if pos+12 > len(src) || !is(src[pos+2], isAlpha) {
		return 0
	}
	for i := pos + 3; i < pos+12; i++ {
		if is(src[i], endsTag) {
			if src[i] == '>' {
				return i + 1
			}
			return 0
		}
	}
	return 0
}

// markup reads what begins with '<' and no letter.
func (h *htmlScanner) markup(src []byte, pos int, final bool) (int, bool) {
	switch src[pos+1] {
	case '/':
		return h.endTag(src, pos, final)
	case '!':
		return h.declaration(src, pos, final)
	case '?':
		h.state = htmlBogus
		return pos + 2, true
	}
	return pos + 1, true
}

// declaration reads what begins with "<!".
func (h *htmlScanner) declaration(src []byte, pos int, final bool) (int, bool) {
	const cdata = "<![CDATA["
	rest := src[pos:]
	if len(rest) < len(cdata) && !final {
		return pos, false
	}
	switch {
	case bytes.HasPrefix(rest, []byte("<!-->")):
		return pos + 5, true
	case bytes.HasPrefix(rest, []byte("<!--->")):
		return pos + 6, true
	case bytes.HasPrefix(rest, []byte("<!--")):
		h.state = htmlComment
		return pos + 4, true
	case h.foreign.hasCDATA() && bytes.HasPrefix(rest, []byte(cdata)):
		h.state = htmlCDATA
		if h.svgStyle {
			h.state, h.end, h.ahead = htmlStyle, "]]>", 0
		}
		return pos + len(cdata), true
	}
	h.state = htmlBogus
	return pos + 2, true
}

// commentEnd is the position after the comment whose text begins at pos.
func commentEnd(src []byte, pos int) (int, bool) {
	for {
		i := bytes.Index(src[pos:], []byte("--"))
		if i < 0 {
			return 0, false
		}
		pos += i + 2
		for pos < len(src) && src[pos] == '-' {
			pos++
		}
		rest := src[pos:]
		if len(rest) > 0 && rest[0] == '>' {
			return pos + 1, true
		}
		if len(rest) > 1 && rest[0] == '!' && rest[1] == '>' {
			return pos + 2, true
		}
	}
}

// endTag reads what begins with "</".
func (h *htmlScanner) endTag(src []byte, pos int, final bool) (int, bool) {
	if pos+2 == len(src) {
		return undecided(src, pos, final)
	}
	switch c := src[pos+2]; {
	case is(c, isAlpha):
	case c == '>':
		return pos + 3, true
	default:
		h.state = htmlBogus
		return pos + 2, true
	}
	name := tagNameEnd(src, pos+3)
	end := skipAttributes(src, name)
	if end < 0 || end-pos > h.w.rw.maxToken {
		return h.unfinishedTag(src, pos, end, final)
	}
	if h.foreign.n > 0 {
		left := h.foreign.close(src[pos+2 : name])
		h.svgStyle = h.svgStyle && !left && !equalFold(src[pos+2:name], "style")
	}
	return end, true
}

// startTag reads a whole start tag, src[pos:end], whose name ends at nameEnd.
// Its attributes are read if attrs is nil. Within a string or a template one with a
// hole stays.
func (h *htmlScanner) startTag(src []byte, pos, nameEnd, end int, attrs attributeList, n int, f *finder) {
	name := src[pos+1 : nameEnd]
	el := elementOf(name)
	if el == elOther && n >= end && h.foreign.n == 0 {
		return
	}
	if attrs == nil {
		attrs, _ = readAttributes(h.w.attrs[h.depth][:0], src, nameEnd)
		h.w.attrs[h.depth] = attrs
	}
	holed := h.depth > 0 && hasHole(src[pos:end])
	switch {
	case holed:
	case el == elBase:
		if h.depth == 0 {
			h.w.baseElement(src, attrs)
		}
	case n < end:
		h.w.attributes(src, attrs, end, n, &tag{el: el, depth: h.depth, name: name, around: h.around}, f)
		if h.depth == 0 {
			h.w.remember(src, pos, end)
		}
	}
	if h.foreign.n > 0 || el == elSVG || el == elMath {
		h.svgStyle = false
		closed := attrs.closesItself(src, end)
		if h.foreign.open(name, el, closed) {
			h.svgStyle = el == elStyle && !closed && !h.w.keeps(ContextStyle)
			h.style = cssScanner{w: h.w, depth: h.depth}
			return
		}
	}
	if el != elOther {
		h.enter(src, attrs, el)
	}
	if holed && (el == elVideo || el == elAudio) {
		h.media = useCredentials // it may become that
	}
}
