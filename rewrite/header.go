package rewrite

import "bytes"

// HeaderLocation rewrites the value of a Location or Content-Location header,
// one URL (RFC 9110, 10.2.2 and 8.7).
func (r *Rewriter) HeaderLocation(value string, p Page) string {
	return r.header(value, p, func(w *Writer) { w.read(w.win, oneURL, 0) })
}

// HeaderRefresh rewrites the value of a Refresh header, "5; url=…" (HTML
// standard, "shared declarative refresh steps").
func (r *Rewriter) HeaderRefresh(value string, p Page) string {
	return r.header(value, p, func(w *Writer) { w.read(w.win, refresh, 0) })
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

func (w *Writer) linkHeader() {
	s := w.win
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '<':
			end := bytes.IndexByte(s[i:], '>')
			if end < 0 {
				return
			}
			w.value(s[i+1:i+end], i+1, oneURL, plain, 0)
			i += end
		case '"':
			end := quotedEnd(s, i+1)
			if param := bytes.TrimRight(s[:i], " \t="); len(param) >= 11 && equalFold(param[len(param)-11:], "imagesrcset") {
				w.value(s[i+1:end], i+1, srcset, plain, 0)
			}
			i = end
		}
	}
}

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
