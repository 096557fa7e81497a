package media

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"
)

// pattern names files and directories; CheckPattern tells its syntax.
type pattern struct {
	segments []glob
	dirOnly  bool
}

// anyDepth is the part of a pattern that stands for any number of directories.
var anyDepth = glob{text: "**", wild: true}

const (
	// maxPattern is the longest pattern in bytes.
	maxPattern = 1024
	// maxSegments is how many parts fit into the set of states of match.
	maxSegments = 63
)

// CheckPattern returns nil if text is a pattern, else an error that says what
// is wrong with it. Patterns name files and directories as .gitignore does
// (gitignore(5)), in a subset:
//
//	*.log       every file or directory whose name ends so, at any depth
//	cache/      every directory of that name, at any depth, with all below it
//	/a/b        only what lies at exactly that path, with all below it
//	a/b         the same: a slash that is not the last ties a pattern to the top
//	a/*/c       * stands for any characters, ? for one, neither for a slash
//	**/a/b      ** as a part stands for any number of directories, also none
//	a/**        all below a
//
// ASCII letters match in either case: a file name's case must not get around a
// protection. Negation (!), classes ([a-z]), alternatives ({a,b}) and escapes
// (\) do not exist. Time is bounded by the pattern's length times the path's.
func CheckPattern(text string) error {
	_, err := parsePattern(text)
	return err
}

func parsePattern(text string) (pattern, error) {
	if err := checkPatternText(text); err != nil {
		return pattern{}, fmt.Errorf("the pattern %q %w", text, err)
	}
	if strings.Contains(text, "://") {
		return pattern{}, fmt.Errorf("the pattern %q is a URL: write the path alone, as /x", text)
	}
	var p pattern
	body, dir := strings.CutSuffix(text, "/")
	p.dirOnly = dir
	anchored := strings.Contains(body, "/")
	body = strings.TrimPrefix(body, "/")
	if !anchored {
		p.segments = append(p.segments, anyDepth)
	}
	for segment := range strings.SplitSeq(string(appendLower(nil, body)), "/") {
		switch {
		case segment == "", segment == ".", segment == "..":
			return pattern{}, fmt.Errorf("the pattern %q has an empty, . or .. part: no file has such a path", text)
		case segment != "**":
			p.segments = append(p.segments, newGlob(segment))
		case len(p.segments) == 0 || !p.segments[len(p.segments)-1].isAnyDepth():
			p.segments = append(p.segments, anyDepth)
		}
	}
	if last := len(p.segments) - 1; p.segments[last].isAnyDepth() {
		p.segments[last] = newGlob("*")
	}
	if len(p.segments) > maxSegments {
		return pattern{}, fmt.Errorf("the pattern %q has more than %d parts", text, maxSegments)
	}
	return p, nil
}

func checkPatternText(text string) error {
	switch {
	case text == "" || text == "/":
		return errors.New("is empty: name a file (*.log), a directory (cache/) or a path (/exact/path)")
	case len(text) > maxPattern:
		return fmt.Errorf("is longer than %d bytes", maxPattern)
	case text[0] == '!':
		return errors.New("begins with !, which has no meaning: use the list of the other class")
	case strings.ContainsAny(text, "[]"):
		return errors.New("has a character class, which is not supported: use ? or *")
	case strings.ContainsAny(text, "{}"):
		return errors.New("has alternatives in braces, which are not supported: write one pattern for each")
	case strings.Contains(text, `\`):
		return errors.New("has a backslash: separate directories by /, nothing needs an escape")
	}
	return nil
}

// match reports whether the pattern fits a path in lower case or one of the
// directories it lies in. It steps through the path once with the set of all
// places in the pattern that the part read so far may have reached.
func (p *pattern) match(path []byte) bool {
	if first := &p.segments[0]; !first.wild && !beginsWith(path, first.text) {
		return false // mostly
	}
	all := uint64(1) << len(p.segments)
	states := p.skipStars(1)
	for path != nil && states != 0 {
		var segment []byte
		segment, path = cutSegment(path)
		states = p.step(states, segment)
		if states&all != 0 && (path != nil || !p.dirOnly) {
			return true
		}
	}
	return false
}

// beginsWith reports whether name is the first part of a path.
func beginsWith(path []byte, name string) bool {
	return len(path) >= len(name) && string(path[:len(name)]) == name && (len(path) == len(name) || path[len(name)] == '/')
}

// step returns the places reached from states by reading segment.
func (p *pattern) step(states uint64, segment []byte) uint64 {
	var next uint64
	for rest := states &^ (1 << len(p.segments)); rest != 0; rest &= rest - 1 {
		i := bits.TrailingZeros64(rest)
		if p.segments[i].isAnyDepth() {
			next |= 1 << i
		} else if p.segments[i].match(segment) {
			next |= 1 << (i + 1)
		}
	}
	return p.skipStars(next)
}

// skipStars adds the places that follow a "**", which may stand for nothing.
func (p *pattern) skipStars(states uint64) uint64 {
	for rest := states &^ (1 << len(p.segments)); rest != 0; rest &= rest - 1 {
		if i := bits.TrailingZeros64(rest); p.segments[i].isAnyDepth() {
			states |= 1 << (i + 1)
		}
	}
	return states
}
