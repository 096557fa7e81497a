package media

import (
	"cmp"
	"strings"
)

// Site knows the media of one site. It is made by New, never changes, and is
// safe for concurrent use.
type Site struct {
	base     string // URL path of the app: "" or "/blog"
	subsites []string
	roots    []siteRoot
	prefixes []prefix

	// The admin's lists, matched against keys in lower case.
	public, private, ignore patterns

	noRewrite, mayWrite []requestMatcher
	route               queryRoute

	// bare is the index of the root without a name beside others that have one;
	// -1: none.
	bare int

	uploads uploadNames
}

type siteRoot struct {
	Root
	called     string // its name in the configuration
	rules      *rules
	beforehand bool
}

// label names the root in errors.
func (r *siteRoot) label() string {
	return cmp.Or(r.called, r.Dir)
}

// prefix binds a URL path to the first part of keys.
type prefix struct {
	url string // decoded, ends with a slash
	key string // "" or ends with a slash
	// bare: these are keys of the root without a name, beside others.
	bare bool
}

// Roots returns the site's media roots: the preset's first, then the others in
// the order of the configuration. Their index is what the other methods call
// root. If there is only one its Name is empty; of several, one may have none.
func (s *Site) Roots() []Root {
	roots := make([]Root, len(s.roots))
	for i := range s.roots {
		roots[i] = s.roots[i].Root
	}
	return roots
}

// Bare returns the root without a name beside others that have one, if there is
// such. Its keys stand before, between and after those of the others.
func (s *Site) Bare() (root int, ok bool) { return s.bare, s.bare >= 0 }

// Prefixes returns all media URLs, decoded, each beginning and ending with a
// slash, none within another: those of Roots in their order, then the aliases.
func (s *Site) Prefixes() []string {
	urls := make([]string, len(s.prefixes))
	for i := range s.prefixes {
		urls[i] = s.prefixes[i].url
	}
	return urls
}

// Key returns the key of the file or directory at the slash path rel below a
// root. rel "" is the root itself. The key may be one that [CheckKey] refuses; it
// is for what lies in a root without a name where another root's keys begin.
func (s *Site) Key(root int, rel string) string {
	name := s.roots[root].Name
	switch {
	case root == s.bare && isNamed(s.roots, rel):
		return refusedDir + rel
	case name == "":
		return rel
	case rel == "":
		return name
	}
	return name + "/" + rel
}

// refusedDir begins keys that would be another root's.
const refusedDir = "./"

// isNamed reports whether a path begins with the name of a root.
func isNamed[T string | []byte](roots []siteRoot, rel T) bool {
	for i := range roots {
		name := roots[i].Name
		if name != "" && len(rel) >= len(name) && string(rel[:len(name)]) == name && (len(rel) == len(name) || rel[len(name)] == '/') {
			return true
		}
	}
	return false
}

// Locate is the inverse of Key: it returns the root that a key belongs to and
// the slash path below it. ok is false if the key lies in no root, as what
// another site or an older configuration left in the bucket. It does not check
// the key.
func (s *Site) Locate(key string) (root int, rel string, ok bool) {
	if len(s.roots) == 1 {
		return 0, key, true
	}
	name, rel, _ := strings.Cut(key, "/")
	for i := range s.roots {
		if s.roots[i].Name == name && name != "" {
			return i, rel, true
		}
	}
	if s.bare < 0 {
		return 0, "", false
	}
	if refused, ok := strings.CutPrefix(key, refusedDir); ok && isNamed(s.roots, refused) {
		key = refused
	}
	return s.bare, key, true
}

// MadeBeforehand reports whether the app makes the file of this key, if ever,
// before it refers to it. Then nothing is to be expected of asking the app for a
// file that is missing. Doubt is a no: other apps make thumbnails when they are
// asked for.
func (s *Site) MadeBeforehand(key string) bool {
	root, _, ok := s.Locate(key)
	return ok && s.roots[root].beforehand
}

// rootByName returns the root that the configuration calls so; "" is the only
// root, or the one without a name.
func (s *Site) rootByName(name string) (root int, ok bool) {
	for i := range s.roots {
		if s.roots[i].called == name {
			return i, true
		}
	}
	switch {
	case name == "" && len(s.roots) == 1:
		return 0, true
	case name == "":
		return s.bare, s.bare >= 0
	}
	return 0, false
}

func (s *Site) rootNames() string {
	names := make([]string, len(s.roots))
	for i := range s.roots {
		names[i] = s.roots[i].label()
	}
	return strings.Join(names, ", ")
}
