package media

import "strings"

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

	uploads uploadNames
}

type siteRoot struct {
	Root
	rules      *rules
	beforehand bool
}

// label names the root in errors.
func (r *siteRoot) label() string {
	if r.Name == "" {
		return r.Dir
	}
	return r.Name
}

// prefix binds a URL path to the first part of keys.
type prefix struct {
	url string // decoded, ends with a slash
	key string // "" or ends with a slash
}

// Roots returns the site's media roots: the preset's first, then the others in
// the order of the configuration. Their index is what the other methods call
// root. If there is only one its Name is empty.
func (s *Site) Roots() []Root {
	roots := make([]Root, len(s.roots))
	for i := range s.roots {
		roots[i] = s.roots[i].Root
	}
	return roots
}

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
// root. rel "" is the root itself. The key may be one that [CheckKey] refuses.
func (s *Site) Key(root int, rel string) string {
	name := s.roots[root].Name
	switch {
	case name == "":
		return rel
	case rel == "":
		return name
	}
	return name + "/" + rel
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
		if s.roots[i].Name == name {
			return i, rel, true
		}
	}
	return 0, "", false
}

// MadeBeforehand reports whether the app makes the file of this key, if ever,
// before it refers to it. Then nothing is to be expected of asking the app for a
// file that is missing. Doubt is a no: other apps make thumbnails when they are
// asked for.
func (s *Site) MadeBeforehand(key string) bool {
	root, _, ok := s.Locate(key)
	return ok && s.roots[root].beforehand
}

func (s *Site) rootByName(name string) (root int, ok bool) {
	if name == "" && len(s.roots) == 1 {
		return 0, true
	}
	for i := range s.roots {
		if s.roots[i].Name == name {
			return i, true
		}
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
