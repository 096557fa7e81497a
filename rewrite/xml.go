package rewrite

import "bytes"

// xmlScanner finds URLs in XML: in attributes, and in feeds (RSS, Atom,
// sitemaps, oEmbed) also in the text of elements that is a URL as a whole or
// HTML, in a CDATA section or escaped.
type xmlScanner struct {
	w *Writer
	// feed is false for XHTML and SVG, whose text is for people.
	feed  bool
	dash  bool
	media crossoriginState // of the last video or audio element
	state xmlState
	// content is as what the text that follows is read, use how what it names is
	// fetched.
	content kind
	use     use
	// subset is set within the internal subset of a document type.
	subset bool
	long   attrState
}

type xmlState uint8

const (
	xmlText xmlState = iota
	xmlCDATA
	xmlComment
	xmlInstruction
	xmlDoctype
	xmlLongTag
	xmlLongText // text over the limit that holds escaped HTML
	xmlLongData // a CDATA section over the limit that holds HTML
	xmlSkipText // the same that hold none
	xmlSkipData
)

var (
	cdataStart = []byte("<![CDATA[")
	cdataEnd   = []byte("]]>")
)

// scan works as cssScanner.scan does.
func (x *xmlScanner) scan(src []byte, pos int, f *finder, final, advance bool) int {
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
		next, ok := x.step(src, pos, n, f, final)
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

// step works as htmlScanner.step does.
func (x *xmlScanner) step(src []byte, pos, n int, f *finder, final bool) (int, bool) {
	switch x.state {
	case xmlText:
		return x.text(src, pos, n, f, final)
	case xmlCDATA:
		return x.cdata(src, pos, n, final)
	case xmlComment:
		return x.skipTo(src, pos, "-->")
	case xmlInstruction:
		return x.skipTo(src, pos, "?>")
	case xmlDoctype:
		return x.doctype(src, pos)
	case xmlLongTag:
		return x.longTag(src, pos)
	case xmlLongText, xmlSkipText:
		return x.longText(src, pos, final)
	}
	return x.longData(src, pos, final)
}

// skipTo passes over what ends with mark.
func (x *xmlScanner) skipTo(src []byte, pos int, mark string) (int, bool) {
	if i := bytes.Index(src[pos:], []byte(mark)); i >= 0 {
		x.state = xmlText
		return pos + i + len(mark), true
	}
	return max(pos, len(src)-len(mark)+1), false
}

// text reads the text up to the next tag, and that tag.
func (x *xmlScanner) text(src []byte, pos, n int, f *finder, final bool) (int, bool) {
	i := bytes.IndexByte(src[pos:], '<')
	end := pos + i
	if i < 0 {
		end = len(src)
	}
	if x.content != noValue && (n < end || i < 0) {
		switch {
		case end-pos > x.w.rw.maxToken:
			x.openLong(src[pos:pos+x.w.rw.maxToken], markup, xmlLongText, xmlSkipText)
			return pos, true
		case i < 0 && !final:
			return pos, false
		case n < end:
			x.w.use = x.use
			x.w.value(src[pos:end], pos, x.content, markup, 0)
		}
	}
	if i < 0 {
		return end, true
	}
	return x.tag(src, end, n, f, final)
}

// tag reads what begins with '<' at pos.
func (x *xmlScanner) tag(src []byte, pos, n int, f *finder, final bool) (int, bool) {
	rest := src[pos:]
	if len(rest) < 2 {
		return pos, false
	}
	switch rest[1] {
	case '?':
		x.state = xmlInstruction
		return pos + 2, true
	case '!':
		return x.declaration(src, pos, final)
	}
	name := tagNameEnd(src, pos+2)
	end := skipAttributes(src, name)
	if end < 0 && final {
		return len(src), true
	}
	if end < 0 || end-pos > x.w.rw.maxToken {
		if len(rest) <= x.w.rw.maxToken {
			return pos, false
		}
		x.state, x.long, x.content = xmlLongTag, inTagName, noValue
		return pos + 1, true
	}
	var around around
	if maybeSourced(rest[1], name-pos-1) {
		var ok bool
		if around, ok = x.w.aroundOf(src, pos, name, n, x.media, final, 0); !ok {
			return pos, false
		}
	}
	x.content = noValue
	if rest[1] != '/' {
		x.startTag(src, pos, name, end, n, f, around)
	}
	return end, true
}

func (x *xmlScanner) declaration(src []byte, pos int, final bool) (int, bool) {
	rest := src[pos:]
	switch m := matchText(rest, string(cdataStart)); {
	case m == fullMatch:
		x.state = xmlCDATA
		return pos + len(cdataStart), true
	case m == partMatch && !final:
		return pos, false
	}
	if matchText(rest, "<!--") == fullMatch {
		x.state = xmlComment
		return pos + 4, true
	}
	if len(rest) < 4 && !final {
		return pos, false
	}
	x.state, x.subset = xmlDoctype, false
	return pos + 2, true
}

// doctype passes over a document type declaration with its internal subset.
func (x *xmlScanner) doctype(src []byte, pos int) (int, bool) {
	for i := pos; i < len(src); i++ {
		switch c := src[i]; {
		case c == '[':
			x.subset = true
		case c == ']':
			x.subset = false
		case c == '>' && !x.subset:
			x.state = xmlText
			return i + 1, true
		}
	}
	return len(src), true
}

func (x *xmlScanner) startTag(src []byte, pos, nameEnd, end, n int, f *finder, around around) {
	name := src[pos+1 : nameEnd]
	if is(src[pos+1], endsTag) { // no name
		name, nameEnd = nil, end-1
	}
	attrs, _ := readAttributes(x.w.attrs[0][:0], src, nameEnd)
	x.w.attrs[0] = attrs
	if attrs.value(src, "xml:base") != nil {
		// The scope of xml:base is not followed: relative URLs stay.
		x.w.base.dir = x.w.base.dir[:0]
	}
	el, local := elementOf(name), name
	if i := bytes.LastIndexByte(name, ':'); !x.feed && i >= 0 {
		local = name[i+1:]
	}
	switch {
	case el == elBase && !x.feed:
		x.w.baseElement(src, attrs)
	case n < end:
		x.w.attributes(src, attrs, end, n, &tag{el: el, name: local, in: x.in(), around: around}, f)
	}
	if el == elVideo || el == elAudio {
		x.media = crossoriginOf(src, attrs)
	}
	if src[end-2] != '/' {
		x.content, x.use = x.contentOf(src, name, attrs)
	}
}

// in is the context that attributes are read in.
func (x *xmlScanner) in() context {
	switch {
	case x.feed:
		return inFeed
	case x.dash:
		return inPlaylist
	}
	return inMarkup
}

// contentOf is as what the text of the element called name is read. Of a feed
// the identifiers and titles keep their bytes.
func (x *xmlScanner) contentOf(src, name []byte, attrs attributeList) (kind, use) {
	full := name
	if i := bytes.LastIndexByte(name, ':'); i >= 0 {
		name = name[i+1:]
	}
	if x.dash {
		if dashText.has(name) {
			return oneURL, playlistUse
		}
		return noValue, use{}
	}
	switch string(name) {
	case "guid", "id", "title", "name", "author", "category":
		return noValue, use{}
	}
	if x.feed {
		t := &placeTables[inFeed]
		e := t.elements.id(full)
		if e == 0 {
			e = t.elements.id(name)
		}
		return anyText, t.use(e, t.attributes.id(textName), nil)
	}
	switch string(name) {
	case "style":
		if !x.w.keeps(ContextStyle) {
			return styleText, use{}
		}
	case "script":
		if !x.w.keeps(ContextScript) {
			return scriptText, placeTables[inMarkup].use(scriptElement, textAttribute, x.w.place(src, attrs, around{}, 0))
		}
	}
	return noValue, use{}
}

// textName is what the table of places calls the text of an element.
var textName = []byte("text")

// Where a manifest of DASH has URLs (ISO/IEC 23009-1): the text of these elements
// and these attributes.
var (
	dashText       = newNames("baseurl location patchlocation laurl")
	dashAttributes = newNames("media index initialization bitstreamswitching sourceurl href xlink:href")
)

// cdata reads a CDATA section.
func (x *xmlScanner) cdata(src []byte, pos, n int, final bool) (int, bool) {
	if x.content == noValue {
		return x.skipTo(src, pos, "]]>")
	}
	i := bytes.Index(src[pos:], cdataEnd)
	end := pos + i
	if i < 0 {
		end = len(src)
	}
	switch {
	case end-pos > x.w.rw.maxToken:
		x.openLong(src[pos:pos+x.w.rw.maxToken], plain, xmlLongData, xmlSkipData)
		return pos, true
	case i < 0:
		return pos, false
	case n < end:
		x.w.use = x.use
		x.w.value(src[pos:end], pos, x.content, plain, 0)
	}
	x.state = xmlText
	return end + len(cdataEnd), true
}

// openLong decides by its start what to do with a text over the limit.
func (x *xmlScanner) openLong(start []byte, c codec, long, skip xmlState) {
	x.state = skip
	lv := &x.w.levels[0]
	if c == markup {
		lv.decoded.decode(start, c, false)
		start = lv.decoded.text
	}
	if x.content == anyText && hasTag(start) {
		x.state = long
		lv.html.reset(x.w, 1)
	}
}

// longText reads on in text over the limit.
func (x *xmlScanner) longText(src []byte, pos int, final bool) (int, bool) {
	end, ends := len(src), final
	if i := bytes.IndexByte(src[pos:], '<'); i >= 0 {
		end, ends = pos+i, true
	}
	if x.state == xmlLongText {
		if done := x.w.readPiece(src[pos:end], pos, markup, 0, ends); done < end-pos {
			return pos + done, false
		}
	}
	if ends {
		x.state, x.content = xmlText, noValue
	}
	return end, true
}

// longData reads on in a CDATA section over the limit.
func (x *xmlScanner) longData(src []byte, pos int, final bool) (int, bool) {
	end, ends := max(pos, len(src)-len(cdataEnd)+1), final
	i := bytes.Index(src[pos:], cdataEnd)
	if i >= 0 {
		end, ends = pos+i, true
	} else if final {
		end = len(src)
	}
	if x.state == xmlLongData {
		f := finder{ns: x.w.rw.needles}
		if done := x.w.levels[0].html.scan(src[:end], pos, &f, ends, true); done < end {
			return done, false
		}
	}
	if i < 0 {
		return end, final
	}
	x.state = xmlText
	return end + len(cdataEnd), true
}

// longTag passes over a tag over the limit.
func (x *xmlScanner) longTag(src []byte, pos int) (int, bool) {
	for i := pos; i < len(src); i++ {
		next := x.long.after(src[i])
		if src[i] == '>' && next == inTagName {
			x.state = xmlText
			return i + 1, true
		}
		x.long = next
	}
	return len(src), true
}
