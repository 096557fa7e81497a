package rewrite

import "bytes"

// srcset reads image candidates (HTML standard, "parse a srcset attribute").
// With guessed, nothing changes unless all of text has the form of candidates
// with absolute or root-relative URLs.
func (w *Writer) srcset(text []byte, guessed bool) {
	first, firstRepl := len(w.edits), len(w.repl)
	rel := anyRelative
	if guessed {
		rel = rootRelative
	}
	for i := 0; ; {
		for i < len(text) && (is(text[i], isSpace) || text[i] == ',') {
			i++
		}
		if i == len(text) {
			return
		}
		start := i
		if len(w.head) > 0 && bytes.HasPrefix(text[i:], w.head) {
			i += len(w.head)
		}
		i = indexSpace(text, i)
		end := i
		for end > start && text[end-1] == ',' {
			end--
		}
		descriptor := i
		if end == i {
			i = skipDescriptors(text, i)
		}
		if guessed && !(looksLikeURL(text[start:end]) && isDescriptor(text[descriptor:i])) {
			w.edits, w.repl = w.edits[:first], w.repl[:firstRepl]
			return
		}
		w.url(text[start:end], start, rel)
		w.guardComma()
	}
}

// guardComma keeps the comma at the end of a replacement from being taken for
// the one between candidates.
func (w *Writer) guardComma() {
	if len(w.edits) == 0 {
		return
	}
	e := &w.edits[len(w.edits)-1]
	if e.to == len(w.repl) && e.to > e.from && w.repl[e.to-1] == ',' {
		w.repl = append(w.repl[:e.to-1], "%2C"...)
		e.to += 2
	}
}

// skipDescriptors is the position of the comma that ends the candidate whose
// descriptors begin at i, or the end of text.
func skipDescriptors(text []byte, i int) int {
	parens := false
	for ; i < len(text); i++ {
		switch text[i] {
		case '(':
			parens = true
		case ')':
			parens = false
		case ',':
			if !parens {
				return i
			}
		}
	}
	return i
}

// isDescriptor reports whether s is empty or a number followed by w, x or h.
func isDescriptor(s []byte) bool {
	s = trimSpace(s)
	if len(s) == 0 {
		return true
	}
	switch s[len(s)-1] {
	case 'w', 'x', 'h':
	default:
		return false
	}
	for _, c := range s[:len(s)-1] {
		if c-'0' > 9 && c != '.' {
			return false
		}
	}
	return len(s) > 1
}
