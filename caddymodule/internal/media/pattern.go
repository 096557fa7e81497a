package media

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"unicode/utf8"
)

// Patterns name files and directories as .gitignore does (gitignore(5)), in
// a subset:
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
type pattern struct {
	segments []string // in lower case; "**" stands for any number of segments
	dirOnly  bool
	text     string
}

const (
	// maxPattern is the longest pattern in bytes.
	maxPattern = 1024
	// maxSegments is how many parts fit into the set of states of match.
	maxSegments = 63
)

// CheckPattern returns nil if text is a pattern, else an error that says what
// is wrong with it.
func CheckPattern(text string) error {
	_, err := parsePattern(text)
	return err
}

func parsePattern(text string) (pattern, error) {
	if err := checkPatternText(text); err != nil {
		return pattern{}, fmt.Errorf("the pattern %q %w", text, err)
	}
	p := pattern{text: text}
	body, dir := strings.CutSuffix(text, "/")
	p.dirOnly = dir
	anchored := strings.Contains(body, "/")
	body = strings.TrimPrefix(body, "/")
	if !anchored {
		p.segments = append(p.segments, "**")
	}
	for segment := range strings.SplitSeq(string(appendLower(nil, body)), "/") {
		switch {
		case segment == "", segment == ".", segment == "..":
			return pattern{}, fmt.Errorf("the pattern %q has an empty, . or .. part: no file has such a path", text)
		case segment != "**":
			segment = squeezeStars(segment)
		case len(p.segments) > 0 && p.segments[len(p.segments)-1] == "**":
			continue
		}
		p.segments = append(p.segments, segment)
	}
	if last := len(p.segments) - 1; p.segments[last] == "**" {
		p.segments[last] = "*"
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

// squeezeStars makes one star of several in a row.
func squeezeStars(segment string) string {
	for strings.Contains(segment, "**") {
		segment = strings.ReplaceAll(segment, "**", "*")
	}
	return segment
}

// match reports whether the pattern fits a path in lower case or one of the
// directories it lies in. It steps through the path once with the set of all
// places in the pattern that the part read so far may have reached.
func (p *pattern) match(path []byte) bool {
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

// step returns the places reached from states by reading segment.
func (p *pattern) step(states uint64, segment []byte) uint64 {
	var next uint64
	for rest := states &^ (1 << len(p.segments)); rest != 0; rest &= rest - 1 {
		i := bits.TrailingZeros64(rest)
		if p.segments[i] == "**" {
			next |= 1 << i
		} else if globMatch(p.segments[i], segment) {
			next |= 1 << (i + 1)
		}
	}
	return p.skipStars(next)
}

// skipStars adds the places that follow a "**", which may stand for nothing.
func (p *pattern) skipStars(states uint64) uint64 {
	for rest := states &^ (1 << len(p.segments)); rest != 0; rest &= rest - 1 {
		if i := bits.TrailingZeros64(rest); p.segments[i] == "**" {
			states |= 1 << (i + 1)
		}
	}
	return states
}

// globMatch reports whether a part of a pattern with * and ? fits a name. Only
// the last star seen is ever tried again: an earlier one cannot help.
func globMatch(glob string, name []byte) bool {
	g, n, star, retry := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case g < len(glob) && glob[g] == '*':
			star, retry = g, n
			g++
		case g < len(glob) && glob[g] == '?':
			_, size := utf8.DecodeRune(name[n:])
			g, n = g+1, n+size
		case g < len(glob) && glob[g] == name[n]:
			g, n = g+1, n+1
		case star >= 0:
			retry++
			g, n = star+1, retry
		default:
			return false
		}
	}
	for g < len(glob) && glob[g] == '*' {
		g++
	}
	return g == len(glob)
}

// patterns is a list of patterns, indexed so that a path is compared only with
// those that may fit.
type patterns struct {
	names map[string]bool      // one name at any depth; true: also as a file
	exts  map[string]bool      // "*.ext" by "ext"; true: also as a file
	first map[string][]pattern // tied to the top, by their first part
	rest  []pattern
}

func compilePatterns(list []string) (patterns, error) {
	var ps patterns
	for _, text := range list {
		p, err := parsePattern(text)
		if err != nil {
			return patterns{}, err
		}
		ps.add(p)
	}
	return ps, nil
}

func (ps *patterns) add(p pattern) {
	head := p.segments[0]
	if head == "**" && len(p.segments) == 2 {
		name := p.segments[1]
		if !strings.ContainsAny(name, "*?") {
			addName(&ps.names, name, p.dirOnly)
			return
		}
		if ext, ok := strings.CutPrefix(name, "*."); ok && !strings.ContainsAny(ext, "*?.") {
			addName(&ps.exts, ext, p.dirOnly)
			return
		}
	}
	if strings.ContainsAny(head, "*?") {
		ps.rest = append(ps.rest, p)
		return
	}
	if ps.first == nil {
		ps.first = make(map[string][]pattern)
	}
	ps.first[head] = append(ps.first[head], p)
}

func addName(names *map[string]bool, name string, dirOnly bool) {
	if *names == nil {
		*names = make(map[string]bool)
	}
	(*names)[name] = (*names)[name] || !dirOnly
}

// empty reports whether there is no pattern at all.
func (ps *patterns) empty() bool {
	return len(ps.names)+len(ps.exts)+len(ps.first)+len(ps.rest) == 0
}

// match reports whether one of the patterns fits the path, which is in lower
// case.
func (ps *patterns) match(path []byte) bool {
	if ps.matchNames(path) {
		return true
	}
	if len(ps.first) > 0 {
		head, _ := cutSegment(path)
		if anyMatch(ps.first[string(head)], path) {
			return true
		}
	}
	return anyMatch(ps.rest, path)
}

func (ps *patterns) matchNames(path []byte) bool {
	if len(ps.names)+len(ps.exts) == 0 {
		return false
	}
	for path != nil {
		var segment []byte
		segment, path = cutSegment(path)
		if asFile, ok := ps.names[string(segment)]; ok && (asFile || path != nil) {
			return true
		}
		i := bytes.LastIndexByte(segment, '.')
		if i < 0 {
			continue
		}
		if asFile, ok := ps.exts[string(segment[i+1:])]; ok && (asFile || path != nil) {
			return true
		}
	}
	return false
}

func anyMatch(list []pattern, path []byte) bool {
	for i := range list {
		if list[i].match(path) {
			return true
		}
	}
	return false
}
