package rewrite

import "bytes"

// attributes reads those of the attributes l of a whole tag, which ends before
// end, that hold a needle. n is the position of the first one.
func (w *Writer) attributes(src []byte, l attributeList, end, n int, t *tag, f *finder) {
	for i := range l {
		a := l[i]
		if n >= a.end {
			continue
		}
		if n < a.start { // in a name
			n = f.next(src, a.start)
		}
		if n < a.end && n >= 0 {
			name := src[a.name:a.nameEnd]
			k := w.attributeKind(src, l, name, t)
			if k != noValue && !l[:i].has(src, name) {
				w.use = w.attributeUse(src, l, name, k, t)
				w.value(src[a.start:a.end], a.start, k, markup, t.depth)
			} else if t.el == elMeta && t.depth == 0 {
				w.policy(src, l, i)
			}
			n = f.next(src, a.end)
		}
		if n < 0 || n >= end {
			return
		}
	}
}

// tag is what is known of a tag besides its attributes.
type tag struct {
	el    element
	depth int
	name  []byte
	// in is the context, inMarkup, or inFeed, in which any attribute can be a URL,
	// or inPlaylist for manifests of DASH.
	in context
	around
	// has is what conditions of places can find of it, 0 if that was not needed yet.
	has lengths
}

// baseElement takes over the href of a base element.
func (w *Writer) baseElement(src []byte, attrs attributeList) {
	href := attrs.value(src, "href")
	if href == nil {
		return
	}
	if markup.needed(href) {
		d := &w.levels[0].decoded
		d.decode(href, markup, true)
		href = d.text
	}
	if w.found != nil {
		w.use = baseUse
		w.refer(trimSpace(href))
	}
	w.setBase(href)
}

// longestAttribute is the length of the longest attribute name looked at.
const longestAttribute = 64

// attributeKind is as what an attribute is read.
func (w *Writer) attributeKind(src []byte, l attributeList, name []byte, t *tag) kind {
	switch string(name) { // most are these
	case "src", "href":
		return oneURL
	case "srcset":
		return srcset
	}
	var buf [longestAttribute]byte
	if len(name) > len(buf) {
		return noValue
	}
	for i, c := range name {
		buf[i] = lower(c)
	}
	name = buf[:len(name)]
	if t.in == inPlaylist {
		if dashAttributes.has(name) {
			return oneURL
		}
		return noValue
	}
	k := attributeKind(name)
	switch {
	case k == styleText && w.keeps(ContextStyle), k == styleValue && w.rw.skip&ContextStyle != 0,
		k == scriptText && w.keeps(ContextScript):
		return noValue
	case k != noValue:
		return k
	case t.in == inFeed && string(name) == "url":
		return oneURL
	case t.el == elMeta && string(name) == "content":
		if w.rw.skip&ContextMeta != 0 {
			return noValue
		}
		return metaKind(src, l)
	case bytes.HasPrefix(name, []byte("data-")) && w.rw.skip&ContextData == 0:
		return dataKind(name[len("data-"):])
	}
	return noValue
}

// attributeKind is as what an attribute is read, whatever the element: the
// attributes that the HTML standard lists as URLs and those that it calls
// obsolete, SVG's, and what scripts of wide use take URLs from.
func attributeKind(name []byte) kind {
	switch string(name) {
	case "src", "href", "xlink:href", "poster", "data", "action", "formaction", "cite", "background",
		"longdesc", "icon", "manifest", "lowsrc", "dynsrc", "codebase", "classid", "profile":
		return oneURL
	case "srcset", "imagesrcset":
		return srcset
	case "style":
		return styleText
	case "fill", "stroke", "filter", "mask", "clip-path", "cursor", "marker-start", "marker-mid", "marker-end":
		return styleValue
	case "srcdoc":
		return htmlText
	case "ping", "archive":
		return urlList
	}
	switch {
	case bytes.HasPrefix(name, []byte("data-")):
		return noValue
	case len(name) > 3 && name[0] == 'o' && name[1] == 'n':
		return scriptText
	case bytes.HasSuffix(name, []byte("-src")), bytes.HasSuffix(name, []byte("-href")):
		return oneURL
	case bytes.HasSuffix(name, []byte("-srcset")):
		return srcset
	case name[0] == ':', name[0] == '@', bytes.HasPrefix(name, []byte("v-")), bytes.HasPrefix(name, []byte("x-")):
		return scriptText // expressions of Vue and Alpine
	}
	return noValue
}

// dataKind is as what the attribute data-name is read. Those that hold what is
// shown to people or put into forms keep their bytes.
func dataKind(name []byte) kind {
	switch string(name) {
	case "value", "title", "alt", "text", "label", "placeholder", "content-text", "copy", "copy-text":
		return noValue
	}
	if bytes.HasPrefix(name, []byte("clipboard")) {
		return noValue
	}
	if bytes.HasSuffix(name, []byte("srcset")) {
		return srcset
	}
	for _, suffix := range [...]string{"src", "bg", "background", "href", "poster", "image", "img", "original", "thumb", "lazy", "full"} {
		if bytes.HasSuffix(name, []byte(suffix)) {
			return anyText
		}
	}
	return anything
}

// metaKind is as what the content of a meta element is read.
func metaKind(src []byte, l attributeList) kind {
	if equiv := trimSpace(l.value(src, "http-equiv")); len(equiv) > 0 {
		if equalFold(equiv, "refresh") {
			return refresh
		}
		return noValue
	}
	if l.value(src, "itemprop") != nil {
		return urlOnly
	}
	for _, attr := range [...]string{"property", "name"} {
		v := trimSpace(l.value(src, attr))
		for _, p := range [...]string{"og:", "twitter:", "msapplication-", "article:", "thumbnail", "image"} {
			if hasPrefixFold(v, p) && !isProse(v[len(p):]) {
				return urlOnly
			}
		}
	}
	return noValue
}

// isProse reports whether a meta property holds text for people.
func isProse(name []byte) bool {
	for _, p := range [...]string{"title", "description", "site_name", "label", "data"} {
		if hasPrefixFold(name, p) {
			return true
		}
	}
	return len(name) >= 4 && equalFold(name[len(name)-4:], ":alt")
}
