package rewrite

import (
	"bytes"
	"strings"
)

// Page describes the response that is being rewritten.
type Page struct {
	// ContentType is the Content-Type header. It decides, together with the
	// first bytes of the body, whether and as what the body is rewritten.
	ContentType string
	// Scheme is "http" or "https", as the visitor sees it. It completes what
	// Config.Resolve returns without a scheme. URLs of both are the site's.
	Scheme string
	// Host is the host of the request, with or without port.
	Host string
	// Path is the path of the request's URL, still percent-encoded; a query
	// may follow. Document-relative URLs are resolved against it. Empty means
	// that it is not known: such URLs are left alone.
	Path string
	// Hashed is ContextStyle, ContextScript or both, if a Content-Security-Policy in
	// the page's header may name inline styles or scripts by their hashes. Such text
	// stays byte for byte: style elements and attributes, scripts that a browser runs
	// and event handlers, and what scripts may make one of these of. Attributes that
	// are URLs, and JSON and HTML in script elements, are rewritten as ever.
	Hashed Context
}

// base is what relative URLs of a document are resolved against.
type base struct {
	dir []byte // path up to its last slash; empty: unknown
	// own says that the base lies on the site: a page's always does, one that
	// <base> names may not.
	own bool
	// set says that <base> was seen; the first one counts.
	set bool
}

func (b *base) reset(p Page) {
	b.dir = b.dir[:0]
	path, _, _ := strings.Cut(p.Path, "?")
	if i := strings.LastIndexByte(path, '/'); i >= 0 && path[0] == '/' {
		b.dir = append(b.dir, path[:i+1]...)
	}
	b.own, b.set = true, false
}

// setBase takes over the href of a document's first <base> element.
func (w *Writer) setBase(href []byte) {
	b := &w.base
	if b.set {
		return
	}
	b.set = true
	href = trimSpace(href)
	if i := bytes.IndexAny(href, "?#"); i >= 0 {
		href = href[:i]
	}
	host, path, abs := splitAuthority(href)
	if abs {
		b.own = w.ownHost(host)
	} else if i := bytes.IndexByte(href, ':'); i >= 0 && bytes.IndexByte(href[:i], '/') < 0 {
		b.own = false
		return
	}
	if len(path) == 0 {
		if abs {
			b.dir = append(b.dir[:0], '/')
		}
		return
	}
	if hasDotSegment(path) || bytes.IndexByte(path, '\\') >= 0 {
		b.dir = b.dir[:0]
		return
	}
	if path[0] == '/' {
		b.dir = b.dir[:0]
	}
	b.dir = append(b.dir, path[:bytes.LastIndexByte(path, '/')+1]...)
}

// hasDotSegment reports whether a segment of path is "." or "..", written in
// any way that a browser would take for it.
func hasDotSegment(path []byte) bool {
	if len(path) == 0 || path[0] != '.' && !bytes.Contains(path, dotAfterSlash) && bytes.IndexByte(path, '%') < 0 {
		return false
	}
	for len(path) > 0 {
		seg := path
		if i := bytes.IndexByte(path, '/'); i >= 0 {
			seg, path = path[:i], path[i+1:]
		} else {
			path = nil
		}
		if isDots(seg) {
			return true
		}
	}
	return false
}

var dotAfterSlash = []byte("/.")

// isDots reports whether seg is one or two dots, each plain or as %2e.
func isDots(seg []byte) bool {
	n := 0
	for len(seg) > 0 {
		switch {
		case seg[0] == '.':
			seg = seg[1:]
		case len(seg) >= 3 && seg[0] == '%' && seg[1] == '2' && lower(seg[2]) == 'e':
			seg = seg[3:]
		default:
			return false
		}
		n++
	}
	return n == 1 || n == 2
}

// lowerHost is a host in lower case and without its port.
func lowerHost(h string) string { return strings.ToLower(hostOnly(h)) }
