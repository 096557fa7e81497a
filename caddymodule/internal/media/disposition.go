package media

import (
	"net/url"
	"strings"
)

// disposition is what a Content-Disposition says (RFC 7578, section 4.2; RFC
// 6266).
type disposition struct {
	field    string // the form field
	filename string
	// filenameExt is that of filename*, decoded (RFC 8187). PHP ignores it.
	filenameExt string
}

// parseDisposition reads a Content-Disposition as PHP reads that of a part:
// it takes what it can get. Quotes may be double or single, or missing; within
// them a backslash protects the quote and itself, and nothing else, since
// browsers once sent paths of Windows. Percent-encoding stays, but in filename*.
func parseDisposition(value string) disposition {
	var d disposition
	for value != "" {
		var parameter string
		parameter, value = cutParameter(value)
		key, text, ok := strings.Cut(parameter, "=")
		if !ok {
			continue
		}
		text = unquote(strings.Trim(text, " \t\r\n"))
		switch strings.ToLower(strings.Trim(key, " \t\r\n")) {
		case "name":
			d.field = text
		case "filename":
			d.filename = text
		case "filename*":
			d.filenameExt = decodeExtended(text)
		}
	}
	return d
}

// cutParameter splits at the first semicolon outside of quotes.
func cutParameter(s string) (parameter, rest string) {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case ';':
			return s[:i], s[i+1:]
		case '"', '\'':
			if c == '\'' && !afterEquals(s[:i]) {
				continue // an apostrophe
			}
			i = closingQuote(s, i)
		}
	}
	return s, ""
}

// afterEquals reports whether a value begins after s.
func afterEquals(s string) bool { return strings.HasSuffix(strings.TrimRight(s, " \t"), "=") }

// closingQuote returns the position of the quote that closes the one at i, or
// of the end of s.
func closingQuote(s string, i int) int {
	quote := s[i]
	for i++; i < len(s) && s[i] != quote; i++ {
		if s[i] == '\\' && i+1 < len(s) && (s[i+1] == quote || s[i+1] == '\\') {
			i++
		}
	}
	return i
}

// unquote takes the quotes from a value.
func unquote(s string) string {
	if s == "" || s[0] != '"' && s[0] != '\'' {
		return s
	}
	end := closingQuote(s, 0)
	inner := s[1:min(end, len(s))]
	if !strings.Contains(inner, `\`) {
		return inner
	}
	plain := make([]byte, 0, len(inner))
	for i := 0; i < len(inner); i++ {
		if inner[i] == '\\' && i+1 < len(inner) && (inner[i+1] == s[0] || inner[i+1] == '\\') {
			i++
		}
		plain = append(plain, inner[i])
	}
	return string(plain)
}

// decodeExtended decodes an ext-value, as UTF-8'en'%e2%82%ac.jpg. Other charsets
// than UTF-8 leave bytes that NameStem takes for ISO 8859-1.
func decodeExtended(s string) string {
	_, rest, ok := strings.Cut(s, "'")
	if !ok {
		return ""
	}
	if _, rest, ok = strings.Cut(rest, "'"); !ok {
		return ""
	}
	if plain, err := url.PathUnescape(rest); err == nil {
		return plain
	}
	return rest
}
