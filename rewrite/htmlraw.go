package rewrite

import "bytes"

// enter sets the state that the start tag of el leaves the tokenizer in.
func (h *htmlScanner) enter(src []byte, attrs attributeList, el element) {
	switch el {
	case elScript:
		p := h.w.place(src, attrs, around{}, h.depth)
		c := placeTables[inMarkup].cell(scriptElement, textAttribute)
		u := c.plain
		if c.asks&attrs.lengths() != 0 {
			u = c.use(p)
		}
		h.enterScript(p.typeOf(), u)
	case elStyle:
		h.state, h.end, h.ahead = htmlRaw, "style", 0
		if !h.w.keeps(ContextStyle) {
			h.state = htmlStyle
			h.style = cssScanner{w: h.w, depth: h.depth}
		}
	case elTextarea, elTitle, elXMP, elIframe, elNoembed, elNoframes:
		h.state, h.end = htmlRaw, el.name()
	case elPlaintext:
		h.state = htmlPlain
	case elVideo, elAudio:
		h.media = max(h.assets, crossoriginOf(src, attrs))
	case elAssets:
		h.assets = anonymous
	}
}

// styleElement reads CSS up to what h.end says.
func (h *htmlScanner) styleElement(src []byte, pos int, f *finder, final, advance bool) (int, bool) {
	end, found := h.styleEnd(src, pos+h.ahead)
	done := end
	if h.depth == 0 || !hasHole(src[pos:end]) {
		done = h.style.scan(src[:end], pos, f, found || final, advance || found)
	}
	h.ahead = end - done
	if found && done == end {
		h.state = htmlData
		if h.end == "]]>" {
			end += len(h.end)
		}
		return end, true
	}
	return done, false
}

// styleEnd is the position of what h.end says, or that up to which there is
// none.
func (h *htmlScanner) styleEnd(src []byte, pos int) (end int, found bool) {
	if h.end == "style" {
		return rawEnd(src, pos, h.end)
	}
	if i := bytes.Index(src[pos:], []byte(h.end)); i >= 0 {
		return pos + i, true
	}
	return max(pos, len(src)-len(h.end)+1), false
}

// rawEnd is the position of the end tag </name that ends the raw text at pos,
// or that up to which there is none.
func rawEnd(src []byte, pos int, name string) (end int, found bool) {
	for {
		i := bytes.IndexByte(src[pos:], '<')
		if i < 0 {
			return len(src), false
		}
		pos += i
		if m := matchEndTag(src[pos:], name); m != noMatch {
			return pos, m == fullMatch
		}
		pos++
	}
}

type tagMatch uint8

const (
	noMatch tagMatch = iota
	partMatch
	fullMatch
)

// matchEndTag compares s, which begins with '<', with </name.
func matchEndTag(s []byte, name string) tagMatch {
	if len(s) > 1 && s[1] != '/' {
		return noMatch
	}
	if len(s) < 2 {
		return partMatch
	}
	return matchName(s[2:], name)
}

// matchName compares s with a whole tag name.
func matchName(s []byte, name string) tagMatch {
	n := min(len(s), len(name))
	if !equalFold(s[:n], name[:n]) {
		return noMatch
	}
	if len(s) <= len(name) {
		return partMatch
	}
	if is(s[len(name)], endsTag) {
		return fullMatch
	}
	return noMatch
}
