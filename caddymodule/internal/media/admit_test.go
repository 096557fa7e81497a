package media

import (
	"path"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// Promise 7: "no name from a listing, the log, a lease or metadata reaches a disk
// or a decision without passing the one check of names and classes."
func TestAdmit(t *testing.T) {
	s := mustNew(t, Config{
		Preset: "generic", Private: []string{"/invoices/"}, Ignore: []string{"*.psd", "/drafts/"},
		Roots: []Root{{Name: "images", Dir: "/i", URL: "/images/"}, {Name: "files", Dir: "/f", URL: "/files/"}},
	})
	for key, want := range map[string]Class{
		"images/a.jpg": Public, "files/a/b.pdf": Public, "images/ü/\u00adx.jpg": Public, "images/report.pl.pdf": Public,
	} {
		root, rel, class, ok := s.Admit(key)
		if !ok || class != want || s.Key(root, rel) != key {
			t.Errorf("Admit(%q) = %d, %q, %v, %v", key, root, rel, class, ok)
		}
	}
	s2 := mustNew(t, Config{Preset: "generic", Private: []string{"/invoices/"}, Roots: []Root{{Dir: "/i", URL: "/images/"}}})
	if _, _, class, ok := s2.Admit("invoices/1.pdf"); !ok || class != Private {
		t.Errorf("private: %v, %v", class, ok)
	}
	for _, key := range []string{
		"", "images", "images/", "other/a.jpg", "/images/a.jpg", "images//a.jpg", "images/../a.jpg", "images/./a.jpg", "../a.jpg", "images/..",
		"images/a\\b.jpg", "images/a\x00.jpg", "images/a\n.jpg", "images/\xff.jpg", "images/" + strings.Repeat("a", 256), "images/" + strings.Repeat("a/", 600) + "a",
		"images/x.psd", "images/.htaccess", "images/.user.ini", "images/.htaccess/y.jpg", "images/x.php/y.jpg", "images/i.php", "images/i.PHP", "images/i.php.jpg",
		"images/i.p\u00adhp", "images/\u200c.htaccess", "images/\u200b.user.ini", "images/i.ph\uff50", "images/i.\u017fhtml", "images/web.con\ufb01g", "images/php8.ini", "images/php.ini", "images/i.wsgi", "images/i.cer",
	} {
		if _, _, _, ok := s.Admit(key); ok {
			t.Errorf("%q is let in", key)
		}
	}
	for key, want := range map[string]bool{
		"images/2026": true, "images": false, "": false, "images/.git": false, "images/.git/refs": false, "images/x.php": false, "images/..": false, "other/x": false,
	} {
		if _, _, ok := s.AdmitDir(key); ok != want {
			t.Errorf("AdmitDir(%q) = %v", key, ok)
		}
	}
}

// FuzzAdmit: what is let in is one file below a root by all readings of its name,
// and no server's script or configuration, in whatever letters, and with whatever
// unseen characters in between.
func FuzzAdmit(f *testing.F) {
	for _, seed := range []string{"a.jpg", "x/i.php", "i.php.jpg", ".htaccess", "a/../b", "a\\b", "\u200c.user.ini", "x.\u017fhtml", "php5.ini", "a%2e%2e/x", "con", "x.pht;.jpg"} {
		f.Add(seed, 1)
	}
	s := mustNew(f, Config{Preset: "generic", Roots: []Root{{Dir: "/i", URL: "/images/"}}})
	f.Fuzz(func(t *testing.T, key string, at int) {
		root, rel, class, ok := s.Admit(key)
		if !ok {
			// No unseen character opens the door for a name that has none.
			if at = min(max(at, 0), len(key)); Executable(key) && utf8.ValidString(key) && utf8.RuneStart((key + "a")[at]) {
				for _, unseen := range []string{"\u00ad", "\u200c", "\ufeff"} {
					if other := key[:at] + unseen + key[at:]; len(other) <= maxKey {
						if _, _, _, ok := s.Admit(other); ok {
							t.Errorf("%q is let in, %q is not", other, key)
						}
					}
				}
			}
			return
		}
		if class == Ignored || s.Key(root, rel) != key || path.Clean(key) != key || !filepath.IsLocal(key) || !utf8.ValidString(key) {
			t.Errorf("%q is let in as %d, %q, %v", key, root, rel, class)
		}
		for part := range strings.SplitSeq(strings.ToLower(key), "/") {
			base := strings.TrimRight(part, ". ")
			if part[0] == '.' || strings.HasSuffix(base, ".php") || strings.Contains(part, ".php.") || strings.Contains(part, ".phtml") || base == "web.config" || strings.ContainsAny(part, "\x00\\\n") {
				t.Errorf("%q is let in", key)
			}
		}
		if upper := strings.ToUpper(key); isASCII([]byte(key)) {
			if _, _, _, ok := s.Admit(upper); !ok {
				t.Errorf("%q is let in, %q is not", key, upper)
			}
		}
	})
}
