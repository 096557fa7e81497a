package caddymodule

import (
	"bytes"
	"regexp"
)

// A public URL may carry a version, as ?v=mo0123456789: an app may overwrite a
// file under its name (Joomla's image editor does), and a cache that has been
// told to keep it would show the old one.

// versionMark begins a version, so that one is never taken for another's ?v=.
const versionMark = "mo"

// versionDigits is the number of hexadecimal digits of a version: with 40 bits
// an old one and a new one never meet in practice.
const versionDigits = 10

// appendVersion appends the version that an object with this ETag has. A query
// of the page's own then follows it and becomes a part of it.
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

// versionInBody is a version in the spellings of request bodies.
var versionInBody = regexp.MustCompile(`(?i)(?:\?|%3f|%253f|\\u003f)v(?:=|%3d|%253d|\\u003d)` + versionMark + `[0-9a-f]{10}`)

// ampersandInBody is what a further parameter begins with, in the same
// spellings. A version before one stays: without it the parameter would become
// a part of the path.
var ampersandInBody = regexp.MustCompile(`(?i)^(?:&|%26|%2526|\\u0026)`)

// withoutVersions returns body without the versions in it, so that the app's
// database does not keep them.
func withoutVersions(body []byte) []byte {
	if !bytes.Contains(body, []byte(versionMark)) {
		return body
	}
	var out []byte
	done := 0
	for _, at := range versionInBody.FindAllIndex(body, -1) {
		if ampersandInBody.Match(body[at[1]:]) {
			continue
		}
		out = append(out, body[done:at[0]]...)
		done = at[1]
	}
	if done == 0 {
		return body
	}
	return append(out, body[done:]...)
}
