package rewrite

import "bytes"

// The spellings of a slash, a colon and a backslash, in lower case. Those of
// the slash and the colon that begin with a letter stand after backslashes.
var (
	slashSpellings = []string{
		"/", "%2f", "%252f", "u002f", "x2f", "&#x2f;", "&#47;", "&#047;", "&sol;", "%26%23x2f%3b", "%26%2347%3b", "%26%23047%3b", "%26sol%3b",
		"&amp;#x2f;", "&amp;#47;", "&amp;#047;", "&amp;sol;", // HTML in XML
	}
	colonSpellings = []string{
		":", "%3a", "%253a", "u003a", "x3a", "&#x3a;", "&#58;", "&#058;", "&colon;", "%26%23x3a%3b", "%26%2358%3b", "%26%23058%3b", "%26colon%3b",
		"&amp;#x3a;", "&amp;#58;", "&amp;#058;", "&amp;colon;",
	}
	backslashSpellings = []string{"\\", "%5c", "%255c"}
)

// slashBefore is the slash at the end of s, as it is spelled, or "".
func slashBefore(s []byte) string { return markBefore(s, slashSpellings) }

func markBefore(s []byte, spellings []string) string {
	best := 0
	for _, m := range spellings {
		if len(m) <= best || !hasSuffixFold(s, m) {
			continue
		}
		run := backslashes(s[:len(s)-len(m)])
		if run == 0 && (m[0] == 'u' || m[0] == 'x') {
			continue
		}
		best = len(m)
	}
	if best == 0 {
		return ""
	}
	best += backslashes(s[:len(s)-best])
	return string(s[len(s)-best:])
}

// backslashes is the length of the run of backslashes at the end of s.
func backslashes(s []byte) int {
	n := 0
next:
	for n < maxBefore/4 {
		for _, m := range backslashSpellings {
			if hasSuffixFold(s[:len(s)-n], m) {
				n += len(m)
				continue next
			}
		}
		break
	}
	return n
}

// colonAt is the length of the colon at the start of s, or 0.
func colonAt(s []byte) int {
	i := 0
next:
	for i < len(s) {
		for _, m := range backslashSpellings {
			if hasPrefixFold(s[i:], m) {
				i += len(m)
				continue next
			}
		}
		break
	}
	for _, m := range colonSpellings {
		if hasPrefixFold(s[i:], m) && (i > 0 || m[0] != 'u' && m[0] != 'x') {
			return i + len(m)
		}
	}
	return 0
}

// schemeBefore is where the URL begins of which the slashes follow s: with a
// scheme and a colon at the end of s or, if there is none, at its end, which
// then must not be within a word or a path.
func schemeBefore(s []byte) (start int, colon string, ok bool) {
	colon = markBefore(s, colonSpellings)
	if colon == "" {
		return len(s), "", !endsInWord(s)
	}
	rest := s[:len(s)-len(colon)]
	for _, scheme := range [...]string{"https", "http"} {
		if hasSuffixFold(rest, scheme) {
			rest = rest[:len(rest)-len(scheme)]
			return len(rest), colon, !endsInWord(rest)
		}
	}
	return 0, "", false
}

// endsInWord reports whether s ends with what a URL cannot begin after: a
// letter, a digit, or what may stand in a path or a scheme.
func endsInWord(s []byte) bool {
	if len(s) == 0 {
		return false
	}
	if n := len(s); n >= 5 && string(s[n-5:n-2]) == "%25" && unhex(s[n-2]) >= 0 && unhex(s[n-1]) >= 0 {
		c, _ := percentByte([]byte{'%', s[n-2], s[n-1]}) // encoded twice
		return joinsURL(c)
	}
	if n := len(s); n >= 3 && s[n-3] == '%' && unhex(s[n-2]) >= 0 && unhex(s[n-1]) >= 0 {
		c, _ := percentByte(s[n-3:])
		return joinsURL(c)
	}
	// \n, \t and \u0022 end no word.
	if n := len(s); backslashes(s[:n-1]) > 0 || n >= 6 && s[n-5] == 'u' && backslashes(s[:n-5]) > 0 {
		return false
	}
	// In a form a plus sign is a space; a real one is percent-encoded.
	c := s[len(s)-1]
	return c != '+' && joinsURL(c)
}

func joinsURL(c byte) bool {
	return is(c, isWordy) || c == '/' || c == '.' || c == '+'
}

// hasSuffixFold reports whether s ends with t, which is in lower case.
func hasSuffixFold(s []byte, t string) bool {
	return len(s) >= len(t) && equalFold(s[len(s)-len(t):], t)
}

// partState is where in a multipart body a reverser is.
type partState uint8

const (
	partStart    partState = iota // nothing was read
	partPreamble                  // before the first delimiter
	partHeader
	partText
	partFile
	partRest // the epilogue, or a body that is not as it should be
)

// maxPartHeader bounds the header of a part in bytes.
const maxPartHeader = 16 << 10

// parts does what text does for a multipart body: the text parts are turned,
// files pass as they are (RFC 7578).
func (s *reverser) parts(dst, src []byte, final bool) ([]byte, int) {
	done := 0
	for done < len(src) {
		var next int
		before := s.part
		switch s.part {
		case partRest:
			return append(dst, src[done:]...), len(src)
		case partHeader:
			dst, next = s.partHeader(dst, src[done:], final)
		default:
			dst, next = s.partBody(dst, src[done:], final)
		}
		if next == 0 && s.part == before {
			break
		}
		done += next
	}
	return dst, done
}

// partHeader copies the header of a part, which begins with the rest of the
// delimiter's line, and sees what the part is.
func (s *reverser) partHeader(dst, src []byte, final bool) ([]byte, int) {
	if bytes.HasPrefix(src, []byte("--")) {
		s.part = partRest
		return append(dst, "--"...), 2
	}
	end := bytes.Index(src, []byte("\r\n\r\n"))
	if end < 0 {
		if final || len(src) > maxPartHeader {
			s.part = partRest
		}
		return dst, 0
	}
	s.part = partText
	if isFile(src[:end]) {
		s.part = partFile
	}
	// The blank line's end is also what a delimiter can begin with.
	return append(dst, src[:end+2]...), end + 2
}

// isFile reports whether a part with this header must pass as it is: one with
// a file name, or in another type than text.
func isFile(header []byte) bool {
	for line := range bytes.SplitSeq(header, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.ToLower(value)
		switch string(bytes.ToLower(bytes.TrimSpace(name))) {
		case "content-disposition":
			if bytes.Contains(value, []byte("filename")) {
				return true
			}
		case "content-type":
			if v := trimSpace(value); !bytes.HasPrefix(v, []byte("text/")) && !bytes.HasPrefix(v, []byte("application/json")) {
				return true
			}
		case "content-transfer-encoding":
			if v := trimSpace(value); string(v) == "base64" || string(v) == "quoted-printable" {
				return true
			}
		}
	}
	return false
}

// partStart sees whether the body begins with a delimiter, which then has no
// line before it.
func (s *reverser) partStart(dst, src, delimiter []byte, final bool) ([]byte, int) {
	switch matchText(src, string(delimiter)) {
	case fullMatch:
		s.part = partHeader
		return append(dst, delimiter...), len(delimiter)
	case partMatch:
		if !final {
			return dst, 0
		}
	}
	s.part = partPreamble
	return dst, 0
}

// partBody turns or copies up to the next delimiter.
func (s *reverser) partBody(dst, src []byte, final bool) ([]byte, int) {
	delimiter := []byte("\r\n--" + s.t.boundary)
	if s.part == partStart {
		return s.partStart(dst, src, delimiter[2:], final)
	}
	end := bytes.Index(src, delimiter)
	found := end >= 0
	switch {
	case found:
	case final:
		end = len(src)
	default:
		end = max(0, len(src)-len(delimiter))
	}
	done := end
	if s.part == partText {
		dst, done = s.text(dst, src[:end], found || final)
	} else {
		dst = append(dst, src[:end]...)
	}
	if !found {
		return dst, done
	}
	s.part = partHeader
	return append(dst, delimiter...), end + len(delimiter)
}

// padding is what a body of type t can end with that means nothing: an empty
// pair of a form, whitespace of JSON and XML, the epilogue of a multipart.
func (t bodyType) padding() byte {
	if t.kind == bodyForm {
		return '&'
	}
	return ' '
}
