package rewrite

// hasHole reports whether s, markup or CSS, is a template that is filled in when a
// script runs: what it will be then, and so how what it names is fetched, is not
// known. A hole is one of ${…} #{…} {{…}} {%…%} <%…%> <#…#> <?…?> %s %1$s {0}.
func hasHole(s []byte) bool {
	for i := 0; i+1 < len(s); i++ {
		next := s[i+1]
		switch s[i] {
		case '$', '#':
			if next == '{' {
				return true
			}
		case '<':
			if next == '%' || next == '#' || next == '?' {
				return true
			}
		case '%':
			if next == 's' || isDigit(next) && i+2 < len(s) && s[i+2] == '$' {
				return true
			}
		case '{':
			if next == '{' || next == '%' || isDigit(next) && i+2 < len(s) && s[i+2] == '}' {
				return true
			}
		}
	}
	return false
}

func isDigit(c byte) bool { return c-'0' < 10 }
