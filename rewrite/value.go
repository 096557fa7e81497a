package rewrite

import "bytes"

// kind says as what the text of a value is read.
type kind uint8

const (
	noValue    kind = iota // not read as a URL
	oneURL                 // a URL, document-relative ones included
	urlOnly                // a URL, if there is no space in it
	urlList                // URLs between spaces
	srcset                 // image candidates
	styleText              // CSS
	styleValue             // the value of a property
	scriptText             // JavaScript
	jsonText               // JSON
	htmlText               // an HTML document or fragment
	refresh                // the content of <meta http-equiv=refresh>
	// What follows may be of any kind.
	anything // whichever of these it looks like
	anyText  // the same with document-relative URLs
	fragment // part of such a text: not a URL
)

// maxDepth bounds how deep texts within texts are followed, as in a style in
// HTML in JSON in an attribute.
const maxDepth = 5

// level holds what is needed to read a text within another one.
type level struct {
	decoded decoded
	// html reads a long text piece by piece.
	html htmlScanner
}

// value reads src, a whole value that begins at off of the text being scanned
// and is escaped by c. Writer.use is how what it names is fetched.
func (w *Writer) value(src []byte, off int, k kind, c codec, depth int) {
	if k == noValue || depth >= maxDepth {
		return
	}
	first := len(w.edits)
	if !c.needed(src) {
		w.read(src, k, depth+1)
		w.outward(first, nil, src, off, c)
		return
	}
	d := &w.levels[depth].decoded
	d.decode(src, c, true)
	w.read(d.text, k, depth+1)
	w.outward(first, d, src, off, c)
}

// read looks for URLs in text, which has no escapes left, and adds edits in
// its coordinates.
func (w *Writer) read(text []byte, k kind, depth int) {
	if k >= anything && isSerialized(text) {
		return
	}
	switch k {
	case oneURL:
		w.trimmedURL(text, anyRelative)
	case urlOnly:
		if !hasInnerSpace(text) {
			w.trimmedURL(text, anyRelative)
		}
	case urlList:
		w.urlList(text)
	case srcset:
		w.srcset(text, false)
	case styleText, styleValue:
		w.scanStyle(text, w.use, k == styleValue, depth)
	case scriptText:
		w.scanScript(text, false, w.use, depth)
	case jsonText:
		w.scanScript(text, true, w.use, depth)
	case htmlText:
		w.scanHTML(text, depth)
	case refresh:
		w.refreshURL(text)
	case anything:
		w.guess(text, rootRelative, depth)
	case anyText:
		w.guess(text, anyRelative, depth)
	case fragment:
		if hasTag(text) {
			w.scanHTML(text, depth)
		}
	}
}

// guess reads a text of which only its own look tells what it is.
func (w *Writer) guess(text []byte, rel relative, depth int) {
	start := skipSpace(text, 0)
	if start == len(text) {
		return
	}
	switch {
	case text[start] == '{' || text[start] == '[':
		w.scanScript(text, false, w.use, depth)
	case hasTag(text):
		w.scanHTML(text, depth)
	case looksLikeURL(text[start:]):
		if hasInnerSpace(text[start:]) {
			w.srcset(text, true)
		} else {
			w.trimmedURL(text, rel)
		}
	case bytes.Contains(text, []byte("url(")):
		// A value is no text that has a hash: a script gives it to a property.
		if value := isStyleValue(text); value || w.hashed&ContextStyle == 0 {
			w.scanStyle(text, w.use, value, depth)
		}
	case rel == anyRelative && !hasInnerSpace(text[start:]):
		w.trimmedURL(text, rel)
	}
}

// looksLikeURL reports whether s begins as a URL of the site can.
func looksLikeURL(s []byte) bool {
	return s[0] == '/' || hasPrefixFold(s, "http://") || hasPrefixFold(s, "https://")
}

// hasTag reports whether s holds what HTML would take for a start tag.
func hasTag(s []byte) bool {
	for {
		i := bytes.IndexByte(s, '<')
		if i < 0 || i+1 >= len(s) {
			return false
		}
		if is(s[i+1], isAlpha) {
			return true
		}
		s = s[i+1:]
	}
}

// hasInnerSpace reports whether whitespace stands within s, before any
// fragment (some apps keep notes of their own there).
func hasInnerSpace(s []byte) bool {
	s = trimSpace(s)
	i := indexSpace(s, 0)
	return i < len(s) && bytes.IndexByte(s[:i], '#') < 0
}

func (w *Writer) trimmedURL(text []byte, rel relative) {
	start := skipSpace(text, 0)
	w.url(trimSpace(text[start:]), start, rel)
}

// urlList reads URLs between spaces, as in the ping attribute.
func (w *Writer) urlList(text []byte) {
	for i := skipSpace(text, 0); i < len(text); {
		start := i
		for i < len(text) && !is(text[i], isSpace) {
			i++
		}
		w.url(text[start:i], start, anyRelative)
		i = skipSpace(text, i)
	}
}

// refreshURL reads "5; url=…" (HTML standard, "shared declarative refresh
// steps").
func (w *Writer) refreshURL(text []byte) {
	i := skipSpace(text, 0)
	for i < len(text) && (text[i]-'0' < 10 || text[i] == '.') {
		i++
	}
	i = skipSpace(text, i)
	if i < len(text) && (text[i] == ';' || text[i] == ',') {
		i = skipSpace(text, i+1)
	}
	if hasPrefixFold(text[i:], "url") {
		if j := skipSpace(text, i+3); j < len(text) && text[j] == '=' {
			i = skipSpace(text, j+1)
		}
	}
	if i == len(text) {
		return
	}
	end := len(text)
	if q := text[i]; q == '"' || q == '\'' {
		i++
		if j := bytes.IndexByte(text[i:], q); j >= 0 {
			end = i + j
		}
	}
	u := trimSpace(text[i:end])
	if len(u) > 0 && !is(u[0], isSpace) {
		w.url(u, skipSpace(text, i), anyRelative)
	}
}
