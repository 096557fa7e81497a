package media

import (
	"path"
	"regexp"
	"strings"
)

// namePattern is the pattern of a Files or FilesMatch section. Apache matches it
// with a file's name, without the directories.
type namePattern struct {
	all  bool           // it fits every name, by a usual way to say so
	name string         // it fits this one
	glob string         // fnmatch(3)'s pattern
	re   *regexp.Regexp // of the bytes as runes: Apache's expressions know no UTF-8
	// exact: nothing is left out of the pattern. Otherwise a name that it fits
	// need not fit the pattern that the file has.
	exact bool
	none  bool // nothing can be computed
}

// newNamePattern reads the arguments of a section.
func newNamePattern(section string, args []string) namePattern {
	switch {
	case section == "filesmatch" && len(args) == 1:
		return newNameExpression(args[0])
	case section == "files" && len(args) == 2 && args[0] == "~":
		return newNameExpression(args[1])
	case section != "files" || len(args) != 1:
		return namePattern{none: true}
	case args[0] == "*":
		return namePattern{all: true, exact: true}
	case !strings.ContainsAny(args[0], `*?[\`):
		return namePattern{name: args[0], exact: true}
	}
	glob := strings.ReplaceAll(latin1(args[0]), "[!", "[^")
	if _, err := path.Match(glob, ""); err != nil {
		return namePattern{none: true}
	}
	return namePattern{glob: glob, exact: true}
}

func newNameExpression(expr string) namePattern {
	if fitsAll(expr) {
		return namePattern{all: true, exact: true}
	}
	if re, err := regexp.Compile(latin1(expr)); err == nil {
		return namePattern{re: re, exact: true}
	}
	if re, err := regexp.Compile(latin1(withoutLookaround(expr))); err == nil {
		return namePattern{re: re}
	}
	return namePattern{none: true}
}

// match reports whether the pattern fits a name.
func (p *namePattern) match(name string) decision {
	var fits bool
	switch {
	case p.all:
		return yes
	case p.none:
		return maybe
	case p.re != nil:
		fits = p.re.MatchString(latin1(name))
	case p.glob != "":
		fits, _ = path.Match(p.glob, latin1(name))
	default:
		fits = name == p.name
	}
	switch {
	case !fits:
		return no
	case !p.exact:
		return maybe
	}
	return yes
}

// latin1 makes a rune of each byte.
func latin1(s string) string {
	if isASCII(s) {
		return s
	}
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

// withoutLookaround takes out of an expression what only narrows it and RE2 does
// not have: what is to come before or after a place, or not to. What the rest does
// not fit, the whole does not either. It also loosens groups that keep what they
// took ("(?>"), and "possessive" repetitions.
func withoutLookaround(expr string) string {
	var b strings.Builder
	for i := 0; i < len(expr); {
		rest := expr[i:]
		switch {
		case rest[0] == '\\' && len(rest) > 1:
			b.WriteString(rest[:2])
			i += 2
		case rest[0] == '[':
			n := classLength(rest)
			b.WriteString(rest[:n])
			i += n
		case hasAnyPrefix(rest, "(?=", "(?!", "(?<=", "(?<!"):
			i += groupLength(rest)
		case strings.HasPrefix(rest, "(?>"):
			b.WriteString("(?:")
			i += 3
		case hasAnyPrefix(rest, "++", "*+", "?+", "}+"):
			b.WriteByte(rest[0])
			i += 2
		default:
			b.WriteByte(rest[0])
			i++
		}
	}
	return b.String()
}

func hasAnyPrefix(s string, prefixes ...string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

// classLength is the length of the character class that expr begins with.
func classLength(expr string) int {
	i := 1
	if i < len(expr) && expr[i] == '^' {
		i++
	}
	if i < len(expr) && expr[i] == ']' {
		i++
	}
	for i < len(expr) && expr[i] != ']' {
		if n := strings.Index(expr[i:], ":]"); strings.HasPrefix(expr[i:], "[:") && n > 0 {
			i += n + 2
			continue
		}
		if expr[i] == '\\' {
			i++
		}
		i++
	}
	return min(i+1, len(expr))
}

// groupLength is the length of the group that expr begins with.
func groupLength(expr string) int {
	depth := 0
	for i := 0; i < len(expr); {
		switch expr[i] {
		case '\\':
			i += 2
			continue
		case '[':
			i += classLength(expr[i:])
			continue
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return len(expr)
}
