package media

import (
	"bytes"
	"path"
	"strings"
)

// Named is what a URL in a media file leads to from the file's public URL,
// compared with where it leads at home.
type Named uint8

// What Named can be.
const (
	// NamedElsewhere: a thing that is named in full, so from where does not matter,
	// or the file itself.
	NamedElsewhere Named = iota
	// NamedFile: a media file that is found from both.
	NamedFile
	// NamedAtHome: another thing or nothing; or a media file of the site by its
	// full address, which is to become its public URL.
	NamedAtHome
)

// Names returns what a URL in the file of a key leads to, and for NamedFile the
// key of that. url is as a browser reads it, decoded from its context (WHATWG URL
// standard, 4.4). It knows no host: any with a media path may be the site's.
func (s *Site) Names(key string, url []byte) (Named, string) {
	text := trimURL(url)
	scheme, rest := cutScheme(text)
	switch {
	case text == "", text[0] == '#', text[0] == '?':
		return NamedElsewhere, ""
	case scheme == "http", scheme == "https":
		return s.namesAbsolute(rest), ""
	case scheme != "":
		return NamedElsewhere, ""
	case isSlash(text[0]):
		return s.namesAbsolute(text), ""
	}
	if named, ok := s.resolveNamed(key, urlPath(text)); ok {
		return NamedFile, named
	}
	return NamedAtHome, ""
}

// trimURL drops what a browser drops from a URL before it reads it.
func trimURL(url []byte) string {
	text := bytes.TrimFunc(url, func(r rune) bool { return r <= ' ' })
	return string(bytes.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' {
			return -1
		}
		return r
	}, text))
}

// cutScheme returns the scheme of a URL in lower case, "" if it has none, and what
// follows it.
func cutScheme(url string) (scheme, rest string) {
	for i := 0; i < len(url); i++ {
		switch c := lower(url[i]); {
		case 'a' <= c && c <= 'z':
		case i > 0 && ('0' <= c && c <= '9' || c == '+' || c == '-' || c == '.'):
		case i > 0 && c == ':':
			return strings.ToLower(url[:i]), url[i+1:]
		default:
			return "", url
		}
	}
	return "", url
}

func isSlash(c byte) bool { return c == '/' || c == '\\' }

// namesAbsolute is for a URL without its scheme that begins with a slash or should:
// //host/path, or /path.
func (s *Site) namesAbsolute(url string) Named {
	path := urlPath(url)
	if len(path) < 2 || !isSlash(path[0]) || !isSlash(path[1]) {
		return NamedAtHome
	}
	host := strings.IndexAny(path[2:], `/\`)
	if s.IsMediaURL(path) || host >= 0 && s.IsMediaURL(path[2+host:]) {
		return NamedAtHome
	}
	return NamedElsewhere
}

// urlPath cuts query and fragment off.
func urlPath(url string) string {
	if i := strings.IndexAny(url, "?#"); i >= 0 {
		return url[:i]
	}
	return url
}

// resolveNamed returns the key of what a relative path in the file of a key names,
// if that is the same below the public URL, where files lie by their keys, and
// below the site's own.
func (s *Site) resolveNamed(key, rel string) (named string, ok bool) {
	root, inRoot, ok := s.Locate(key)
	if !ok {
		return "", false
	}
	parts := splitURL(rel)
	named, left := resolve(path.Dir("/" + key)[1:], parts)
	if left || CheckKey(named) != nil {
		return "", false
	}
	local, _ := resolve(strings.TrimPrefix(path.Dir(s.roots[root].URL+inRoot), "/"), parts)
	there, ok := s.KeyOfFile("/" + local)
	return named, ok && there == named
}

// splitURL splits a relative path into its decoded parts. What cannot be a part of
// a key is one that CheckKey refuses.
func splitURL(rel string) []string {
	var parts []string
	start := 0
	for i := 0; i <= len(rel); i++ {
		if i < len(rel) && !isSlash(rel[i]) {
			continue
		}
		part, ok := appendDecoded(nil, []byte(rel[start:i]), &pageByte)
		if !ok {
			part = []byte{0}
		}
		parts = append(parts, string(part))
		start = i + 1
	}
	return parts
}

// resolve follows parts from a directory, "" for the topmost; left says that they
// lead above that.
func resolve(dir string, parts []string) (file string, left bool) {
	var at []string
	if dir != "" {
		at = strings.Split(dir, "/")
	}
	for i, part := range parts {
		switch part {
		case ".", "..":
			if part == ".." {
				left = left || len(at) == 0
				at = at[:max(0, len(at)-1)]
			}
			if i == len(parts)-1 {
				at = append(at, "") // a directory
			}
		default:
			at = append(at, part)
		}
	}
	return strings.Join(at, "/"), left
}
