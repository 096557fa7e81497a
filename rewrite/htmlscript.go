package rewrite

import "bytes"

// scriptType is as what the script element of type t is read. runs says that a browser,
// or what a script makes of it, may run it, for which a policy may want its hash (HTML
// standard, "prepare the script element").
func scriptType(t []byte) (k kind, rel relative, runs bool) {
	switch string(t) { // most are these
	case "", "text/javascript", "module":
		return scriptText, rootRelative, true
	case "application/json":
		return jsonText, rootRelative, false
	}
	var buf [48]byte
	if len(t) > len(buf) {
		return scriptText, rootRelative, true
	}
	for i, c := range t {
		buf[i] = lower(c)
	}
	t = buf[:len(t)]
	switch {
	case bytes.Equal(t, []byte("application/ld+json")):
		return jsonText, anyRelative, false
	case containsAny(t, "importmap", "speculationrules"):
		return jsonText, rootRelative, true
	case containsAny(t, "json"):
		return jsonText, rootRelative, false
	case containsAny(t, "html", "template", "tmpl", "handlebars", "mustache"):
		return htmlText, rootRelative, false
	}
	return scriptText, rootRelative, true
}

func containsAny(s []byte, words ...string) bool {
	for _, w := range words {
		if bytes.Contains(s, []byte(w)) {
			return true
		}
	}
	return false
}

// enterScript begins the content of a script element of type t.
func (h *htmlScanner) enterScript(t []byte, u use) {
	k, rel, runs := scriptType(t)
	h.state, h.escape, h.ahead = htmlScript, 0, 0
	h.content = k
	if h.w.rw.skip&ContextScript != 0 || runs && h.w.hashed&ContextScript != 0 {
		h.content = noValue
	}
	h.script = scriptScanner{w: h.w, depth: h.depth, json: k == jsonText, rel: rel, use: u, fresh: true}
}

func (h *htmlScanner) scriptElement(src []byte, pos int, f *finder, final, advance bool) (int, bool) {
	end, found := h.scriptEnd(src, pos+h.ahead)
	done := end
	switch h.content {
	case scriptText, jsonText:
		n := f.next(src, pos)
		whole := found && h.script.fresh && h.w.remembers(h.depth) && n >= 0 && n < end
		h.script.fresh = false
		if whole && h.w.recall(src, pos, end, reading{h.content, h.script.rel, h.script.use.key()}) {
			break
		}
		done = h.script.scan(src[:end], pos, f, found || final, advance || found)
		if whole {
			h.w.remember(src, pos, end)
		}
	case htmlText:
		done = h.template(src, pos, end, found)
	}
	h.ahead = end - done
	if found && done == end {
		h.state = htmlData
		return end, true
	}
	return done, false
}

// template reads a script element that holds HTML, whole or not at all.
func (h *htmlScanner) template(src []byte, pos, end int, found bool) int {
	switch {
	case end-pos > h.w.rw.maxToken:
		h.content = noValue
	case !found:
		return pos
	default:
		h.w.value(src[pos:end], pos, htmlText, plain, h.depth)
	}
	return end
}

// scriptEnd looks from i on for the end tag of a script (HTML standard,
// 13.2.5.4 and 13.2.5.15 to 31): the position of the end tag, or that up to
// which there is none.
func (h *htmlScanner) scriptEnd(src []byte, i int) (end int, found bool) {
	for {
		if h.escape == 0 {
			j := bytes.IndexByte(src[i:], '<')
			if j < 0 {
				return len(src), false
			}
			i += j
		} else {
			for i < len(src) && src[i] != '<' && src[i] != '-' {
				i++
			}
			if i == len(src) {
				return i, false
			}
		}
		rest := src[i:]
		n := 1
		switch m, next := h.scriptMark(rest); {
		case m == partMatch:
			return i, false
		case m == fullMatch && next == scriptEnds:
			return i, true
		case m == fullMatch:
			h.escape = next
			n = 2 // the dashes of "<!--" may begin "-->"
		}
		i += n
	}
}

// scriptEnds is what scriptMark returns for the end tag of the script.
const scriptEnds = 3

// scriptMark tells what the '<' or '-' at the start of s does to the state.
func (h *htmlScanner) scriptMark(s []byte) (m tagMatch, next uint8) {
	if s[0] == '-' {
		return matchText(s, "-->"), 0
	}
	if h.escape == 0 {
		if m := matchText(s, "<!--"); m == fullMatch || m == partMatch && len(s) > 1 {
			return m, 1
		}
	}
	if m := matchEndTag(s, "script"); m != noMatch {
		if h.escape == 2 {
			return m, 1
		}
		return m, scriptEnds
	}
	if h.escape == 1 {
		return matchName(s[1:], "script"), 2
	}
	return noMatch, 0
}

// matchText compares s with text, as far as s goes.
func matchText(s []byte, text string) tagMatch {
	n := min(len(s), len(text))
	if string(s[:n]) != text[:n] {
		return noMatch
	}
	if n < len(text) {
		return partMatch
	}
	return fullMatch
}
