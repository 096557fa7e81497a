package rewrite

// policyNeedles stand in each meta element of a Content-Security-Policy, but in
// those that mix upper and lower case in a way of their own.
var policyNeedles = []string{"ecurity-Policy", "ecurity-policy", "ECURITY-POLICY"}

// quoteRefs are the character references of quotes.
var quoteRefs = map[byte]string{'"': "&quot;", '\'': "&#39;"}

// policy reads the Content-Security-Policy of the meta element with the
// attributes l, of which number i holds a needle (HTML standard, "content
// security policy state"), and extends it. For that the content must come after
// the name of the policy, in quotes: what comes before may have been written
// already when the name turns up.
func (w *Writer) policy(src []byte, l attributeList, i int) {
	if w.rw.policy == nil {
		return
	}
	equiv, content := l.index(src, "http-equiv"), l.index(src, "content")
	if equiv != i || content < 0 || !equalFold(src[l[i].start:l[i].end], "content-security-policy") {
		return
	}
	a := l[content]
	text := src[a.start:a.end]
	if markup.needed(text) {
		d := &w.levels[0].decoded
		d.decode(text, markup, true)
		text = d.text
	}
	was := string(text)
	is, hashed := w.rw.policy(was, w.page)
	w.addHashed(hashed)
	quote := src[a.start-1]
	if is == was || content < i || quote != '"' && quote != '\'' || w.rw.skip&ContextMeta != 0 {
		return
	}
	w.replacePolicy(a, is, quote)
}

// replacePolicy puts a policy in the place of the attribute a, which is in quotes.
func (w *Writer) replacePolicy(a attribute, is string, quote byte) {
	from := len(w.repl)
	for _, c := range []byte(is) {
		switch c {
		case '&':
			w.repl = append(w.repl, "&amp;"...)
		case '<':
			w.repl = append(w.repl, "&lt;"...)
		case quote:
			w.repl = append(w.repl, quoteRefs[quote]...)
		default:
			w.repl = append(w.repl, c)
		}
	}
	w.edits = append(w.edits, edit{start: a.start, end: a.end, from: from, to: len(w.repl), literal: true})
}

// addHashed takes note that a policy names text of these contexts by hashes: from here
// on it keeps its bytes.
func (w *Writer) addHashed(hashed Context) {
	w.hashed |= hashed
	w.setSite()
}

// keeps reports whether text of a context stays as it is because it has a hash, or is
// to be skipped.
func (w *Writer) keeps(c Context) bool { return (w.rw.skip|w.hashed)&c != 0 }
