package media

import (
	"bytes"
	"strings"
)

// Htaccess is what an .htaccess file says of who may read the files beside and
// below it, as Apache 2.2 and 2.4 would take it: the app does not say for which of
// them it was written, nor which of their modules are loaded. The means that apps
// and plugins use are understood:
//
//   - Order, Allow, Deny (mod_access_compat), Require and its sections
//     (mod_authz_core), for a visitor of whom nothing is known: he has no password
//     and none of the addresses that are named.
//   - Files and FilesMatch, whose patterns decide for each name.
//   - IfModule, IfVersion, IfDefine and the like: where the server decides, all it
//     may decide is tried. Limit and LimitExcept, as they concern GET.
//   - RewriteRule with the flag F, or RedirectMatch 403 or 404, for every path.
//
// What cannot be decided (a variable of the environment, an expression, a pattern
// that this program cannot compute) closes what it may close: see Undecided.
type Htaccess struct {
	// rules are, by server, what the file comes to; several, if that depends on
	// what the server has.
	rules [servers][]accessRules
	// closed: all is closed, or nothing can be said.
	closed bool
	// plain: it says nothing of who may read.
	plain    bool
	problems []Problem
}

// Problem is a line that could not be decided.
type Problem struct {
	Line int // from 1
	Text string
}

// ClosedHtaccess is one that cannot be read: nobody may read what it governs.
func ClosedHtaccess() *Htaccess { return &Htaccess{closed: true} }

// ParseHtaccess reads an .htaccess file. It never fails: what is no directive of
// those above is left out.
func ParseHtaccess(text []byte) *Htaccess {
	text = bytes.TrimPrefix(text, []byte("\uFEFF")) // a byte order mark
	t := parseTree(text)
	h := &Htaccess{closed: t.forbids, problems: t.problems}
	if len(t.problems) > 0 {
		h.closed = true
	}
	h.resolve(t.top)
	return h
}

// Undecided returns the lines that could not be decided.
func (h *Htaccess) Undecided() []Problem { return h.problems }

// Plain reports whether the file says nothing of who may read.
func (h *Htaccess) Plain() bool { return h.plain && !h.closed }

// anyoneMayRead reports whether anyone may read the file with a name, that lies
// below the directories of all these .htaccess files, the outermost first. Apache
// goes through the directories first, and each that says something takes the
// place of what was said above it; then through all sections for files, whose
// word is the last.
func anyoneMayRead(chain []*Htaccess, name string) bool {
	for _, h := range chain {
		if h.closed {
			return false
		}
	}
	for server := range servers {
		choices := 1
		for _, h := range chain {
			if choices *= len(h.rules[server]); choices > maxChoices {
				return false
			}
		}
		for choice := range choices {
			if !openToAnyone(chain, server, choice, name) {
				return false
			}
		}
	}
	return true
}

// maxChoices bounds what is tried of what a server may have, for all directories on
// the way.
const maxChoices = 256

// openToAnyone is anyoneMayRead for one server. choice tells which of each file's
// rules hold there.
func openToAnyone(chain []*Htaccess, server, choice int, name string) bool {
	a, left := openAccess, choice
	for _, h := range chain {
		rules := h.rules[server]
		a = a.after(rules[left%len(rules)].dir, certain)
		left /= len(rules)
	}
	left = choice
	for _, h := range chain {
		rules := h.rules[server]
		a = rules[left%len(rules)].inSections(a, name)
		left /= len(rules)
	}
	return a == openAccess
}

// htaccessNode is a directive or a section.
type htaccessNode struct {
	line     int
	text     string
	name     string // in lower case
	args     []string
	children []*htaccessNode // of a section
	section  bool
}

// htaccessTree is a file's text, read but not understood.
type htaccessTree struct {
	top      *htaccessNode
	open     []*htaccessNode
	forbids  bool // by rewriting, for every path
	problems []Problem

	conditional bool // a RewriteCond waits for its rule
}

// maxSections is how deep an .htaccess may nest its sections; Apache itself
// has no use for more than a few.
const maxSections = 32

func parseTree(text []byte) *htaccessTree {
	top := &htaccessNode{section: true}
	t := &htaccessTree{top: top, open: []*htaccessNode{top}}
	for number, line := range htaccessLines(text) {
		t.add(number, line)
	}
	return t
}

func (t *htaccessTree) add(number int, line string) {
	inner := t.open[len(t.open)-1]
	if body, ok := strings.CutPrefix(line, "</"); ok {
		name, _, _ := strings.Cut(body, ">")
		if len(t.open) > 1 && inner.name == strings.ToLower(strings.TrimSpace(name)) {
			t.open = t.open[:len(t.open)-1]
		}
		return
	}
	text, section := strings.CutPrefix(line, "<")
	if section {
		text = strings.TrimSuffix(text, ">")
	}
	words := htaccessWords(text)
	if len(words) == 0 {
		return
	}
	n := &htaccessNode{line: number, text: line, name: strings.ToLower(words[0]), args: words[1:], section: section}
	if !section {
		t.rewrites(n)
	}
	inner.children = append(inner.children, n)
	if !section {
		return
	}
	if len(t.open) > maxSections {
		t.problem(n)
		return
	}
	t.open = append(t.open, n)
}

// problem notes a line that cannot be decided.
func (t *htaccessTree) problem(n *htaccessNode) {
	const most = 10
	if len(t.problems) < most {
		t.problems = append(t.problems, Problem{n.line, n.text})
	}
}

// rewrites notes a directive that keeps everyone from every path, unless it is in
// a section for some files or some requests.
func (t *htaccessTree) rewrites(n *htaccessNode) {
	for _, s := range t.open[1:] {
		if !concernsAll(s.name, s.args) {
			return
		}
	}
	switch n.name {
	case "rewritecond":
		t.conditional = true
	case "rewriterule":
		t.forbids = t.forbids || !t.conditional && forbidsAll(n.args)
		t.conditional = false
	case "redirectmatch":
		t.forbids = t.forbids || len(n.args) == 2 && (n.args[0] == "403" || n.args[0] == "404") && fitsAll(n.args[1])
	}
}

// concernsAll reports whether what is in a section applies to all files, on
// some server at least.
func concernsAll(name string, args []string) bool {
	switch name {
	case "ifmodule", "ifversion", "ifdefine", "ifdirective", "iffile", "ifsection":
		return true
	case "limit":
		return hasGet(args)
	case "files", "filesmatch":
		p := newNamePattern(name, args)
		return p.all
	default:
		return false
	}
}

// htaccessLines yields the lines of a configuration file as Apache reads them, with
// their numbers: joined where one ends in a backslash, without comments and outer
// space.
func htaccessLines(text []byte) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		var joined []byte
		first := 1
		for number := 1; len(text) > 0; number++ {
			if len(joined) == 0 {
				first = number
			}
			var line []byte
			line, text, _ = bytes.Cut(text, []byte{'\n'})
			line = bytes.TrimSuffix(line, []byte{'\r'})
			if part, more := bytes.CutSuffix(line, []byte{'\\'}); more && len(text) > 0 {
				joined = append(joined, part...)
				continue
			}
			joined = append(joined, line...)
			s := strings.TrimSpace(string(joined))
			joined = joined[:0]
			if s != "" && s[0] != '#' && !yield(first, s) {
				return
			}
		}
	}
}

// forbidsAll reports whether a RewriteRule answers every path with 403.
func forbidsAll(args []string) bool {
	if len(args) != 3 || args[1] != "-" || !fitsAll(args[0]) {
		return false
	}
	flags := strings.Trim(args[2], "[]")
	for flag := range strings.SplitSeq(flags, ",") {
		flag = strings.TrimSpace(flag)
		if strings.EqualFold(flag, "F") || strings.EqualFold(flag, "forbidden") || strings.EqualFold(flag, "R=404") {
			return true
		}
	}
	return false
}

// fitsAll reports whether a regular expression is one of the usual ways to say
// "everything".
func fitsAll(expr string) bool {
	expr = withoutAnchors(expr)
	if inner, ok := strings.CutPrefix(expr, "("); ok && strings.HasSuffix(inner, ")") {
		expr = withoutAnchors(inner[:len(inner)-1])
	}
	switch expr {
	case "", ".", ".*", ".+", `.*\..*`, "/", "/.*":
		return true
	}
	return false
}

func withoutAnchors(expr string) string {
	return strings.TrimSuffix(strings.TrimPrefix(expr, "^"), "$")
}

// htaccessWords splits a line at spaces, with quotes taken off.
func htaccessWords(line string) []string {
	var words []string
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return words
		}
		end, next := strings.IndexAny(line, " \t"), 0
		if quote := line[0]; quote == '"' || quote == '\'' {
			line = line[1:]
			end, next = strings.IndexByte(line, quote), 1
		}
		if end < 0 {
			end, next = len(line), 0
		}
		words = append(words, line[:end])
		line = line[end+next:]
	}
}
