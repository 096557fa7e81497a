package media

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// RequestInfo is what the presets' rules look at in a request.
type RequestInfo struct {
	Method string
	Path   string // decoded, as url.URL.Path
	Query  string // as sent, as url.URL.RawQuery
	Header http.Header
}

// NoRewrite reports whether the answer to a request must keep its local URLs,
// because what it holds goes back into the app's database: admin screens,
// editors and their APIs. Doubt is a yes: a local URL always works.
func (s *Site) NoRewrite(r RequestInfo) bool {
	return s.anyRule(s.noRewrite, &r)
}

// MayWrite reports whether a request may write or delete media: every method
// but GET, HEAD, OPTIONS and TRACE (RFC 9110, section 9.2.1), and the GET requests
// that the preset knows. path is decoded, query as sent.
func (s *Site) MayWrite(method, path, query string) bool {
	if method != http.MethodGet {
		return isWrite(method)
	}
	return s.anyRule(s.mayWrite, &RequestInfo{Method: method, Path: path, Query: query})
}

func (s *Site) anyRule(rules []requestMatcher, r *RequestInfo) bool {
	if len(rules) == 0 {
		return false
	}
	var path []byte
	if below, ok := s.appPath(r.Path); ok {
		var buf [maxKey]byte
		path = appendLower(buf[:0], below)
	}
	if s.anyMatch(rules, path, r) {
		return true
	}
	route, ok := s.queryRoute(r.Query)
	return ok && s.anyMatch(rules, route, r)
}

func (s *Site) anyMatch(rules []requestMatcher, path []byte, r *RequestInfo) bool {
	for i := range rules {
		if rules[i].match(s, path, r) {
			return true
		}
	}
	return false
}

// queryRoute is a parameter of the query in which an app takes the path of its
// API, and the path that it stands for.
type queryRoute struct{ parameter, path string }

// queryRoute returns the path that a query names, in lower case.
func (s *Site) queryRoute(query string) (path []byte, ok bool) {
	if s.route.parameter == "" || query == "" {
		return nil, false
	}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if unescapeQuery(name) == s.route.parameter {
			return appendLower([]byte(s.route.path), "/"+strings.Trim(unescapeQuery(value), "/")), true
		}
	}
	return nil, false
}

// appPath cuts the app's and a subsite's path from the front of a URL path. ok
// is false if the path is not the app's.
func (s *Site) appPath(path string) (rest string, ok bool) {
	if rest, ok = cutPath(path, s.base); !ok {
		return "", false
	}
	for _, sub := range s.subsites {
		if below, ok := cutPath(rest, sub); ok {
			rest = below
			break
		}
	}
	return strings.TrimLeft(rest, "/"), true
}

// cutPath cuts a path prefix without a slash at its end.
func cutPath(path, prefix string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(path, prefix)
	return rest, ok && (rest == "" || rest[0] == '/')
}

// requestRule fits a request if everything it names does; what is empty does
// not matter.
type requestRule struct {
	paths  []string // patterns of the path below the app's and a subsite's
	routes []string // patterns of which one must fit it as well: asked only then
	except []string // but not these
	// writes fits methods other than GET, HEAD, OPTIONS and TRACE.
	writes bool
	// query fits if one of these is in the query: "name", or "name=value".
	query []string
	// header fits if one of these is present.
	header []string
	// from are patterns of the path of the page that sent the request, by its
	// Referer. A request that does not tell fits, unless told is set.
	from []string
	told bool
	// fromQuery is query for the page that sent the request.
	fromQuery []string
}

// requestMatcher is a requestRule, compiled.
type requestMatcher struct {
	rule                        requestRule
	paths, routes, except, from patterns
	query, fromQuery            parameters
}

func (s *Site) addRequestRules(p *preset, c Config) (err error) {
	noRewrite, mayWrite := p.noRewrite, p.mayWrite
	if len(c.NoRewrite) > 0 {
		noRewrite = append(noRewrite, requestRule{paths: c.NoRewrite})
	}
	if len(c.MayWrite) > 0 {
		mayWrite = append(mayWrite, requestRule{paths: c.MayWrite})
	}
	if s.noRewrite, err = compileRequestRules(noRewrite); err != nil {
		return fmt.Errorf("no_rewrite: %w", err)
	}
	if s.mayWrite, err = compileRequestRules(mayWrite); err != nil {
		return fmt.Errorf("may_write: %w", err)
	}
	return nil
}

func compileRequestRules(rules []requestRule) ([]requestMatcher, error) {
	matchers := make([]requestMatcher, len(rules))
	for i, rule := range rules {
		m := &matchers[i]
		m.rule = rule
		m.query, m.fromQuery = newParameters(rule.query), newParameters(rule.fromQuery)
		var err error
		for _, list := range []struct {
			texts    []string
			compiled *patterns
		}{
			{rule.paths, &m.paths},
			{rule.routes, &m.routes},
			{rule.except, &m.except},
			{rule.from, &m.from},
		} {
			if *list.compiled, err = compilePatterns(list.texts); err != nil {
				return nil, err
			}
		}
	}
	return matchers, nil
}

// match reports whether the rule fits. path is the lower-case path below the
// app's, nil if the request is for another path: rules that name none fit
// there too, since a wiki's pages may lie at /wiki/ and the wiki at /w/.
func (m *requestMatcher) match(s *Site, path []byte, r *RequestInfo) bool {
	rule := &m.rule
	switch {
	case rule.writes && !isWrite(r.Method), // the cheapest first
		len(rule.query) > 0 && r.Query == "",
		len(rule.header) > 0 && !headerHas(r.Header, rule.header),
		len(rule.paths) > 0 && !m.paths.match(path),
		len(rule.routes) > 0 && !m.routes.match(path),
		m.except.match(path),
		len(rule.query) > 0 && !m.query.in(r.Query):
		return false
	}
	if len(rule.from)+len(rule.fromQuery) == 0 {
		return true
	}
	from, err := url.Parse(r.Header.Get("Referer"))
	if err != nil || from.Path == "" {
		return len(rule.from) > 0 && !rule.told
	}
	if len(rule.fromQuery) > 0 && !m.fromQuery.in(from.RawQuery) {
		return false
	}
	return len(rule.from) == 0 || m.fromPath(s, from.Path)
}

func (m *requestMatcher) fromPath(s *Site, path string) bool {
	below, ok := s.appPath(path)
	return ok && m.from.match(appendLower(nil, below))
}

// isWrite reports whether a method is not one of the safe ones of RFC 9110,
// section 9.2.1.
func isWrite(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return false
	}
	return true
}

// parameters are those of a query that a rule looks for, by name, each with the
// values that count. No values: any counts.
type parameters map[string][]string

func newParameters(list []string) parameters {
	p := make(parameters, len(list))
	for _, text := range list {
		name, value, hasValue := strings.Cut(text, "=")
		values := p[name]
		if hasValue {
			values = append(values, value)
		}
		p[name] = values
	}
	return p
}

// in reports whether one of the parameters is in a query. As PHP does, it takes
// name[…] for name.
func (p parameters) in(query string) bool {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(pair, "=")
		name, _, _ = strings.Cut(unescapeQuery(name), "[")
		if values, ok := p[name]; ok && (len(values) == 0 || slices.Contains(values, unescapeQuery(value))) {
			return true
		}
	}
	return false
}

func unescapeQuery(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

func headerHas(header http.Header, names []string) bool {
	for _, name := range names {
		if header.Get(name) != "" {
			return true
		}
	}
	return false
}
