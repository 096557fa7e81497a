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

// ampersand is what a further parameter begins with, in the spellings of request
// bodies.
const ampersand = `(?:&(?:amp;|#0*38;)?|%26(?:amp%3b|%230*38%3b)?|%2526(?:amp%253b)?|\\u0026(?:amp;|#0*38;)?)`

// versionInBody is a version, after a query or as one, in the same spellings.
var versionInBody = regexp.MustCompile(`(?i)(?:(\?|%3f|%253f|\\u003f)|` + ampersand + `)v(?:=|%3d|%253d|\\u003d)` + versionMark + `[0-9a-f]{10}`)

// furtherParameter follows a version that stays if it is the first one: without
// it the parameter would become a part of the path.
var furtherParameter = regexp.MustCompile(`(?i)^` + ampersand)

// withoutVersions returns body without the versions in it, so that the app's
// database does not keep them.
func withoutVersions(body []byte) []byte {
	if !bytes.Contains(body, []byte(versionMark)) {
		return body
	}
	var out []byte
	done := 0
	for _, at := range versionInBody.FindAllSubmatchIndex(body, -1) {
		if first := at[2] >= 0; first && furtherParameter.Match(body[at[1]:]) {
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
