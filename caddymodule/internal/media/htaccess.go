package media

import (
	"bytes"
	"strings"
)

// maxSections is how deep an .htaccess may nest its sections; Apache itself
// has no use for more than a few.
const maxSections = 32

// DeniesAll reports whether an .htaccess file keeps the public away from all
// files of its directory, by the means that apps and plugins use:
//
//   - Apache 2.2 (mod_access_compat): Deny from all, with Order.
//   - Apache 2.4 (mod_authz_core): Require all denied, and any other Require
//     that lets only some in: a user, an address, a host.
//   - RewriteRule with the flag F, or RedirectMatch 403 or 404, for every path.
//
// Directives count at the top, within IfModule, IfVersion, IfDefine and the
// like (whichever branch the server would take), within Require… sections,
// within Limit, and within Files and FilesMatch if their pattern fits every
// name. A section for some files only neither denies all nor takes a denial
// back: a directory that is closed but for its pictures is closed.
//
// It never fails: what it does not understand, it leaves out.
func DeniesAll(htaccess []byte) bool {
	var p htaccessParser
	text := bytes.TrimPrefix(htaccess, []byte("\uFEFF")) // a byte order mark
	for line := range htaccessLines(text) {
		p.line(line)
	}
	return p.deniesAll()
}

// htaccessLines yields the lines of a configuration file as Apache reads them:
// joined where one ends in a backslash, without comments and outer space.
func htaccessLines(text []byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		var joined []byte
		for len(text) > 0 {
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
			if s != "" && s[0] != '#' && !yield(s) {
				return
			}
		}
	}
}

// access is what a list of Require directives says of anyone at all.
type access struct{ granted, restricted bool }

// htaccessSection is an open section.
type htaccessSection struct {
	name string
	// skipped: what is in it does not concern all files.
	skipped bool
	// access gathers what a Require… section holds.
	access access
}

type htaccessParser struct {
	sections []htaccessSection
	// tooDeep counts open sections past maxSections, which are left out.
	tooDeep int

	top                         access // Require outside Require… sections
	ordered, allowFirst         bool   // an Order; it was allow,deny
	denyAll, allowAll, rewriteF bool
	conditional                 bool // a RewriteCond waits for its rule
}

func (p *htaccessParser) line(line string) {
	if line[0] == '<' {
		p.section(line)
		return
	}
	if p.skipping() {
		return
	}
	words := htaccessWords(line)
	if len(words) == 0 {
		return
	}
	switch args := words[1:]; strings.ToLower(words[0]) {
	case "order":
		p.order(args)
	case "deny":
		p.denyAll = p.denyAll || isFromAll(args)
	case "allow":
		p.allowAll = p.allowAll || isFromAll(args)
	case "require":
		p.require(args)
	case "rewritecond":
		p.conditional = true
	case "rewriterule":
		p.rewriteF = p.rewriteF || !p.conditional && forbidsAll(args)
		p.conditional = false
	case "redirectmatch":
		p.rewriteF = p.rewriteF || len(args) == 2 && (args[0] == "403" || args[0] == "404") && fitsAll(args[1])
	}
}

// deniesAll judges what was gathered. The old directives and the new ones
// usually stand in branches for either server, so either is enough.
func (p *htaccessParser) deniesAll() bool {
	old := p.denyAll && !p.allowAll
	if p.ordered && p.allowFirst {
		old = p.denyAll || !p.allowAll
	}
	return old || p.rewriteF || p.top.restricted && !p.top.granted
}

func (p *htaccessParser) skipping() bool {
	return p.tooDeep > 0 || len(p.sections) > 0 && p.sections[len(p.sections)-1].skipped
}

// section handles a line that begins with '<'.
func (p *htaccessParser) section(line string) {
	body, ok := strings.CutPrefix(line, "</")
	if ok {
		name, _, _ := strings.Cut(body, ">")
		p.closeSection(strings.ToLower(strings.TrimSpace(name)))
		return
	}
	if len(p.sections) == maxSections {
		p.tooDeep++
		return
	}
	words := htaccessWords(strings.TrimSuffix(line[1:], ">"))
	if len(words) == 0 {
		return
	}
	s := htaccessSection{name: strings.ToLower(words[0]), skipped: p.skipping()}
	s.skipped = s.skipped || !concernsAll(s.name, words[1:])
	p.sections = append(p.sections, s)
}

// concernsAll reports whether what is in a section applies to all files, on
// some server at least.
func concernsAll(name string, args []string) bool {
	switch name {
	case "ifmodule", "ifversion", "ifdefine", "ifdirective", "iffile", "ifsection",
		"requireall", "requireany", "limit":
		return true
	case "files":
		if len(args) > 1 && args[0] == "~" {
			return fitsAll(args[1])
		}
		return len(args) == 1 && (args[0] == "*" || args[0] == "*.*")
	case "filesmatch":
		return len(args) == 1 && fitsAll(args[0])
	default:
		// RequireNone turns the meaning round; If and LimitExcept concern some
		// requests; the rest may not stand in an .htaccess.
		return false
	}
}

func (p *htaccessParser) closeSection(name string) {
	if p.tooDeep > 0 {
		p.tooDeep--
		return
	}
	last := len(p.sections) - 1
	if last < 0 || p.sections[last].name != name {
		return
	}
	closed := p.sections[last]
	p.sections = p.sections[:last]
	if !closed.skipped {
		p.gather(closed)
	}
}

// gather adds what a closed Require… section says to the one around it.
func (p *htaccessParser) gather(closed htaccessSection) {
	outer := p.requires()
	restricted, granted := closed.access.restricted, closed.access.granted
	switch closed.name {
	case "requireall": // all of them must let the visitor in
		granted = granted && !restricted
	case "requireany": // one is enough
		restricted = restricted && !granted
	default:
		return
	}
	outer.restricted = outer.restricted || restricted
	outer.granted = outer.granted || granted
}

// requires returns where a Require directive at this place counts: in the
// innermost Require… section, else at the top.
func (p *htaccessParser) requires() *access {
	for i := len(p.sections) - 1; i >= 0; i-- {
		if strings.HasPrefix(p.sections[i].name, "require") {
			return &p.sections[i].access
		}
	}
	return &p.top
}

func (p *htaccessParser) order(args []string) {
	order := strings.ToLower(strings.Join(args, ""))
	p.ordered = true
	p.allowFirst = order == "allow,deny" || order == "mutual-failure"
}

func (p *htaccessParser) require(args []string) {
	if len(args) == 0 {
		return
	}
	a := p.requires()
	switch strings.ToLower(args[0]) {
	case "all":
		if len(args) > 1 {
			a.granted = a.granted || strings.EqualFold(args[1], "granted")
			a.restricted = a.restricted || strings.EqualFold(args[1], "denied")
		}
	case "ip", "host", "forward-dns", "local", "user", "group", "valid-user", "file-owner", "file-group",
		"ldap-user", "ldap-group", "ldap-dn", "ldap-attribute", "ldap-filter", "dbm-group", "dbd-group":
		a.restricted = true
	}
}

// isFromAll reports whether the arguments of Allow or Deny are "from all".
func isFromAll(args []string) bool {
	if len(args) < 2 || !strings.EqualFold(args[0], "from") {
		return false
	}
	for _, arg := range args[1:] {
		if strings.EqualFold(arg, "all") {
			return true
		}
	}
	return false
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
