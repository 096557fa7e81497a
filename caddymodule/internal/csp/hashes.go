package csp

import (
	"net/http"
	"strings"
)

// What decides about inline text, in elements and in attributes (sections 6.8.2 and
// 6.8.3).
var (
	inlineStyles = [...][]string{
		{"style-src-elem", "style-src", "default-src"},
		{"style-src-attr", "style-src", "default-src"},
	}
	inlineScripts = [...][]string{
		{"script-src-elem", "script-src", "default-src"},
		{"script-src-attr", "script-src", "default-src"},
	}
)

// HashedHeader reports whether one of the policies in an answer's header, also of
// those that only report, names inline styles or scripts by their hashes.
func HashedHeader(hdr http.Header) (styles, scripts bool) {
	for _, name := range fields {
		for _, value := range hdr[name] {
			for policy := range strings.SplitSeq(value, ",") {
				ofStyles, ofScripts := Hashed(policy)
				styles, scripts = styles || ofStyles, scripts || ofScripts
			}
		}
	}
	return styles, scripts
}

// Hashed reports whether a policy names inline styles or scripts by their hashes: such
// text is applied or run only if it is what it was.
func Hashed(policy string) (styles, scripts bool) {
	directives, byName := parse(policy)
	hashed := func(kind []string) bool {
		name, i := governing(kind, byName)
		return name != "" && hasHash(directives[i])
	}
	return hashed(inlineStyles[0]) || hashed(inlineStyles[1]), hashed(inlineScripts[0]) || hashed(inlineScripts[1])
}

// hasHash reports whether there is a hash among the sources of a directive.
func hasHash(directive string) bool {
	_, sources := words(directive)
	for _, source := range sources {
		if isHash(source) {
			return true
		}
	}
	return false
}

// isHash reports whether a source is a hash (section 2.3.1). Its digits are not looked
// at: in doubt it is one.
func isHash(source string) bool {
	if len(source) < len("'sha256-'") || source[len(source)-1] != '\'' {
		return false
	}
	switch strings.ToLower(source[:len("'sha256-")]) {
	case "'sha256-", "'sha384-", "'sha512-":
		return true
	}
	return false
}
