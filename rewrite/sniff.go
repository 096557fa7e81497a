package rewrite

import (
	"bytes"
	"strings"
)

// format is the language of a body.
type format uint8

const (
	formatNone     format = iota // passed through
	formatHTML                   // an HTML document
	formatCSS                    // a style sheet
	formatJSON                   // JSON
	formatXML                    // a feed, a sitemap, oEmbed
	formatXHTML                  // XML of which the text is for people: XHTML, SVG
	formatManifest               // a web app manifest
	formatDASH                   // a manifest of DASH
	formatHLS                    // a playlist of HLS
	formatText                   // JSON, if it begins like that
	formatPending                // not decided yet
)

// Rewritable reports whether a body of this Content-Type may be rewritten. The
// first bytes of the body can still decide against it.
func Rewritable(contentType string) bool {
	f, _ := formatOf(contentType)
	return f != formatNone
}

// formatOf is the declared format, and whether the charset is UTF-8 or unknown
// rather than another one in which ASCII is ASCII.
func formatOf(contentType string) (f format, utf8 bool) {
	mime, params, _ := strings.Cut(contentType, ";")
	mime = strings.ToLower(strings.TrimSpace(mime))
	switch mime {
	case "text/html":
		f = formatHTML
	case "text/css":
		f = formatCSS
	case "application/json", "text/json":
		f = formatJSON
	case "text/plain":
		f = formatText
	case "application/xml", "text/xml":
		f = formatXML
	case "application/xhtml+xml", "image/svg+xml":
		f = formatXHTML
	case "application/manifest+json":
		f = formatManifest
	case "application/dash+xml":
		f = formatDASH
	case "application/vnd.apple.mpegurl", "application/x-mpegurl", "audio/mpegurl", "audio/x-mpegurl":
		f = formatHLS
	default:
		switch {
		case strings.HasSuffix(mime, "+json"):
			f = formatJSON
		case strings.HasSuffix(mime, "+xml"):
			f = formatXML
		default:
			return formatNone, false
		}
	}
	switch charsetOf(params) {
	case charsetUTF8:
		return f, true
	case charsetASCII:
		return f, false
	}
	return formatNone, false
}

type charsetClass uint8

const (
	charsetUTF8  charsetClass = iota // or none given
	charsetASCII                     // another one in which an ASCII byte is always that character
	charsetOther                     // any other
)

// charsetOf classifies the charset parameter. Of the encodings that browsers
// know, Shift_JIS, GBK, gb18030 and Big5 use ASCII bytes, the backslash among
// them, within characters, ISO-2022-JP and UTF-16 have ASCII bytes that mean
// something else.
func charsetOf(params string) charsetClass {
	for p := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(p, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "charset") {
			continue
		}
		cs := strings.Trim(strings.TrimSpace(value), `"'`)
		if cs == "" || strings.EqualFold(cs, "utf-8") || strings.EqualFold(cs, "utf8") {
			return charsetUTF8
		}
		cs = strings.ToLower(cs)
		switch cs {
		case "us-ascii", "ascii", "latin1", "macintosh", "euc-jp", "euc-kr", "tis-620":
			return charsetASCII
		}
		for _, family := range [...]string{"iso-8859-", "windows-125", "windows-874", "koi8-", "cp125", "ibm866"} {
			if strings.HasPrefix(cs, family) {
				return charsetASCII
			}
		}
		return charsetOther
	}
	return charsetUTF8
}

// sniffLength is how far the start of a body is looked at.
const sniffLength = 512

// sniff decides what a body declared as f is by its first bytes; apps send
// JSON as text/html and text/plain. It returns formatPending if it needs more.
func sniff(head []byte, f format, final bool) format {
	if f = sniffStart(head, f, final); f == formatText {
		return formatNone
	}
	return f
}

func sniffStart(head []byte, f format, final bool) format {
	for _, bom := range [...]string{"\xfe\xff", "\xff\xfe"} {
		if m := matchText(head, bom); m == fullMatch {
			return formatNone
		}
	}
	if len(head) == 0 || !final && matchText(head, "\xef\xbb\xbf") == partMatch {
		return formatPending
	}
	if !final && len(head) == 1 && head[0] >= 0xfe {
		return formatPending
	}
	switch f {
	case formatCSS, formatManifest, formatDASH, formatHLS:
		return f
	}
	head = bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	start := skipSpace(head, 0)
	switch {
	case start > sniffLength:
		return f
	case start == len(head) && final:
		return f
	case start == len(head):
		return formatPending
	}
	text := head[start:]
	switch c := text[0]; {
	case c == '{', c == '[':
		return sniffJSON(text, f, final)
	case c == '<':
		return sniffMarkup(text, f, final)
	case startsSerialized(c):
		return sniffSerialized(text, f, final)
	}
	return f
}

// sniffSerialized tells PHP's serialize format, in which each string tells its length.
func sniffSerialized(text []byte, f format, final bool) format {
	i := 1
	if i < len(text) && text[i] == ':' {
		for i++; i < len(text) && text[i]-'0' < 10 && i < longestSerializedHead; i++ {
		}
		if i > len("a:") && i < len(text) && text[i] == ':' {
			if i++; i < len(text) && (text[i] == '{' || text[i] == '"') {
				return formatNone
			}
		}
	}
	if i == len(text) && !final {
		return formatPending
	}
	return f
}

// longestSerializedHead is more than what stands before the brace or the quote.
const longestSerializedHead = 16

// sniffJSON tells JSON from text that begins with a bracket.
func sniffJSON(text []byte, f format, final bool) format {
	if f == formatJSON {
		return f
	}
	i := skipSpace(text, 1)
	if i > sniffLength || i == len(text) && final {
		return f
	}
	if i == len(text) {
		return formatPending
	}
	switch c := text[i]; {
	case c == '"', c == '}' && text[0] == '{', text[0] == '[' && (c == '{' || c == '[' || c == ']'):
		return formatJSON
	}
	return f
}

// sniffMarkup tells XML sent as HTML, and markup sent as JSON.
func sniffMarkup(text []byte, f format, final bool) format {
	switch m := matchText(text, "<?xml"); {
	case len(text) == 1 && !final, m == partMatch && !final:
		return formatPending
	case m == fullMatch && (f == formatHTML || f == formatXML):
		return sniffRoot(text, f, final)
	case f == formatJSON && text[1%len(text)] == '!' || f == formatJSON && len(text) > 1 && is(text[1], isAlpha):
		return formatHTML
	}
	return f
}

// feedRoots are the root elements of what is XML even if sent as HTML.
var feedRoots = []string{"rss", "feed", "rdf:rdf", "urlset", "sitemapindex", "oembed"}

// sniffRoot tells a document with an XML declaration by its root element.
func sniffRoot(text []byte, f format, final bool) format {
	head := text[:min(len(text), sniffLength)]
	i := 0
	for i+1 < len(head) && !(head[i] == '<' && is(head[i+1], isAlpha)) {
		i++
	}
	more := !final && len(text) < sniffLength
	if i+1 >= len(head) {
		if more {
			return formatPending
		}
		return f
	}
	names := feedRoots
	if f == formatXML {
		names = []string{"html", "svg"}
	}
	for _, name := range names {
		switch m := matchName(head[i+1:], name); {
		case m == partMatch && more:
			return formatPending
		case m != fullMatch:
		case f == formatXML:
			return formatXHTML
		default:
			return formatXML
		}
	}
	return f
}
