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

// HtaccessOf returns the .htaccess of the directory with a key ("" is the root of
// a site with one root); nil if there is none, or it is [Htaccess.Plain].
type HtaccessOf func(dirKey string) *Htaccess

// Class returns the class of the file with this key. htaccess is asked for the
// directories on the way to the file and may be nil, if .htaccess files have no
// meaning here. The first of these rules that fits decides:
//
//  1. A key that [CheckKey] refuses or that lies in no root is ignored.
//  2. A file that a web server might execute or use as configuration, and all
//     dotfiles and what is in directories named like one, is ignored (see
//     Executable).
//  3. Config.Ignore: ignored.
//  4. Config.Private: private.
//  5. Config.Public: public.
//  6. The preset's ignored and private lists.
//  7. The .htaccess files on the way do not let anyone read it: private.
//  8. Public.
//
// So the admin's lists win over the preset's and over .htaccess files, and the
// stricter list wins over the laxer one.
func (s *Site) Class(key string, htaccess HtaccessOf) Class {
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
	if s.public.match(lower) {
		return Public
	}
	class, _ := s.roots[root].rules.class(lower[len(key)-len(rel):])
	if class == Public && htaccess != nil && !s.mayRead(root, key, htaccess) {
		return Private
	}
	return class
}

// SaidPublic reports whether the admin's list makes the file with this key public,
// so that nothing else can make it private.
func (s *Site) SaidPublic(key string) bool {
	if s.public.empty() || s.Class(key, nil) != Public {
		return false
	}
	var buf [maxKey]byte
	return s.public.match(appendLower(buf[:0], key))
}

// Closed reports whether a web server must not send the file of a key at its own
// URL, although it may be on disk: the file is private, or the .htaccess files on
// the way do not let anyone read it, whatever its class. htaccess is as for Class.
// The key may be one that [CheckKey] refuses: such a file has no class, but a
// server sends it all the same.
func (s *Site) Closed(key string, htaccess HtaccessOf) bool {
	root, rel, ok := s.Locate(key)
	if !ok || rel == "" {
		return false
	}
	like := withoutRefused(key)
	if s.Class(like, htaccess) == Private {
		return true
	}
	return htaccess != nil && !s.SaidPublic(like) && !s.mayRead(root, key, htaccess)
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

// mayRead reports whether the .htaccess files of the root's directory and of each
// one on the way from it to key let anyone read the file.
func (s *Site) mayRead(root int, key string, htaccess HtaccessOf) bool {
	var buf [8]*Htaccess
	chain := buf[:0]
	add := func(dirKey string) {
		if h := htaccess(dirKey); h != nil {
			chain = append(chain, h)
		}
	}
	name := s.roots[root].Name
	add(name)
	at := len(name) + 1 // of the file's own name
	if name == "" {
		at = 0
	}
	for i := at; i < len(key); i++ {
		if key[i] == '/' {
			add(key[:i])
			at = i + 1
		}
	}
	return len(chain) == 0 || anyoneMayRead(chain, key[at:])
}

// SkipDir reports whether every file below the directory is ignored, whatever
// its name, so that it need not be watched. root is an index into Roots, rel
// the slash path below it.
func (s *Site) SkipDir(root int, rel string) bool {
	if rel == "" {
		return false
	}
	key := s.Key(root, rel)
	if strings.HasPrefix(key, refusedDir) {
		return false // something is to be said of each file
	}
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
