package media

import (
	"bytes"
	"strings"
)

// KeyOfPath returns the key of the file that urlPath names. urlPath is the
// path as sent, percent-encoded, as http.Request.URL.EscapedPath gives it.
// Each percent-encoding is undone once and nothing else is: another case,
// "//", ".", "..", an encoded slash, backslash or control character, invalid
// UTF-8, a bad or missing encoding (RFC 3986, section 2) all make ok false, and
// so does a directory's path, which ends in a slash.
func (s *Site) KeyOfPath(urlPath string) (key string, ok bool) {
	path := urlPath
	if !plainPath(path) {
		var buf [maxKey]byte
		decoded, ok := appendDecoded(buf[:0], []byte(path), &pathByte)
		if !ok {
			return "", false
		}
		path = string(decoded)
	}
	for i := range s.prefixes {
		p := &s.prefixes[i]
		rest, found := strings.CutPrefix(path, p.url)
		if !found {
			continue
		}
		if p.bare && isNamed(s.roots, rest) {
			return "", false
		}
		key = rest
		if p.key != "" {
			key = p.key + rest
		}
		return key, CheckKey(key) == nil
	}
	return "", false
}

// KeyOfFile returns the key of the file that a web server looks up for a
// cleaned, decoded URL path. It is one that [CheckKey] may refuse.
func (s *Site) KeyOfFile(path string) (key string, ok bool) {
	for i := range s.prefixes {
		p := &s.prefixes[i]
		rest, found := strings.CutPrefix(path, p.url)
		switch {
		case !found, rest == "":
			continue
		case p.bare:
			return s.Key(s.bare, rest), true
		}
		return p.key + rest, true
	}
	return "", false
}

// AppendKey appends to dst the key of the file that a page names by the URL
// prefix with this index in Prefixes and raw, what follows the prefix as it
// stands in the page: percent-encoded, but with any byte unencoded that a
// browser encodes itself (WHATWG URL standard, path percent-encode set).
// ok is false, and dst unchanged, if that is not exactly a key.
func (s *Site) AppendKey(dst []byte, prefix int, raw []byte) (key []byte, ok bool) {
	start := len(dst)
	p := &s.prefixes[prefix]
	key = append(dst, p.key...)
	if isPlainKey(raw) {
		key = append(key, raw...)
	} else if key, ok = appendDecoded(key, raw, &pageByte); !ok || checkKey(key[start:]) != nil {
		return dst, false
	}
	if p.bare && isNamed(s.roots, key[start:]) {
		return dst, false
	}
	return key, true
}

// AppendPath appends to dst the local URL path of a key, percent-encoded. It
// is the inverse of KeyOfPath. ok is false, and dst unchanged, if the key lies
// in no root.
func (s *Site) AppendPath(dst []byte, key string) (path []byte, ok bool) {
	root, rel, ok := s.Locate(key)
	if !ok {
		return dst, false
	}
	return EscapeKey(EscapeKey(dst, s.roots[root].URL), rel), true
}

// IsMediaURL reports whether any server might read the path as one below a
// media URL, even if the key is refused: case, repeated slashes, backslashes
// and dot segments do not matter, nor does encoding. What it says no to has
// nothing to do with media; what it says yes to and KeyOfPath refuses must
// not be answered from the bucket.
func (s *Site) IsMediaURL(urlPath string) bool {
	for i := range s.prefixes {
		if hasPrefixFold(urlPath, s.prefixes[i].url) {
			return true
		}
	}
	if plainPath(urlPath) && !strings.Contains(urlPath, "//") && !strings.Contains(urlPath, "/.") {
		return false
	}
	clean := cleanPath(urlPath)
	for i := range s.prefixes {
		if hasPrefixFold(clean, s.prefixes[i].url) {
			return true
		}
	}
	return false
}

// cleanPath undoes in a URL path whatever some server undoes. The result has
// no slash at its end.
func cleanPath(urlPath string) string {
	decoded := make([]byte, 0, len(urlPath))
	for i := 0; i < len(urlPath); i++ {
		c := urlPath[i]
		if c == '%' && i+2 < len(urlPath) && isHex(urlPath[i+1]) && isHex(urlPath[i+2]) {
			c = unhex(urlPath[i+1])<<4 | unhex(urlPath[i+2])
			i += 2
		}
		if c == '\\' {
			c = '/'
		}
		decoded = append(decoded, c)
	}
	clean := make([]byte, 0, len(decoded)+1)
	for rest := decoded; rest != nil; {
		var segment []byte
		switch segment, rest = cutSegment(rest); string(segment) {
		case "", ".":
		case "..":
			clean = clean[:max(0, bytes.LastIndexByte(clean, '/'))]
		default:
			clean = append(append(clean, '/'), segment...)
		}
	}
	return string(clean)
}

func hasPrefixFold(s, prefix string) bool {
	if len(s) < len(prefix) {
		return false
	}
	for i := 0; i < len(prefix); i++ {
		if lower(s[i]) != lower(prefix[i]) {
			return false
		}
	}
	return true
}

// EscapeKey appends the key to dst as a URL path: every byte but RFC 3986's
// unreserved ones and the slash is percent-encoded, with upper-case digits, so
// that browsers, S3 and its signatures read it alike ('+' is %2B, a space
// %20) and it stands safely in HTML, CSS and JSON.
func EscapeKey[T string | []byte](dst []byte, key T) []byte {
	const digits = "0123456789ABCDEF"
	i := 0
	for i < len(key) && keyByte[key[i]] {
		i++
	}
	dst = append(dst, key[:i]...)
	for ; i < len(key); i++ {
		c := key[i]
		if keyByte[c] {
			dst = append(dst, c)
			continue
		}
		dst = append(dst, '%', digits[c>>4], digits[c&15])
	}
	return dst
}

// isPlainKey reports whether raw, of a page, is a key that has no other
// spelling, as most are: BenchmarkAppendKey then takes a third of the time.
func isPlainKey(raw []byte) bool {
	before := byte('/')
	for _, c := range raw {
		if !keyByte[c] || before == '/' && (c == '/' || c == '.') {
			return false
		}
		before = c
	}
	return before != '/' && len(raw) <= maxSegment
}

// plainPath reports whether a URL path has no percent-encoding and no byte that
// needs one.
func plainPath(path string) bool {
	for i := 0; i < len(path); i++ {
		if !pathByte[path[i]] {
			return false
		}
	}
	return true
}

// appendDecoded appends path to dst with its percent-encodings undone. allowed
// are the bytes that may stand unencoded. It gives up on any other, and on an
// encoded slash, which would pass for one that parts names. The rest is for
// checkKey to refuse.
func appendDecoded(dst, path []byte, allowed *[256]bool) ([]byte, bool) {
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case allowed[c]:
		case c != '%' || i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2]):
			return dst, false
		default:
			c = unhex(path[i+1])<<4 | unhex(path[i+2])
			i += 2
			if c == '/' {
				return dst, false
			}
		}
		dst = append(dst, c)
	}
	return dst, true
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// unhex returns the value of a hexadecimal digit.
func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&7 + 9
}

var (
	// keyByte are the slash and the unreserved bytes of RFC 3986, section 2.3.
	keyByte = byteSet(false, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")
	// pathByte are the bytes that stand unencoded in a path (RFC 3986, section
	// 3.3), and the brackets, which net/url and browsers leave too.
	pathByte = byteSet(false, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/!$&'()*+,;=:@[]")
	// pageByte are the bytes that a browser accepts in a path as it stands in a
	// page: all but those that end the path, mean a slash, or are dropped.
	pageByte = byteSet(true, "%?#\\\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f"+
		"\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f")
)

// byteSet returns the set of the bytes in chars, or of all others.
func byteSet(others bool, chars string) (set [256]bool) {
	for i := range set {
		set[i] = others
	}
	for i := 0; i < len(chars); i++ {
		set[chars[i]] = !others
	}
	return set
}
