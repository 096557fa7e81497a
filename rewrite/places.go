package rewrite

import (
	"bytes"
	"strings"
)

// placed is what a condition of the table of places is about: an element's
// attributes and what is around it.
type placed struct {
	src   []byte
	attrs attributeList
	around
	// typeText is the element's type, typed says that it was asked for.
	typeText []byte
	typed    bool
}

// typeOf is the element's type.
func (p *placed) typeOf() []byte {
	if !p.typed {
		p.typeText, p.typed = trimSpace(p.attrs.value(p.src, "type")), true
	}
	return p.typeText
}

// crossorigin is the state of the element's own crossorigin attribute.
func (p *placed) crossorigin() crossoriginState { return crossoriginOf(p.src, p.attrs) }

// place notes at a depth what conditions are about. (What is given to a condition
// would be allocated otherwise.)
func (w *Writer) place(src []byte, l attributeList, a around, depth int) *placed {
	p := &w.placed[depth]
	p.src, p.attrs, p.around, p.typed = src, l, a, false
	return p
}

// around is what the place of an element's URLs depends on besides the element.
type around struct {
	// media is the state of the video or audio element before, and of what gets a
	// crossorigin attribute from A-Frame.
	media crossoriginState
	img   crossoriginState // of the img element that a source element is for
}

// asked is what conditions may find in a.
func (a around) asked() lengths {
	if a == (around{}) {
		return 0
	}
	return aroundIt
}

// key tells a from what else can be around an element.
func (a around) key() uint16 { return uint16(a.media)<<8 | uint16(a.img) }

// crossoriginState is the state of a crossorigin attribute (HTML standard, "CORS
// settings attributes").
type crossoriginState uint8

const (
	noCORS crossoriginState = iota
	anonymous
	useCredentials
)

func crossoriginOf(src []byte, l attributeList) crossoriginState {
	i := l.index(src, "crossorigin")
	switch {
	case i < 0:
		return noCORS
	case equalFold(src[l[i].start:l[i].end], "use-credentials"):
		return useCredentials
	}
	return anonymous
}

// condition says which elements a rule of the table of places is for.
type condition struct {
	text string
	// asks is the lengths of the names of the attributes that it depends on, and of
	// aroundIt. It depends on nothing else.
	asks  lengths
	holds func(p *placed) bool
}

// aroundIt is as if what is around an element were an attribute with a name that
// is longer than others.
const aroundIt lengths = 1 << 63

var (
	crossorigin = &condition{"crossorigin", lengthsOf("crossorigin"), func(p *placed) bool {
		return p.crossorigin() != noCORS
	}}
	credentials = &condition{"crossorigin=use-credentials", lengthsOf("crossorigin"), func(p *placed) bool {
		return p.crossorigin() == useCredentials
	}}
	// unreadable is a response of which the digest cannot be taken if it is from
	// elsewhere.
	unreadable = &condition{"integrity without crossorigin", lengthsOf("integrity crossorigin"), func(p *placed) bool {
		return len(trimSpace(p.attrs.value(p.src, "integrity"))) > 0 && p.crossorigin() == noCORS
	}}
	mediaCrossorigin = &condition{"its video or audio has crossorigin", aroundIt, func(p *placed) bool {
		return p.media != noCORS
	}}
	mediaCredentials = &condition{"its video or audio has crossorigin=use-credentials", aroundIt, func(p *placed) bool {
		return p.media == useCredentials
	}}
	imgCrossorigin = &condition{"its img has crossorigin", aroundIt, func(p *placed) bool {
		return p.img != noCORS
	}}
	imgCredentials = &condition{"its img has crossorigin=use-credentials", aroundIt, func(p *placed) bool {
		return p.img == useCredentials
	}}
	inAssets = &condition{"after a-assets", aroundIt, func(p *placed) bool { return p.media != noCORS }}
	// ofLinkType is for links of a type that is known, or that tell of what is around
	// them.
	ofLinkType = &condition{"a known link type", lengthsOf("rel itemprop property"), func(p *placed) bool {
		return hasToken(p.attrs.value(p.src, "rel"), linkTypes.has) || p.attrs.index(p.src, "itemprop") >= 0 || p.attrs.index(p.src, "property") >= 0
	}}
	// classic is a script element's type that makes it a classic script (HTML
	// standard, "prepare the script element").
	classic = &condition{"a classic script", lengthsOf("type"), func(p *placed) bool {
		t := p.typeOf()
		return len(t) == 0 || scriptTypes.has(t)
	}}
)

// scriptTypes are the JavaScript MIME type essence strings (MIME Sniffing, 4.6).
var scriptTypes = newNames("application/ecmascript application/javascript application/x-ecmascript" +
	" application/x-javascript text/ecmascript text/javascript text/javascript1.0 text/javascript1.1" +
	" text/javascript1.2 text/javascript1.3 text/javascript1.4 text/javascript1.5 text/jscript" +
	" text/livescript text/x-ecmascript text/x-javascript")

// linkTypes are the link types of the HTML standard, and those of the registries that
// it names by which a browser, a search engine or a visitor is told of a file.
var linkTypes = newNames("alternate amphtml apple-touch-icon apple-touch-icon-precomposed apple-touch-startup-image" +
	" appendix archived author bookmark canonical chapter collection compression-dictionary contents copyright describedby" +
	" dns-prefetch edit edituri enclosure expect external first fluid-icon glossary help icon image_src index item last" +
	" license manifest mask-icon me modulepreload next nofollow original payment pingback preconnect prefetch preload" +
	" prerender prev preview previous privacy-policy related replies search section self serviceworker shortcut shortlink" +
	" start stylesheet subsection tag terms-of-service thumbnail toc up video_src webmention wlwmanifest")

// ofClass is for elements that have this class.
func ofClass(is string) *condition {
	return &condition{"class=" + is, lengthsOf("class"), func(p *placed) bool {
		return hasToken(p.attrs.value(p.src, "class"), func(token []byte) bool { return string(token) == is })
	}}
}

// has is for elements that have the attribute, whatever its value.
func has(attribute string) *condition {
	return &condition{attribute, lengthsOf(attribute), func(p *placed) bool { return p.attrs.index(p.src, attribute) >= 0 }}
}

// typed is for elements of this type.
func typed(is string) *condition {
	return &condition{"type=" + is, lengthsOf("type"), func(p *placed) bool {
		return equalFold(p.typeOf(), is)
	}}
}

// rel is for links of this type.
func rel(is string) *condition {
	return &condition{"rel=" + is, lengthsOf("rel"), func(p *placed) bool { return p.hasRel(is) }}
}

// preloads is for links that fetch ahead what will be one of these.
func preloads(destinations ...string) *condition {
	return &condition{"rel=preload or prefetch, as=" + strings.Join(destinations, ", "), lengthsOf("rel as"), func(p *placed) bool {
		as := trimSpace(p.attrs.value(p.src, "as"))
		for _, d := range destinations {
			if equalFold(as, d) {
				return p.hasRel("preload") || p.hasRel("prefetch")
			}
		}
		return false
	}}
}

// hasRel reports whether a link is of this type, perhaps among others.
func (p *placed) hasRel(is string) bool {
	return hasToken(p.attrs.value(p.src, "rel"), func(token []byte) bool { return equalFold(token, is) })
}

// hasToken reports whether one of the tokens between spaces in list is what is asked for.
func hasToken(list []byte, is func(token []byte) bool) bool {
	for i := skipSpace(list, 0); i < len(list); i = skipSpace(list, i) {
		start := i
		i = indexSpace(list, i)
		if is(list[start:i]) {
			return true
		}
	}
	return false
}

// placeTable is the rules of a context, by the numbers of elements and attributes;
// 0 is for all others.
type placeTable struct {
	elements, attributes *names
	// The numbers of those that most media stand in, so that they need not be looked
	// up (a tenth of BenchmarkPage, dense, seen for the first time).
	img, a, src, href, srcset uint8
	cells                     []placeCell // all attributes of the first element, of the second …
	// becomes is the number of the attribute that each of lazyAttributes becomes, and
	// dataSrc that of those whose element has no such attribute.
	becomes []uint8
	dataSrc uint8
}

// placeCell is the rules for an attribute of an element, up to the first one that
// always holds, whose use is otherwise.
type placeCell struct {
	rules     []*placeRule
	otherwise use
	// asks is what the conditions depend on. What stands in an element that has
	// none of that, as nearly all have not, is fetched as plain says.
	asks  lengths
	plain use
	// unknown says that no row names the element.
	unknown bool
}

func (t *placeTable) cell(element, attribute uint8) *placeCell {
	return &t.cells[int(element)*len(t.attributes.list)+int(attribute)]
}

var placeTables = func() (tables [numContexts]placeTable) {
	for c := range tables {
		tables[c] = newPlaceTable(context(c))
	}
	return tables
}()

func newPlaceTable(c context) placeTable {
	t := placeTable{elements: newNames(""), attributes: newNames("")}
	each := func(list string, set *names) {
		for name := range strings.FieldsSeq(list) {
			if name != "*" {
				set.add(name)
			}
		}
	}
	for i := range placeRules {
		if r := &placeRules[i]; r.in == c {
			each(r.elements, t.elements)
			each(r.attributes, t.attributes)
		}
	}
	t.img, t.a = t.elements.id([]byte("img")), t.elements.id([]byte("a"))
	t.src, t.href, t.srcset = t.attributes.id([]byte("src")), t.attributes.id([]byte("href")), t.attributes.id([]byte("srcset"))
	t.dataSrc = t.attributes.id([]byte("data-src"))
	for _, becomes := range lazyBecomes {
		t.becomes = append(t.becomes, t.attributes.id([]byte(becomes)))
	}
	for e := range t.elements.list {
		for a := range t.attributes.list {
			t.cells = append(t.cells, t.newCell(c, e, a))
		}
	}
	return t
}

func (t *placeTable) newCell(c context, element, attribute int) (cell placeCell) {
	for i := range placeRules {
		r := &placeRules[i]
		if r.in != c || !t.elements.covers(r.elements, element) || !t.attributes.covers(r.attributes, attribute) {
			continue
		}
		if r.when == nil {
			cell.otherwise, cell.unknown = r.use, r.elements == "*"
			break
		}
		cell.rules = append(cell.rules, r)
		cell.asks |= r.when.asks
	}
	cell.plain = cell.use(&placed{})
	return cell
}

// use is how what stands there is fetched.
func (c *placeCell) use(p *placed) use {
	for _, r := range c.rules {
		if r.when.holds(p) {
			return r.use
		}
	}
	return c.otherwise
}

// use is how what stands in an attribute of an element is fetched, by their
// numbers.
func (t *placeTable) use(element, attribute uint8, p *placed) use {
	return t.cell(element, attribute).use(p)
}

// element is the number of the element called name.
func (t *placeTable) element(name []byte) uint8 {
	switch string(name) {
	case "img":
		return t.img
	case "a":
		return t.a
	}
	return t.elements.id(name)
}

// attribute is the cell of the attribute called name of an element. That of a lazy
// loader has the place of what it will become; then lazy is true.
func (t *placeTable) attribute(element, name []byte) (c *placeCell, lazy bool) {
	e := t.element(element)
	switch string(name) {
	case "src":
		return t.cell(e, t.src), false
	case "href":
		return t.cell(e, t.href), false
	case "srcset":
		return t.cell(e, t.srcset), false
	}
	id := lazyAttributes.id(name)
	if id == 0 {
		return t.cell(e, t.attributes.id(name)), false
	}
	if c = t.cell(e, t.becomes[id]); c.unknown {
		c = t.cell(e, t.dataSrc)
	}
	return c, true
}

// attributeUse is how what the attribute called name of the tag in hand, which is
// read as k, is fetched.
func (w *Writer) attributeUse(src []byte, l attributeList, name []byte, k kind, t *tag) use {
	switch k {
	case styleText:
		return unnamedUse
	case styleValue:
		return propertyUse(name)
	}
	c, lazy := placeTables[t.in].attribute(t.name, name)
	u := c.plain
	if c.asks != 0 {
		if t.has == 0 {
			t.has = l.lengths() | t.around.asked()
		}
		if c.asks&t.has != 0 {
			u = c.use(w.place(src, l, t.around, t.depth))
		}
	}
	if lazy && u.names == anyName {
		u.names = loaderName
	}
	return u
}

// propertyUse is how what a declaration of this property names is fetched.
func propertyUse(name []byte) use {
	t := &placeTables[inCSS]
	if len(name) > 1 && name[0] == '-' && name[1] == '-' {
		return t.use(0, customProperty, nil)
	}
	return t.use(0, t.attributes.id(name), nil)
}

// ruleUse is how what stands in an at-rule is fetched.
func ruleUse(name []byte) use {
	t := &placeTables[inCSS]
	return t.use(t.elements.id(name), 0, nil)
}

// useIn is how what stands in the attribute of the element is fetched, where that
// depends on nothing else.
func useIn(c context, element, attribute string) use {
	t := &placeTables[c]
	return t.use(t.elements.id([]byte(element)), t.attributes.id([]byte(attribute)), &placed{})
}

var (
	// customProperty is the number of all custom properties.
	customProperty = placeTables[inCSS].attributes.id([]byte("--*"))
	// unnamedUse is of what stands before any property.
	unnamedUse = propertyUse(nil)
	// unknownUse is of properties with an escape in their name.
	unknownUse  = placeTables[inCSS].use(0, customProperty, nil)
	fontUse     = ruleUse([]byte("@font-face"))
	importUse   = ruleUse([]byte("@import"))
	scriptUse   = useIn(inScript, "", "")
	moduleUse   = useIn(inScript, "import", "")
	playlistUse = useIn(inPlaylist, "", "")
	baseUse     = useIn(inMarkup, "base", "href")
	visited     = useIn(inHeader, "location", "")

	// The numbers of elements and attributes.
	linkElement   = placeTables[inMarkup].elements.id([]byte("link"))
	scriptElement = placeTables[inMarkup].elements.id([]byte("script"))
	textAttribute = placeTables[inMarkup].attributes.id([]byte("text"))
)

// maxAhead is how many tags are looked at for the img element that a source
// element is for.
const maxAhead = 16

// maybeSourced is false if a name that begins with the letter c and is that long
// is neither source nor track.
func maybeSourced(c byte, length int) bool {
	return length == len("source") && c|0x20 == 's' || length == len("track") && c|0x20 == 't'
}

// aroundOf is what is around the source or track element at pos, whose name ends
// at nameEnd, media being the state of the last video or audio element. It
// reports false if more input is needed to know.
//
// The img element of a picture comes after the source elements that are for it. As
// much as may be held back of a tag is looked at; what is not known then is taken
// to have crossorigin.
func (w *Writer) aroundOf(src []byte, pos, nameEnd, n int, media crossoriginState, final bool, depth int) (a around, ok bool) {
	name := src[pos+1 : nameEnd]
	if equalFold(name, "track") {
		return around{media: media}, true
	}
	if !equalFold(name, "source") {
		return around{}, true
	}
	a.media = media
	end := skipAttributes(src, nameEnd)
	if end <= n || end-pos > w.rw.maxToken {
		return a, true
	}
	stop := min(len(src), pos+w.rw.maxToken)
	img, known := w.imgAhead(src[:stop], end, depth)
	switch {
	case known:
		a.img = img
	case final || stop < len(src):
		a.img = anonymous
	default:
		return a, false
	}
	return a, true
}

// imgAhead is the state of the img element that follows at i after nothing but
// text, comments and source elements, if it is known.
func (w *Writer) imgAhead(src []byte, i, depth int) (state crossoriginState, known bool) {
	for range maxAhead {
		j := bytes.IndexByte(src[i:], '<')
		if j < 0 || i+j+len("<!--") > len(src) {
			return noCORS, false
		}
		i += j
		if bytes.HasPrefix(src[i:], []byte("<!--")) {
			end, ok := commentEnd(src, i+2)
			if !ok {
				return noCORS, false
			}
			i = end
			continue
		}
		name := i + 1
		if src[name] == '/' {
			name++
		}
		nameEnd := tagNameEnd(src, name)
		if nameEnd == len(src) {
			return noCORS, false
		}
		switch {
		case src[i+1] != '/' && equalFold(src[name:nameEnd], "img"):
			attrs, end := readAttributes(w.attrs[depth][:0], src, nameEnd)
			w.attrs[depth] = attrs
			if end > 0 && depth > 0 && hasHole(src[i:end]) {
				return useCredentials, true // it may become that
			}
			return crossoriginOf(src, attrs), end > 0
		case !equalFold(src[name:nameEnd], "source"):
			return noCORS, true
		}
		if i = skipAttributes(src, nameEnd); i < 0 {
			return noCORS, false
		}
	}
	return anonymous, true
}
