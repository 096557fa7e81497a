package media

import (
	"net/http"
	"strings"
	"unicode/utf8"
)

// octetStream is the type of what nothing is known about.
const octetStream = "application/octet-stream"

// ContentType returns the media type that a file is served with. It goes by the
// extension and an own table, so that all servers say the same whatever their
// mime.types; else by head, the first 512 bytes of the content or all there
// are, as the WHATWG MIME sniffing standard does. head is nil if it is not at
// hand. Text known to begin as UTF-8 gets charset=utf-8.
//
// A type that a browser runs scripts in (HTML, SVG, XML) comes of the extension
// alone, never of the content: text/html is what ends in .html or .htm.
func ContentType(name string, head []byte) string {
	if t, ok := typeByExt(name); ok {
		if strings.HasPrefix(t, "text/") && validUTF8Head(head) {
			return t + "; charset=utf-8"
		}
		return t
	}
	if len(head) == 0 {
		return octetStream
	}
	sniffed := http.DetectContentType(head)
	switch {
	case strings.HasPrefix(sniffed, "text/html"), strings.HasPrefix(sniffed, "text/xml"):
		if validUTF8Head(head) {
			return "text/plain; charset=utf-8"
		}
		return "text/plain"
	case strings.HasPrefix(sniffed, "text/plain; charset=utf-8") && !validUTF8Head(head):
		return "text/plain"
	}
	return sniffed
}

// typeByExt looks the last extension of a name or key up.
func typeByExt(name string) (string, bool) {
	i := strings.LastIndexByte(name, '.')
	if i < 0 || len(name)-i > maxExt {
		return "", false
	}
	var buf [maxExt]byte
	t, ok := contentTypes[string(appendLower(buf[:0], name[i+1:]))]
	return t, ok
}

// maxExt is more than the longest extension of contentTypes has, with its dot.
const maxExt = 16

// sniffLen is how much of a content is looked at. What is shorter is whole.
const sniffLen = 512

// validUTF8Head reports whether head is known to begin a UTF-8 text. It may
// end within a character if there is more of the text.
func validUTF8Head(head []byte) bool {
	if len(head) < sniffLen {
		return len(head) > 0 && utf8.Valid(head)
	}
	for i := len(head) - 1; i >= max(0, len(head)-utf8.UTFMax+1); i-- {
		if utf8.RuneStart(head[i]) {
			if !utf8.FullRune(head[i:]) {
				head = head[:i]
			}
			break
		}
	}
	return utf8.Valid(head)
}
