package rewrite

import "strings"

// element is an element that the scanner treats in a way of its own.
type element uint8

const (
	elOther element = iota
	elScript
	elStyle
	elTextarea
	elTitle
	elXMP
	elIframe
	elNoembed
	elNoframes
	elPlaintext
	elBase
	elMeta
	elSVG
	elMath
	elVideo
	elAudio
	elAssets
)

var elementNames = [...]string{
	elScript:    "script",
	elStyle:     "style",
	elTextarea:  "textarea",
	elTitle:     "title",
	elXMP:       "xmp",
	elIframe:    "iframe",
	elNoembed:   "noembed",
	elNoframes:  "noframes",
	elPlaintext: "plaintext",
	elBase:      "base",
	elMeta:      "meta",
	elSVG:       "svg",
	elMath:      "math",
	elVideo:     "video",
	elAudio:     "audio",
	elAssets:    "a-assets",
}

func (e element) name() string { return elementNames[e] }

// specialLengths has, for each letter, a bit for each length of the names of
// special elements that begin with it.
var specialLengths = func() (t [32]uint16) {
	for _, name := range elementNames[elScript:] {
		t[name[0]&31] |= 1 << len(name)
	}
	return t
}()

// maybeSpecial is false if no special element's name begins with the letter c
// and is that long.
func maybeSpecial(c byte, length int) bool {
	return specialLengths[c&31]>>(length&15)&1 != 0
}

// elementOf is the element called name, in any case.
func elementOf(name []byte) element {
	if len(name) == 0 || !maybeSpecial(name[0], len(name)) {
		return elOther
	}
	switch len(name) {
	case 3:
		return either(name, elSVG, elXMP)
	case 4:
		if e := either(name, elMeta, elMath); e != elOther {
			return e
		}
		return either(name, elBase, elBase)
	case 5:
		if e := either(name, elVideo, elAudio); e != elOther {
			return e
		}
		return either(name, elStyle, elTitle)
	case 6:
		return either(name, elScript, elIframe)
	case 7:
		return either(name, elNoembed, elNoembed)
	case 8:
		if e := either(name, elTextarea, elNoframes); e != elOther {
			return e
		}
		return either(name, elAssets, elAssets)
	case 9:
		return either(name, elPlaintext, elPlaintext)
	}
	return elOther
}

func either(name []byte, a, b element) element {
	if equalFold(name, a.name()) {
		return a
	}
	if equalFold(name, b.name()) {
		return b
	}
	return elOther
}

// foreignStack follows SVG and MathML, where CDATA sections exist and raw text
// elements do not (HTML standard, 13.2.6.5). It holds the open svg and math
// elements and, within them, the elements that take up HTML again.
type foreignStack struct {
	n     int
	items [32]foreignItem
	// html counts the HTML elements open within the last item, roughly: end
	// tags are taken to close what was opened.
	html int
}

type foreignItem uint8

const (
	inSVG foreignItem = iota
	inMath
	mathInSVG // an element of SVG called math
	svgInMath // an element of MathML called svg
	inHTML    // no item; those that follow are elements that take up HTML again
	inForeignObject
	inDesc
	inTitle
	inAnnotation
	inMathText
)

// inside reports whether markup here is SVG or MathML.
func (s *foreignStack) inside() bool {
	return s.n > 0 && s.items[s.n-1] < inHTML
}

// hasCDATA reports whether a CDATA section can begin here: the innermost
// element is not one of HTML.
func (s *foreignStack) hasCDATA() bool {
	return s.inside() || s.n > 0 && s.html == 0
}

// open takes note of a start tag, and reports whether its element is one of
// SVG or MathML.
func (s *foreignStack) open(name []byte, el element, selfClosing bool) bool {
	root := el == elSVG || el == elMath
	if !root && !s.inside() {
		if !selfClosing && !isVoid(name) {
			s.html++
		}
		return false
	}
	if !root && breaksOut(name) {
		for s.inside() {
			s.n--
		}
		return false
	}
	switch {
	case selfClosing:
	case el == elSVG:
		s.push(s.within(inMath, svgInMath, inSVG))
	case el == elMath:
		s.push(s.within(inSVG, mathInSVG, inMath))
	default:
		if p := integrationPoint(name, s.items[s.n-1]); p != inHTML {
			s.push(p)
		}
	}
	return true
}

// within is yes directly within ns or the item that stands for it there, and
// no elsewhere.
func (s *foreignStack) within(ns, yes, no foreignItem) foreignItem {
	if s.n > 0 && (s.items[s.n-1] == ns || s.items[s.n-1] == yes) {
		return yes
	}
	return no
}

func (s *foreignStack) push(i foreignItem) {
	if s.n < len(s.items) {
		s.items[s.n] = i
		s.n++
		s.html = 0
	}
}

// close takes note of an end tag: it closes the nearest item of its name. It
// reports whether that left an item.
func (s *foreignStack) close(name []byte) bool {
	// </p> and </br> break out; of the others that HTML knows, one here shows
	// that the svg or math element was not closed.
	if s.inside() && breaksOut(name) {
		for s.inside() {
			s.n--
		}
		return true
	}
	for i := s.n - 1; i >= 0; i-- {
		if s.items[i].named(name) {
			s.n, s.html = i, 0
			return true
		}
	}
	s.html = max(0, s.html-1)
	return false
}

func (i foreignItem) named(name []byte) bool {
	switch i {
	case inSVG, svgInMath:
		return equalFold(name, "svg")
	case inMath, mathInSVG:
		return equalFold(name, "math")
	}
	if p := integrationPoint(name, inSVG); p != inHTML {
		return p == i
	}
	return integrationPoint(name, inMath) == i
}

// integrationPoint is the item for an element of SVG or MathML whose content
// is HTML, or inHTML if it is none.
func integrationPoint(name []byte, in foreignItem) foreignItem {
	if in == inSVG || in == mathInSVG {
		switch {
		case equalFold(name, "foreignobject"):
			return inForeignObject
		case equalFold(name, "desc"):
			return inDesc
		case equalFold(name, "title"):
			return inTitle
		}
		return inHTML
	}
	switch {
	case equalFold(name, "annotation-xml"):
		return inAnnotation
	case equalFold(name, "mi"), equalFold(name, "mo"), equalFold(name, "mn"), equalFold(name, "ms"), equalFold(name, "mtext"):
		return inMathText
	}
	return inHTML
}

// isVoid reports whether the HTML element called name has no content.
func isVoid(name []byte) bool {
	var buf [16]byte
	return voids[string(lowered(&buf, name))]
}

var voids = nameSet("area base br col embed hr img input link meta param source track wbr")

// breakouts are the HTML elements that end SVG and MathML.
var breakouts = nameSet("b big blockquote body br center code dd div dl dt em embed" +
	" h1 h2 h3 h4 h5 h6 head hr i img li listing menu meta nobr ol p pre ruby s small span" +
	" strong strike sub sup table tt u ul var")

func breaksOut(name []byte) bool {
	var buf [16]byte
	return breakouts[string(lowered(&buf, name))]
}

func nameSet(names string) map[string]bool {
	m := make(map[string]bool)
	for name := range strings.FieldsSeq(names) {
		m[name] = true
	}
	return m
}

// lowered is name in lower case, or nothing if it is longer than buf.
func lowered(buf *[16]byte, name []byte) []byte {
	if len(name) > len(buf) {
		return nil
	}
	for i, c := range name {
		buf[i] = lower(c)
	}
	return buf[:len(name)]
}
