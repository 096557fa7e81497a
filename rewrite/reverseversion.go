package rewrite

import (
	"fmt"
	"regexp"
	"strings"
)

// What was added to the query of a public URL is no part of the local one.

// ampersand is what a further parameter begins with, in the spellings of request
// bodies, question what the first one begins with, and equals what follows its name.
const (
	ampersand = `(?:&(?:amp;|#0*38;)?|%26(?:amp%3b|%230*38%3b)?|%2526(?:amp%253b)?|\\u0026(?:amp;|#0*38;)?)`
	question  = `\?|%3f|%253f|\\u003f`
	equals    = `(?:=|%3d|%253d|\\u003d)`
)

// maxVersion is more than a version takes in a body, with what is around it.
const maxVersion = maxBefore

// newVersion compiles ReverseConfig.Version: the first group is what a query begins
// with, the last what the parameter after it does.
func newVersion(pattern string) (*regexp.Regexp, error) {
	name, value, ok := strings.Cut(pattern, "=")
	if !ok || name == "" || len(pattern) > maxVersion/3 || strings.ContainsFunc(name+value, isNoVersion) {
		return nil, fmt.Errorf("rewrite: version parameter %q is not of the form name=value, in letters, digits and #", pattern)
	}
	value = strings.ReplaceAll(value, "#", "[0-9a-f]")
	return regexp.MustCompile(`(?i)(?:(` + question + `)|` + ampersand + `)` + name + equals + value + `(` + ampersand + `)?`), nil
}

func isNoVersion(r rune) bool { return r != '#' && (r >= 0x80 || !is(byte(r), isWordy) || r == '-') }

// plain appends src[done:end], which stands between URLs, to dst, without the versions
// of URLs that were turned. It returns where it left off: one that begins before end
// may go on behind it.
func (s *reverser) plain(dst, src []byte, done, end int) ([]byte, int) {
	if s.r.version == nil || s.replaced == 0 {
		return append(dst, src[done:end]...), end
	}
	for done < end {
		m := s.r.version.FindSubmatchIndex(src[done:min(len(src), end+maxVersion)])
		if m == nil || done+m[0] >= end {
			break
		}
		from, to := s.versionAt(src[done:], m)
		if s.serialized.hold(src, done+m[0]) {
			from, to = m[1], m[1]
		}
		dst = append(dst, src[done:done+from]...)
		s.saved += to - from
		done += to
	}
	if done < end {
		dst, done = append(dst, src[done:end]...), end
	}
	return dst, done
}

// versionAt is what is to go of what Reverse.version found: the parameter and what it
// begins with, or for the first of several what the next one begins with. The
// parameters of a form itself stay apart.
func (s *reverser) versionAt(src []byte, m []int) (from, to int) {
	first, next := m[2] >= 0, m[4] >= 0
	if next && s.t.kind == bodyForm && src[m[4]] == '&' {
		next, m[1] = false, m[4]
	}
	switch {
	case first && next:
		return m[3], m[1]
	case next:
		return m[0], m[4]
	}
	return m[0], m[1]
}
