package media

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestClosed: what a server must not send, with or without a class.
func TestClosed(t *testing.T) {
	s := mustNew(t, Config{Preset: "wordpress", DocRoot: "/w", Private: []string{"*.secret"}, Public: []string{"/closed/open/"}, Ignore: []string{"*.psd"}})
	denied := closes(func(dir string) bool { return dir == "closed" })
	for key, want := range map[string]bool{
		"2026/11/a.jpg": false, "a.psd": false, "x.php": false, ".htaccess": false, "a\\b.jpg": false, "": false,
		"woocommerce_uploads/a.pdf": true, "woocommerce_uploads/a\\b.pdf": true, "woocommerce_uploads/\x01\xff": true,
		"woocommerce_uploads/x.php": false, "sites/2/edd/a.zip": true, "a\\b.secret": true,
		"closed/a.jpg": true, "closed/sub/a.psd": true, "closed/x.php": true, "closed/dump.sql": true, "closed": false, "closedx/a.jpg": false, "closed/open/a.jpg": false, "closed/open/x.php": true,
		"wc-logs/a.log": false,
	} {
		if got := s.Closed(key, denied); got != want {
			t.Errorf("Closed(%q) = %v", key, got)
		}
	}
	if s.Closed("closed/a.jpg", nil) {
		t.Error("closed without .htaccess")
	}
}

// FuzzClosed: every private file is closed, and a name that is refused does not
// open what its directory closes.
func FuzzClosed(f *testing.F) {
	f.Add("woocommerce_uploads/a.pdf")
	f.Add("a\\b\xff\x01")
	s := wordpressSite(f)
	f.Fuzz(func(t *testing.T, key string) {
		if s.Class(key, nil) == Private && !s.Closed(key, nil) {
			t.Errorf("%q is private but not closed", key)
		}
		name := strings.ReplaceAll(key, "/", "")
		if name == "" || len(name) > maxSegment-4 || executable(appendLower(nil, withoutRefused(name))) || strings.Trim(name, ".") == "" {
			return
		}
		if in := "woocommerce_uploads/" + name; s.Class("woocommerce_uploads/"+withoutRefused(name), nil) == Private && !s.Closed(in, nil) {
			t.Errorf("%q is not closed", in)
		}
		if clean := withoutRefused(key); !utf8.ValidString(clean) {
			t.Errorf("%q became %q", key, clean)
		}
	})
}
