package media

import (
	"slices"
	"strconv"
	"strings"
)

// The servers for which an .htaccess may have been written.
const (
	apache22 = iota
	apache24
	servers
)

// decision is the set of what may be decided about any visitor.
type decision uint8

const (
	yes   decision = 1 << iota // he may read
	no                         // he may not
	maybe = yes | no
)

// access is what both of Apache's means say; each of them can keep a visitor out.
type access struct {
	compat decision // Order, Allow, Deny
	authz  decision // Require
}

// openAccess is what holds where nothing is said.
var openAccess = access{yes, yes}

// saying is what one directory or section says; 0 is nothing.
type saying struct{ compat, authz decision }

// certain and uncertain tell whether a saying applies.
type certainty bool

const certain, uncertain certainty = true, false

// after returns what holds once a saying came.
func (a access) after(s saying, c certainty) access {
	next := a
	if s.compat != 0 {
		next.compat = s.compat
	}
	if s.authz != 0 {
		next.authz = s.authz
	}
	if !c {
		return access{a.compat | next.compat, a.authz | next.authz}
	}
	return next
}

// accessRules are what a file comes to on one server.
type accessRules struct {
	dir      saying
	sections []fileSection // in their order
}

// fileSection is a Files or FilesMatch section.
type fileSection struct {
	names namePattern
	saying
}

func (r *accessRules) inSections(a access, name string) access {
	for i := range r.sections {
		switch s := &r.sections[i]; s.names.match(name) {
		case yes:
			a = a.after(s.saying, certain)
		case maybe:
			a = a.after(s.saying, uncertain)
		}
	}
	return a
}

// maxConditions bounds what a file may ask of the server; 2 to the power of it are
// the servers that are tried.
const maxConditions = 4

// resolve finds out what the tree comes to on each server.
func (h *Htaccess) resolve(top *htaccessNode) {
	if !speaksOfAccess(top) {
		h.plain = true
		for server := range servers {
			h.rules[server] = []accessRules{{}}
		}
		return
	}
	for server := range servers {
		r := resolver{server: server}
		r.gather(top)
		if len(r.conditions) > maxConditions {
			h.closed = true
			h.note(r.last)
			return
		}
		for r.truth = range 1 << len(r.conditions) {
			r.rules, r.problems = accessRules{}, nil
			r.rules.dir = r.read(top, true)
			h.rules[server] = append(h.rules[server], r.rules)
		}
		for _, n := range r.problems {
			h.note(n)
		}
	}
}

// note keeps a line that cannot be decided, once.
func (h *Htaccess) note(n *htaccessNode) {
	p := Problem{n.line, n.text}
	if !slices.Contains(h.problems, p) {
		h.problems = append(h.problems, p)
	}
}

// speaksOfAccess reports whether a directive below the node is about who may read.
func speaksOfAccess(n *htaccessNode) bool {
	switch n.name {
	case "order", "allow", "deny", "require", "authmerging":
		return true
	}
	return slices.ContainsFunc(n.children, speaksOfAccess)
}

// resolver reads a tree for one server, of which it is assumed that of the
// conditions that it may fulfil it fulfils those whose bit is set in truth.
type resolver struct {
	server     int
	conditions []string
	last       *htaccessNode
	truth      int

	rules    accessRules
	problems []*htaccessNode
}

// gather finds the conditions of which only the server knows.
func (r *resolver) gather(n *htaccessNode) {
	for _, c := range n.children {
		if !c.section || !speaksOfAccess(c) {
			continue
		}
		if condition, _, known := r.condition(c); condition != "" && !known && !slices.Contains(r.conditions, condition) {
			r.conditions, r.last = append(r.conditions, condition), c
		}
		r.gather(c)
	}
}

// condition returns what an If… section asks, if n is one that is decided when the
// server starts, and the answer, if that is known. It is not negated: negated
// tells.
func (r *resolver) condition(n *htaccessNode) (condition string, holds, known bool) {
	switch n.name {
	case "ifmodule":
		module, _ := negated(n.args)
		switch module = strings.TrimSuffix(strings.ToLower(module), ".c"); module {
		case "mod_authz_core", "authz_core_module":
			return module, r.server == apache24, true
		case "mod_authz_host", "authz_host_module":
			return module, true, true
		case "mod_access_compat", "access_compat_module":
			return module, false, r.server == apache22
		}
		return module, false, false
	case "ifversion":
		return r.version(n.args)
	case "ifdefine", "ifdirective", "iffile", "ifsection":
		what, _ := negated(n.args)
		return n.name + " " + what, false, false
	}
	return "", false, false
}

// negated splits the ! off a condition.
func negated(args []string) (what string, not bool) {
	if len(args) == 0 {
		return "", false
	}
	what, not = strings.CutPrefix(args[0], "!")
	return what, not
}

// version decides an IfVersion as far as the two first numbers do.
func (r *resolver) version(args []string) (condition string, holds, known bool) {
	words := slices.Clone(args)
	if len(words) > 0 {
		words[0] = strings.TrimPrefix(words[0], "!")
	}
	condition = "ifversion " + strings.Join(words, " ")
	op, want := "=", words
	if len(words) == 2 {
		op, want = words[0], words[1:]
	}
	if len(want) != 1 {
		return condition, false, false
	}
	numbers := strings.Split(want[0], ".")
	if len(numbers) < 2 || len(numbers) > 3 {
		return condition, false, false
	}
	major, err1 := strconv.Atoi(numbers[0])
	minor, err2 := strconv.Atoi(numbers[1])
	if err1 != nil || err2 != nil {
		return condition, false, false
	}
	here := map[int]int{apache22: 2, apache24: 4}[r.server]
	order := (2-major)*1000 + here - minor
	if order == 0 && len(numbers) == 3 {
		return condition, false, false
	}
	switch op {
	case "=", "==":
		return condition, order == 0, true
	case ">":
		return condition, order > 0, true
	case ">=":
		return condition, order >= 0, true
	case "<":
		return condition, order < 0, true
	case "<=":
		return condition, order <= 0, true
	}
	return condition, false, false
}

// holds reports whether what an If… section asks is so.
func (r *resolver) holds(n *htaccessNode) bool {
	condition, holds, known := r.condition(n)
	if !known {
		holds = r.truth&(1<<slices.Index(r.conditions, condition)) != 0
	}
	_, not := negated(n.args)
	return holds != not
}

// read returns what a node says for the directory, or for the files of its
// section. Sections for files are kept if this is not in one already.
func (r *resolver) read(n *htaccessNode, outermost bool) saying {
	var g gathered
	r.gatherIn(n, &g, outermost)
	return g.saying()
}

// gathered is what the directives of one directory or section say.
type gathered struct {
	compat             bool // there is Order, Allow or Deny
	allowFirst, mutual bool
	allow, deny        decision // whether a visitor is in the list
	requires           bool
	authz              verdicts
	undecided          bool
}

func (g *gathered) saying() (s saying) {
	if g.compat {
		s.compat = g.decideCompat()
	}
	if g.requires {
		s.authz = g.authz.decide()
	}
	if g.undecided {
		s.authz = maybe
	}
	return s
}

// decideCompat is mod_access_compat's rule.
func (g *gathered) decideCompat() (d decision) {
	for _, allowed := range []decision{yes, no} {
		for _, denied := range []decision{yes, no} {
			if g.inList(g.allow)&allowed == 0 || g.inList(g.deny)&denied == 0 {
				continue
			}
			a, d1 := allowed == yes, denied == yes
			var ok bool
			switch {
			case g.mutual, g.allowFirst:
				ok = a && !d1
			default:
				ok = a || !d1
			}
			if ok {
				d |= yes
			} else {
				d |= no
			}
		}
	}
	return d
}

// inList is whether a visitor is in a list, which may be empty.
func (g *gathered) inList(d decision) decision {
	if d == 0 {
		return no
	}
	return d
}

func (r *resolver) gatherIn(n *htaccessNode, g *gathered, outermost bool) {
	for _, c := range n.children {
		if !speaksOfAccess(c) {
			continue
		}
		if c.section {
			r.section(c, g, outermost)
			continue
		}
		switch c.name {
		case "order":
			order := strings.ToLower(strings.Join(c.args, ""))
			g.compat = true
			g.allowFirst, g.mutual = order == "allow,deny", order == "mutual-failure"
		case "allow":
			r.listed(c, g, &g.allow)
		case "deny":
			r.listed(c, g, &g.deny)
		case "require":
			if v := r.require(c); v != 0 {
				g.requires = true
				g.authz = g.authz.any(v)
			}
		case "authmerging":
			if len(c.args) != 1 || !strings.EqualFold(c.args[0], "off") {
				g.undecided = true
				r.problems = append(r.problems, c)
			}
		}
	}
}

func (r *resolver) section(n *htaccessNode, g *gathered, outermost bool) {
	switch n.name {
	case "ifmodule", "ifversion", "ifdefine", "ifdirective", "iffile", "ifsection":
		if r.holds(n) {
			r.gatherIn(n, g, outermost)
		}
	case "limit":
		if hasGet(n.args) {
			r.gatherIn(n, g, outermost)
		}
	case "limitexcept":
		if !hasGet(n.args) {
			r.gatherIn(n, g, outermost)
		}
	case "files", "filesmatch":
		if !outermost {
			return // Apache takes no such section in another
		}
		names := newNamePattern(n.name, n.args)
		if !names.exact {
			r.problems = append(r.problems, n)
		}
		r.rules.sections = append(r.rules.sections, fileSection{names, r.read(n, false)})
	case "requireall", "requireany", "requirenone":
		g.requires = true
		g.authz = g.authz.any(r.requires(n))
	case "if", "elseif", "else":
		g.undecided = true
		r.problems = append(r.problems, n)
	}
}

func hasGet(methods []string) bool {
	return slices.ContainsFunc(methods, func(m string) bool { return strings.EqualFold(m, "get") })
}

// listed adds an Allow or Deny to its list.
func (r *resolver) listed(n *htaccessNode, g *gathered, list *decision) {
	if len(n.args) < 2 || !strings.EqualFold(n.args[0], "from") {
		return
	}
	g.compat = true
	for _, who := range n.args[1:] {
		switch lower := strings.ToLower(who); {
		case lower == "all":
			*list = yes
		case *list == yes:
		case strings.HasPrefix(lower, "env="):
			*list = maybe
			r.problems = append(r.problems, n)
		case *list == 0:
			*list = no // of an address nothing is known
		}
	}
}

// verdicts is the set of what Require directives may come to.
type verdicts uint8

const (
	granted verdicts = 1 << iota
	denied
	neutral
)

// decide is what holds at the end: who is not let in is kept out.
func (v verdicts) decide() (d decision) {
	if v&granted != 0 {
		d |= yes
	}
	if v&(denied|neutral) != 0 {
		d |= no
	}
	return d
}

// any joins verdicts of which one that lets in is enough, all those of which one
// that keeps out is enough.
func (v verdicts) any(w verdicts) verdicts { return v.join(w, granted, denied) }
func (v verdicts) all(w verdicts) verdicts { return v.join(w, denied, granted) }

func (v verdicts) join(w, strong, weak verdicts) (joined verdicts) {
	if v == 0 {
		return w
	}
	for _, a := range []verdicts{granted, denied, neutral} {
		for _, b := range []verdicts{granted, denied, neutral} {
			switch {
			case v&a == 0 || w&b == 0:
			case a == strong || b == strong:
				joined |= strong
			case a == weak || b == weak:
				joined |= weak
			default:
				joined |= neutral
			}
		}
	}
	return joined
}

// requires returns what a Require… section comes to.
func (r *resolver) requires(n *htaccessNode) verdicts {
	v := r.requiresIn(n, n.name == "requireall", 0)
	if v == 0 {
		return neutral
	}
	if n.name == "requirenone" {
		none := neutral
		if v&granted != 0 {
			none = denied
			if v != granted {
				none |= neutral
			}
		}
		return none
	}
	return v
}

func (r *resolver) requiresIn(n *htaccessNode, all bool, v verdicts) verdicts {
	for _, c := range n.children {
		var w verdicts
		switch c.name {
		case "require":
			w = r.require(c)
		case "requireall", "requireany", "requirenone":
			w = r.requires(c)
		case "ifmodule", "ifversion", "ifdefine", "ifdirective", "iffile", "ifsection":
			if speaksOfAccess(c) && r.holds(c) {
				v = r.requiresIn(c, all, v)
			}
		}
		switch {
		case w == 0:
		case all:
			v = v.all(w)
		default:
			v = v.any(w)
		}
	}
	return v
}

// require returns what a Require directive says; 0 is nothing.
func (r *resolver) require(n *htaccessNode) verdicts {
	args := n.args
	not := len(args) > 0 && strings.EqualFold(args[0], "not")
	if not {
		args = args[1:]
	}
	if len(args) == 0 {
		return 0
	}
	v := denied
	switch strings.ToLower(args[0]) {
	case "all":
		if len(args) != 2 || !strings.EqualFold(args[1], "granted") && !strings.EqualFold(args[1], "denied") {
			return 0
		}
		if strings.EqualFold(args[1], "granted") {
			v = granted
		}
	case "method":
		if hasGet(args[1:]) {
			v = granted
		}
	case "ip", "host", "forward-dns", "local", "user", "group", "valid-user", "file-owner", "file-group",
		"ldap-user", "ldap-group", "ldap-dn", "ldap-attribute", "ldap-filter", "ldap-search", "dbm-group", "dbm-file-group", "dbd-group", "dbd-login":
		// Nobody of whom nothing is known.
	default:
		v = granted | denied
		r.problems = append(r.problems, n)
	}
	if !not {
		return v
	}
	negated := verdicts(0)
	if v&granted != 0 {
		negated |= denied
	}
	if v&denied != 0 {
		negated |= neutral
	}
	return negated
}
