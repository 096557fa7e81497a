package media

import "bytes"

// Reason is the kind of rule that keeps a file on disk.
type Reason uint8

const (
	// ByName: a web server might run the file or obey it (see Executable). No
	// option changes that.
	ByName Reason = iota
	// ByOption: Config.Ignore.
	ByOption
	// ByPreset: the app's preset, or what is known of all apps. Config.Public
	// wins over it.
	ByPreset
	// ByCache: as ByPreset, for what a page does not refer to in directories of
	// things that the app makes again.
	ByCache
	// Reasons is how many there are.
	Reasons = iota
)

// String returns a word for each reason.
func (r Reason) String() string {
	return [Reasons]string{"executable", "ignore", "preset", "cache"}[r]
}

// Rule is what keeps a file on disk.
type Rule struct {
	Reason  Reason
	Pattern string // as it is written; none for ByName
}

// Ignored returns why the file of a key is ignored; ok is false if it is not,
// or if the key is none.
func (s *Site) Ignored(key string) (reason Reason, ok bool) {
	root, rel, ok := s.Locate(key)
	if !ok || rel == "" || CheckKey(key) != nil {
		return 0, false
	}
	var buf [maxKey]byte
	lower := appendLower(buf[:0], key)
	switch {
	case executable(lower):
		return ByName, true
	case s.ignore.match(lower):
		return ByOption, true
	case s.private.match(lower), s.public.match(lower):
		return 0, false
	}
	class, reason := s.roots[root].rules.class(lower[len(key)-len(rel):])
	return reason, class == Ignored
}

// IgnoredBy is Ignored with the pattern, which takes longer to find.
func (s *Site) IgnoredBy(key string) (rule Rule, ok bool) {
	reason, ok := s.Ignored(key)
	if !ok {
		return Rule{}, false
	}
	root, rel, _ := s.Locate(key)
	lower := appendLower(nil, key)
	r := s.roots[root].rules
	below := r.withoutSubsite(lower[len(key)-len(rel):])
	rule.Reason = reason
	switch reason {
	case ByOption:
		rule.Pattern = s.ignore.which(lower)
	case ByCache:
		rule.Pattern = r.cache.which(below)
	case ByPreset:
		if rule.Pattern = r.ignore.which(below); rule.Pattern == "" {
			rule.Pattern = r.rotated.which(withoutRotation(below))
		}
	}
	return rule, true
}

// maxRotations is how many endings of a name are looked through.
const maxRotations = 4

// withoutRotation cuts from the end of a path in lower case what the rotation of
// logs and the packing of dumps append: x.log-20261130.gz and x.log.1 are both
// x.log.
func withoutRotation(path []byte) []byte {
	for range maxRotations {
		dot := bytes.LastIndexByte(path, '.')
		dash := bytes.LastIndexAny(path, "-_")
		if slash := bytes.LastIndexByte(path, '/'); max(dot, dash) <= slash+1 {
			return path
		}
		switch {
		case dot > dash && (appended[string(path[dot+1:])] || isDate(path[dot+1:])):
			path = path[:dot]
		case dash > dot && isDate(path[dash+1:]):
			path = path[:dash]
		case dot >= 0 && dash > dot && isDate(path[dot+1:]): // x.log.2026-11-30
			path = path[:dot]
		default:
			return path
		}
	}
	return path
}

// appended are extensions that packing and putting aside add to a name.
var appended = set(
	"gz", "bz2", "xz", "zst", "lz4", "lzma", "br", "z", "7z", "zip", "rar", "tar", "enc", "gpg", "pgp", "age",
	"old", "bak", "backup", "orig", "save",
)

// isDate reports whether s is a number or a date.
func isDate(s []byte) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return len(s) > 0
}
