package inspect

import (
	"bytes"
	"io"
)

// hidden looks, in what is read through it, for ways to write a URL that the search for
// URLs does not see: in CSS an escape that stands for a letter, as u\72l(…) (CSS Syntax 3,
// section 4.3.7), for no tool writes one without need; in XML the declaration of an
// entity. Nothing is known of what such a file names.
type hidden struct {
	body  io.Reader
	css   bool
	found bool
	last  []byte // the end of what was read: a sign may begin there
}

// longestSign is the length of the longest sign: "<!ENTITY", or a backslash with the six
// digits that it takes at most.
const longestSign = len("<!ENTITY")

func newHidden(contentType string, body io.Reader) *hidden {
	return &hidden{body: body, css: contentType == "text/css"}
}

func (h *hidden) Read(p []byte) (int, error) {
	n, err := h.body.Read(p)
	if !h.found && n > 0 {
		across := append(h.last, p[:min(n, longestSign)]...)
		h.found = h.in(across) || h.in(p[:n])
		if n >= longestSign {
			across = p[:n]
		}
		h.last = bytes.Clone(across[max(0, len(across)-longestSign+1):])
	}
	return n, err
}

func (h *hidden) in(text []byte) bool {
	if !h.css {
		return bytes.Contains(text, []byte("<!ENTITY"))
	}
	for {
		i := bytes.IndexByte(text, '\\')
		if i < 0 {
			return false
		}
		if text = text[i+1:]; escapesLetter(text) {
			return true
		}
		text = text[min(1, len(text)):]
	}
}

// escapesLetter reports whether what follows a backslash stands for an ASCII letter. Of
// one that goes on in the next read, that decides.
func escapesLetter(text []byte) bool {
	const mostDigits = 6
	code, digits := rune(0), 0
	for digits < len(text) && digits < mostDigits {
		d := bytes.IndexByte([]byte("0123456789abcdef"), text[digits]|0x20)
		if d < 0 {
			break
		}
		code, digits = code<<4|rune(d), digits+1
	}
	switch {
	case len(text) == 0, digits == len(text) && digits < mostDigits:
		return false
	case digits == 0:
		code = rune(text[0])
	}
	return 'a' <= code|0x20 && code|0x20 <= 'z'
}
