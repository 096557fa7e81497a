package media

import (
	"bytes"
	"strings"
)

// patterns is a list of patterns, sorted by form, so that a path is compared
// only with those that may fit.
type patterns struct {
	names map[string]bool      // one name at any depth; true: also as a file
	exts  map[string]bool      // "*.ext" at any depth, by "ext"; true: also as a file
	globs []nameGlob           // another glob of one name at any depth
	first map[string][]pattern // tied to the top, by their first part
	rest  []pattern

	texts []string // as they were given
}

// nameGlob is a pattern of one part with wildcards, at any depth.
type nameGlob struct {
	glob    glob
	dirOnly bool
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
	ps.texts = list
	return ps, nil
}

// which returns the first pattern that fits the path, as it was given, or "".
func (ps *patterns) which(path []byte) string {
	for _, text := range ps.texts {
		if p, err := parsePattern(text); err == nil && p.match(path) {
			return text
		}
	}
	return ""
}

func (ps *patterns) add(p pattern) {
	head := p.segments[0]
	switch {
	case head.isAnyDepth() && len(p.segments) == 2:
		ps.addName(p.segments[1], p.dirOnly)
	case head.wild:
		ps.rest = append(ps.rest, p)
	default:
		if ps.first == nil {
			ps.first = make(map[string][]pattern)
		}
		ps.first[head.text] = append(ps.first[head.text], p)
	}
}

// addName adds a pattern of one part at any depth.
func (ps *patterns) addName(g glob, dirOnly bool) {
	ext, isExt := strings.CutPrefix(g.text, "*.")
	switch {
	case !g.wild:
		addTo(&ps.names, g.text, dirOnly)
	case isExt && !strings.ContainsAny(ext, "*?."):
		addTo(&ps.exts, ext, dirOnly)
	default:
		ps.globs = append(ps.globs, nameGlob{g, dirOnly})
	}
}

func addTo(names *map[string]bool, name string, dirOnly bool) {
	if *names == nil {
		*names = make(map[string]bool)
	}
	(*names)[name] = (*names)[name] || !dirOnly
}

// empty reports whether there is no pattern at all.
func (ps *patterns) empty() bool {
	return len(ps.names)+len(ps.exts)+len(ps.globs)+len(ps.first)+len(ps.rest) == 0
}

// match reports whether one of the patterns fits the path, which is in lower
// case, or a directory it lies in.
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

// matchNames tries the patterns of one part on each part of the path.
func (ps *patterns) matchNames(path []byte) bool {
	if len(ps.names)+len(ps.exts)+len(ps.globs) == 0 {
		return false
	}
	for path != nil {
		var segment []byte
		segment, path = cutSegment(path)
		isDir := path != nil
		if asFile, ok := ps.names[string(segment)]; ok && (asFile || isDir) {
			return true
		}
		if i := bytes.LastIndexByte(segment, '.'); i >= 0 {
			if asFile, ok := ps.exts[string(segment[i+1:])]; ok && (asFile || isDir) {
				return true
			}
		}
		for i := range ps.globs {
			if g := &ps.globs[i]; (isDir || !g.dirOnly) && g.glob.match(segment) {
				return true
			}
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
