package csp

import (
	"net/http"
	"net/url"
	"strings"
)

// fields are the header fields that hold policies.
var fields = [...]string{"Content-Security-Policy", "Content-Security-Policy-Report-Only"}

// kinds are the directives that govern what a rewritten URL may be, each
// with those that stand in for it if it is missing, in the order in which a
// browser looks (section 6.8.3, "get fetch directive fallback list").
var kinds = [...][]string{
	{"img-src", "default-src"},
	{"media-src", "default-src"},
	{"font-src", "default-src"},
	{"style-src-elem", "style-src", "default-src"},
	{"script-src-elem", "script-src", "default-src"},
	{"object-src", "default-src"},
	{"frame-src", "child-src", "default-src"},
	{"connect-src", "default-src"},
	{"manifest-src", "default-src"},
}

// Source is the public folder as a source of policies.
type Source struct {
	text string // the source expression
	url  *url.URL
}

// New returns the source for the URL of the public folder, which has no query.
func New(publicURL string) (*Source, error) {
	u, err := url.Parse(publicURL)
	if err != nil {
		return nil, err
	}
	// Section 2.3.1: ";" and "," end a directive and a policy.
	text := strings.NewReplacer(";", "%3B", ",", "%2C").Replace(publicURL)
	return &Source{text: text, url: u}, nil
}

// ExtendHeader makes the policies in an answer's header wider. self is the
// host that the page came from.
func (s *Source) ExtendHeader(hdr http.Header, self string) {
	for _, name := range fields {
		values := hdr[name]
		for i, value := range values {
			extended := s.extend(value, self)
			if extended == value {
				continue
			}
			// The slice may belong to someone else, a cache for example.
			values = append([]string(nil), values...)
			values[i] = extended
			hdr[name] = values
		}
	}
}

// extend makes each of the policies of a field's value wider. One that allows
// the public folder already, or never allowed the site's own URLs, keeps its
// bytes.
func (s *Source) extend(value, self string) string {
	policies := strings.Split(value, ",")
	for i, policy := range policies {
		policies[i] = s.ExtendPolicy(policy, self)
	}
	return strings.Join(policies, ",")
}

// ExtendPolicy makes one policy wider, as a meta element has it (HTML standard,
// "content security policy state").
func (s *Source) ExtendPolicy(policy, self string) string {
	directives, byName := parse(policy)
	var added []string
	for _, kind := range kinds {
		name, i := governing(kind, byName)
		if name == "" {
			continue
		}
		_, sources := words(directives[i])
		if !s.wanted(sources, self) {
			continue
		}
		if name == "default-src" || name == "child-src" {
			added = append(added, ownDirective(kind)+" "+strings.Join(sources, " ")+" "+s.text)
			continue
		}
		directives[i] = strings.TrimRight(directives[i], space) + " " + s.text
	}
	return joinDirectives(directives, added)
}

// parse returns the directives of a policy, and where those that count stand.
func parse(policy string) (directives []string, byName map[string]int) {
	directives = strings.Split(policy, ";")
	byName = make(map[string]int, len(directives))
	for i, directive := range directives {
		name, _ := words(directive)
		if _, twice := byName[name]; name != "" && !twice { // a second one does not count (section 2.2.1)
			byName[name] = i
		}
	}
	return directives, byName
}

// governing returns the directive of a policy that decides about a kind, and
// where it stands; "" if none does.
func governing(kind []string, byName map[string]int) (name string, i int) {
	for _, name := range kind {
		if i, ok := byName[name]; ok {
			return name, i
		}
	}
	return "", 0
}

// ownDirective is the directive that a kind gets where a general one decided
// about it: for style and script elements that which also governs attributes,
// as the general one did.
func ownDirective(kind []string) string {
	return strings.TrimSuffix(kind[0], "-elem")
}

// joinDirectives is the policy with further directives at its end.
func joinDirectives(directives, added []string) string {
	last := len(directives) - 1
	if len(added) > 0 && strings.Trim(directives[last], space) == "" {
		directives = directives[:last] // the policy ended with a semicolon
	}
	policy := strings.Join(directives, ";")
	if len(added) > 0 {
		policy += "; " + strings.Join(added, "; ")
	}
	return policy
}

// wanted reports whether a list of sources lets the page load the site's own
// media, but not those in the public folder.
func (s *Source) wanted(sources []string, self string) bool {
	local := false
	for _, source := range sources {
		if s.allowedBy(source, self) {
			return false
		}
		local = local || allowsHost(source, self)
	}
	return local
}

// allowsHost reports whether a source lets the page load something from the
// site itself.
func allowsHost(source, self string) bool {
	source = strings.ToLower(source)
	if source == "'self'" {
		return true
	}
	e, ok := parseSource(source)
	return ok && (e.host == "" || matchHost(e.host, (&url.URL{Host: strings.ToLower(self)}).Hostname()))
}

// allowedBy reports whether a source surely covers the public folder (section
// 6.7.2.8, "does url match expression in origin").
func (s *Source) allowedBy(source, self string) bool {
	if source == s.text || source == "*" {
		return true
	}
	if strings.EqualFold(source, "'self'") {
		return strings.EqualFold(s.url.Host, self)
	}
	e, ok := parseSource(source)
	if !ok {
		return false
	}
	scheme := e.scheme == s.url.Scheme || e.scheme == "http" && s.url.Scheme == "https" ||
		e.scheme == "" && s.url.Scheme == "https"
	if e.host == "" {
		return scheme
	}
	return scheme && matchHost(strings.ToLower(e.host), strings.ToLower(s.url.Hostname())) &&
		(e.port == "*" || e.port == s.url.Port()) &&
		(e.path == "" || strings.HasSuffix(e.path, "/") && strings.HasPrefix(s.url.EscapedPath(), e.path))
}

// sourceExpression is a scheme-source or a host-source of section 2.3.1.
type sourceExpression struct {
	scheme string // in lower case; "": the page's
	host   string // "": any; may be "*" or begin with "*."
	port   string // "": the scheme's; "*": any
	path   string // "": any
}

// parseSource parses a source that is no keyword, nonce or hash.
func parseSource(source string) (e sourceExpression, ok bool) {
	if source == "" || source[0] == '\'' {
		return e, false
	}
	rest := source
	if scheme, after, found := strings.Cut(source, "://"); found {
		e.scheme, rest = strings.ToLower(scheme), after
	} else if scheme, isScheme := strings.CutSuffix(source, ":"); isScheme {
		scheme = strings.ToLower(scheme)
		return sourceExpression{scheme: scheme}, scheme == "http" || scheme == "https"
	}
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		rest, e.path = rest[:i], rest[i:]
	}
	e.host = rest
	if i := strings.LastIndexByte(rest, ':'); i >= 0 && !strings.HasSuffix(rest, "]") {
		e.host, e.port = rest[:i], rest[i+1:]
	}
	return e, e.host != "" && (e.scheme == "" || e.scheme == "http" || e.scheme == "https")
}

// matchHost reports whether a host is that of a source. Both are in lower case.
func matchHost(pattern, host string) bool {
	if suffix, wild := strings.CutPrefix(pattern, "*"); wild {
		return strings.HasSuffix(host, suffix)
	}
	return strings.Trim(pattern, "[]") == host
}

// space is ASCII whitespace.
const space = " \t\n\f\r"

// words splits a directive into its name, in lower case, and its value.
func words(directive string) (name string, values []string) {
	words := strings.FieldsFunc(directive, func(c rune) bool { return strings.ContainsRune(space, c) })
	if len(words) == 0 {
		return "", nil
	}
	return strings.ToLower(words[0]), words[1:]
}
