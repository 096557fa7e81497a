package media

import (
	"path"
	"strings"
)

// NamingType returns the media type of a file that may name others by their URLs
// and that a browser reads: a style sheet, an SVG picture, a page, a manifest or a
// playlist. For all other files it returns "". Scripts are not among them: what
// they name is put together when they run.
func NamingType(key string) string {
	ext := key[strings.LastIndexByte(key, '.')+1:]
	if len(ext) > maxNamingExt {
		return ""
	}
	var buf [maxNamingExt]byte
	switch string(appendLower(buf[:0], ext)) {
	case "css", "svg", "htm", "html", "xht", "xhtml", "webmanifest", "m3u", "m3u8", "mpd", "js", "mjs", "cjs":
		t, _ := typeByExt(key)
		return t
	case "json":
		if strings.EqualFold(path.Base(key), "manifest.json") {
			return "application/manifest+json"
		}
	}
	return ""
}

const maxNamingExt = len("webmanifest")

// SVG is the media type of an SVG picture.
const SVG = "image/svg+xml"

// IsDocument reports whether a file of a media type is a page.
func IsDocument(contentType string) bool {
	return contentType == "text/html" || contentType == "application/xhtml+xml"
}

// IsScript reports whether a file of a media type is a script.
func IsScript(contentType string) bool { return contentType == "text/javascript" }

// IsFont reports whether a file of a media type is a web font.
func IsFont(contentType string) bool {
	return strings.HasPrefix(contentType, "font/") || contentType == "application/vnd.ms-fontobject"
}
