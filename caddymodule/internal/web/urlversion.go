package web

import (
	"strings"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// A public URL may carry a version, as ?v=mo0123456789: an app may overwrite a
// file under its name (Joomla's image editor does), and a cache that has been
// told to keep it would show the old one.

// versionMark begins a version, so that one is never taken for another's ?v=.
const versionMark = "mo"

// versionDigits is the number of hexadecimal digits of a version: with 40 bits
// an old one and a new one never meet in practice.
const versionDigits = 10

// versionParameter is what a query has of a version, for rewrite.ReverseConfig.
var versionParameter = "v=" + versionMark + strings.Repeat("#", versionDigits)

// hasVersion reports whether public URLs of a file carry one. Those of fonts do not: sheets
// in the bucket name most of them, without, and one that is preloaded by another URL is
// fetched twice.
func hasVersion(key []byte) bool {
	end := key[max(0, len(key)-longestEnding):] // so short a string is no allocation
	return !media.IsFont(media.ContentType(string(end), nil))
}

// longestEnding is more than a font's name has behind its last dot.
const longestEnding = 16

// appendVersion appends the version that an object with this ETag has. In a page
// it comes behind a query that is there.
func appendVersion(dst []byte, etag string) []byte {
	if etag == "" {
		return dst
	}
	// FNV-1a; see http://www.isthe.com/chongo/tech/comp/fnv/.
	hash := uint64(14695981039346656037)
	for i := range len(etag) {
		hash = (hash ^ uint64(etag[i])) * 1099511628211
	}
	dst = append(append(dst, "?v="...), versionMark...)
	for range versionDigits {
		dst = append(dst, "0123456789abcdef"[hash>>60])
		hash <<= 4
	}
	return dst
}
