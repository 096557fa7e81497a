package media

import "strings"

// Class says what may be done with a media file.
type Class uint8

const (
	// Ignored files never leave the disk. It is the zero value, so that what
	// nobody classified goes nowhere.
	Ignored Class = iota
	// Private files are stored in the bucket, but never rewritten to a public
	// URL and never served without the app's say.
	Private
	// Public files are stored in the bucket and may be rewritten.
	Public
)

// String returns "public", "private" or "ignored".
func (c Class) String() string {
	switch c {
	case Public:
		return "public"
	case Private:
		return "private"
	default:
		return "ignored"
	}
}

// Class returns the class of the file with this key. denied reports whether
// the directory with the given key ("" is the root of a site with one root)
// has an .htaccess that denies all (see [DeniesAll]); it is asked for the
// directories on the way to the file and may be nil, if .htaccess files have
// no meaning on this server. The first of these rules that fits decides:
//
//  1. A key that [CheckKey] refuses or that lies in no root is ignored.
//  2. A file that a web server might execute or use as configuration, and all
//     dotfiles and what is in directories named like one, is ignored (see
//     Executable).
//  3. Config.Ignore: ignored.
//  4. Config.Private: private.
//  5. Unless Config.Public fits: the preset's ignored and private lists.
//  6. Some directory on the way denies all: private.
//  7. Public.
//
// So the admin's lists win over the preset's, the stricter list wins over the
// laxer one, and an app that protects a directory by an .htaccess need not
// fear a pattern.
func (s *Site) Class(key string, denied func(dirKey string) bool) Class {
	root, rel, ok := s.Locate(key)
	if !ok || rel == "" || CheckKey(key) != nil {
		return Ignored
	}
	var buf [maxKey]byte
	lower := appendLower(buf[:0], key)
	if executable(lower) {
		return Ignored
	}
	if s.ignore.match(lower) {
		return Ignored
	}
	if s.private.match(lower) {
		return Private
	}
	if !s.public.match(lower) {
		class, _ := s.roots[root].rules.class(lower[len(key)-len(rel):])
		if class != Public {
			return class
		}
	}
	if denied != nil && s.deniedAbove(root, key, denied) {
		return Private
	}
	return Public
}

// Closed reports whether a web server must not send the file of a key at its own
// URL, although it may be on disk: the file is private, or a directory on the way
// denies all, whatever its class. denied is as for Class. The key may be one
// that [CheckKey] refuses: such a file has no class, but a server sends it all
// the same.
func (s *Site) Closed(key string, denied func(dirKey string) bool) bool {
	root, rel, ok := s.Locate(key)
	if !ok || rel == "" {
		return false
	}
	if s.Class(withoutRefused(key), denied) == Private {
		return true
	}
	return denied != nil && s.deniedAbove(root, key, denied)
}

// withoutRefused returns the key with what [CheckKey] refuses in names replaced,
// so that patterns can be matched with it.
func withoutRefused(key string) string {
	if CheckKey(key) == nil {
		return key
	}
	key = strings.ToValidUTF8(key, "_")
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r == '\\' || r == 0xfffe || r == 0xffff {
			return '_'
		}
		return r
	}, key)
}

// deniedAbove asks denied for the root's directory and each one on the way
// from it to key.
func (s *Site) deniedAbove(root int, key string, denied func(string) bool) bool {
	name := s.roots[root].Name
	if denied(name) {
		return true
	}
	for i := len(name) + 1; i < len(key); i++ {
		if key[i] == '/' && denied(key[:i]) {
			return true
		}
	}
	return false
}

// SkipDir reports whether every file below the directory is ignored, whatever
// its name, so that it need not be watched. root is an index into Roots, rel
// the slash path below it.
func (s *Site) SkipDir(root int, rel string) bool {
	if rel == "" {
		return false
	}
	key := s.Key(root, rel)
	if CheckKey(key) != nil {
		return true
	}
	// A file's name that no rule fits stands for all of them.
	var buf [maxKey + 2]byte
	lower := append(appendLower(buf[:0], key), "/a"...)
	if executable(lower) || s.ignore.match(lower) {
		return true
	}
	if !s.private.empty() || !s.public.empty() {
		return false // one of these may fit a file in it
	}
	r := s.roots[root].rules
	return r.ignored(r.withoutSubsite(lower[len(key)-len(rel):]))
}
