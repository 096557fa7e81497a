package rewrite

// hasHole reports whether s, markup or CSS, is a template that is filled in when a
// script runs: what it will be then, and so how what it names is fetched, is not
// known. A hole is one of ${…} #{…} {{…}} {%…%} <%…%> <#…#> <?…?> %s %1$s {0}.
func hasHole(s []byte) bool {
	i := 0
	// Nearly no text has one of the bytes that each hole has.
	for i+wordSize <= len(s) {
		v := wordAt(s, i)
		m := equalTo(v, '{') | equalTo(v, '%') | equalTo(v, '<')
		if m == 0 {
			i += wordSize
			continue
		}
		i += firstByte(m)
		if holeAt(s, i) {
			return true
		}
		i++
	}
	for ; i < len(s); i++ {
		if holeAt(s, i) {
			return true
		}
	}
	return false
}

// holeAt reports whether the '{', '%' or '<' at i belongs to a hole.
func holeAt(s []byte, i int) bool {
	var before, next, second byte
	if i > 0 {
		before = s[i-1]
	}
	if i+1 < len(s) {
		next = s[i+1]
	}
	if i+2 < len(s) {
		second = s[i+2]
	}
	switch s[i] {
	case '{':
		return before == '$' || before == '#' || next == '{' || next == '%' || isDigit(next) && second == '}'
	case '%':
		return next == 's' || isDigit(next) && second == '$'
	case '<':
		return next == '%' || next == '#' || next == '?'
	}
	return false
}

func isDigit(c byte) bool { return c-'0' < 10 }
