package rewrite

import "bytes"

// HeaderLocation rewrites the value of a Location or Content-Location header,
// one URL (RFC 9110, 10.2.2 and 8.7).
func (r *Rewriter) HeaderLocation(value string, p Page) string {
	return r.header(value, p, func(w *Writer) {
		w.use = visited
		w.read(w.win, oneURL, 0)
	})
}

// HeaderRefresh rewrites the value of a Refresh header, "5; url=…" (HTML
// standard, "shared declarative refresh steps").
func (r *Rewriter) HeaderRefresh(value string, p Page) string {
	return r.header(value, p, func(w *Writer) {
		w.use = visited
		w.read(w.win, refresh, 0)
	})
}

// HeaderLink rewrites the targets and the imagesrcset parameters in the value
// of a Link header (RFC 8288).
func (r *Rewriter) HeaderLink(value string, p Page) string {
	return r.header(value, p, (*Writer).linkHeader)
}

func (r *Rewriter) header(value string, p Page, read func(*Writer)) string {
	w := r.NewWriter(nil, p)
	w.win = append(w.win, value...)
	if r.needles.index(w.win, 0) >= 0 && len(value) <= r.maxToken {
		read(w)
		w.apply()
		w.emit(len(w.win))
		if w.replaced > 0 {
			value = string(w.out)
		}
	}
	r.writers.Put(w)
	return value
}

// linkHeader reads each link and its parameters, which say of it what the
// attributes of a link element do (HTML standard, "processing Link headers").
func (w *Writer) linkHeader() {
	s := w.win
	for i := 0; i < len(s); {
		open := bytes.IndexByte(s[i:], '<')
		if open < 0 {
			return
		}
		start := i + open + 1
		n := bytes.IndexByte(s[start:], '>')
		if n < 0 {
			return
		}
		end := start + n
		w.attrs[0], i = linkParams(w.attrs[0][:0], s, end+1)
		p := w.place(s, w.attrs[0], around{}, 0)
		w.use = placeTables[inMarkup].use(linkElement, 0, p)
		w.value(s[start:end], start, oneURL, plain, 0)
		if set := p.attrs.index(s, "imagesrcset"); set >= 0 {
			a := p.attrs[set]
			w.value(s[a.start:a.end], a.start, srcset, plain, 0)
		}
	}
}

// linkParams adds the parameters of a link that begin at i to l. It returns the
// position of the comma after them, or the end of s.
func linkParams(l attributeList, s []byte, i int) (attributeList, int) {
	for i < len(s) && s[i] != ',' {
		if s[i] == ';' || is(s[i], isSpace) {
			i++
			continue
		}
		a := attribute{name: i}
		for i < len(s) && !endsParam(s[i]) && s[i] != '=' {
			i++
		}
		a.nameEnd = i
		i = skipSpace(s, i)
		a.start, a.end = i, i
		if i < len(s) && s[i] == '=' {
			i = skipSpace(s, i+1)
			a.start = i
			if i < len(s) && s[i] == '"' {
				a.start++
				a.end = quotedEnd(s, a.start)
				i = min(a.end+1, len(s))
			} else {
				for i < len(s) && !endsParam(s[i]) {
					i++
				}
				a.end = i
			}
		}
		if len(l) < maxAttributes {
			l = append(l, a)
		}
	}
	return l, i
}

// endsParam reports whether c ends a parameter of a Link header.
func endsParam(c byte) bool { return c == ';' || c == ',' || is(c, isSpace) }

// quotedEnd is the position of the quote that ends the quoted string whose
// content begins at i, or the end of s (RFC 9110, 5.6.4).
func quotedEnd(s []byte, i int) int {
	for ; i < len(s) && s[i] != '"'; i++ {
		if s[i] == '\\' {
			i++
		}
	}
	return min(i, len(s))
}
