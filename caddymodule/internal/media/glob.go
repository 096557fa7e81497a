package media

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// glob is one part of a pattern, in lower case: * stands for any characters, ?
// for one. The text "**" is not a glob but any number of parts.
type glob struct {
	text string
	wild bool // there is a wildcard
	// prefix, inner and suffix are literal: what stands before the first
	// wildcard, the longest run between two, and what stands after the last.
	// Most names are told from most globs by them.
	prefix, suffix string
	inner          []byte
	// exact: prefix, inner and suffix are all there is but stars, so that no
	// other test is needed.
	exact bool
}

func newGlob(text string) glob {
	for strings.Contains(text, "**") {
		text = strings.ReplaceAll(text, "**", "*")
	}
	first, last := strings.IndexAny(text, "*?"), strings.LastIndexAny(text, "*?")
	if first < 0 {
		return glob{text: text}
	}
	g := glob{text: text, wild: true, prefix: text[:first], suffix: text[last+1:]}
	for _, run := range strings.FieldsFunc(text[first:last+1], isWildcard) {
		if len(run) > len(g.inner) {
			g.inner = []byte(run)
		}
	}
	g.exact = text == g.prefix+"*"+g.suffix || text == "*"+string(g.inner)+"*"
	return g
}

func isWildcard(r rune) bool { return r == '*' || r == '?' }

func (g *glob) isAnyDepth() bool { return g.text == "**" }

// match reports whether the glob fits the name, which is in lower case.
func (g *glob) match(name []byte) bool {
	if !g.wild {
		return string(name) == g.text
	}
	if len(name) < len(g.prefix)+len(g.suffix) ||
		string(name[:len(g.prefix)]) != g.prefix || string(name[len(name)-len(g.suffix):]) != g.suffix ||
		!bytes.Contains(name, g.inner) {
		return false
	}
	return g.exact || globMatch(g.text, name)
}

// globMatch tries all of a glob. Only the last star seen is ever tried again:
// an earlier one cannot help, so the time is at most the lengths' product.
func globMatch(glob string, name []byte) bool {
	g, n, star, retry := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case g < len(glob) && glob[g] == '*':
			star, retry = g, n
			g++
		case g < len(glob) && glob[g] == '?':
			_, size := utf8.DecodeRune(name[n:])
			g, n = g+1, n+size
		case g < len(glob) && glob[g] == name[n]:
			g, n = g+1, n+1
		case star >= 0:
			retry++
			g, n = star+1, retry
		default:
			return false
		}
	}
	for g < len(glob) && glob[g] == '*' {
		g++
	}
	return g == len(glob)
}
