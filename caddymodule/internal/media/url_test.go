package media

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// mustNew returns a site, or ends the test.
func mustNew(t testing.TB, c Config) *Site {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wordpressSite(t testing.TB) *Site {
	return mustNew(t, Config{Preset: "wordpress", DocRoot: "/var/www/html"})
}

func joomlaSite(t testing.TB) *Site {
	return mustNew(t, Config{Preset: "joomla", DocRoot: "/var/www/html"})
}

// Promise 7: "No path leaves a media root (symlinks, .., encoded slashes, NUL)".
func TestKeyOfPath(t *testing.T) {
	tests := []struct{ path, want string }{ // want "": not a key
		{"/wp-content/uploads/a.jpg", "a.jpg"},
		{"/wp-content/uploads/2026/11/a-300x200.jpg", "2026/11/a-300x200.jpg"},
		{"/wp-content/uploads/a%20b.jpg", "a b.jpg"},
		{"/wp-content/uploads/a+b.jpg", "a+b.jpg"},
		{"/wp-content/uploads/a%2Bb.jpg", "a+b.jpg"},
		{"/wp-content/uploads/a%2520b.jpg", "a%20b.jpg"}, // undone once
		{"/wp-content/uploads/100%25.jpg", "100%.jpg"},
		{"/wp-content/uploads/a%3Fv=1.jpg", "a?v=1.jpg"},
		{"/wp-content/uploads/a%23b.jpg", "a#b.jpg"},
		{"/wp-content/uploads/%C3%A9.jpg", "é.jpg"},
		{"/wp-content/uploads/e%CC%81.jpg", "e\u0301.jpg"}, // another name than the line above
		{"/wp-content/uploads/%c3%a9.jpg", "é.jpg"},
		{"/wp-content/uploads/%61.jpg", "a.jpg"},
		{"/wp%2Dcontent/uploads/a.jpg", "a.jpg"},
		{"/wp-content/uploads/a%2Ejpg", "a.jpg"},
		{"/wp-content/uploads/a:b@c!$&'()*,;=.jpg", "a:b@c!$&'()*,;=.jpg"},
		{"/wp-content/uploads/A.JPG", "A.JPG"},

		{"/wp-content/uploads", ""},
		{"/wp-content/uploads/", ""},
		{"/wp-content/uploads/2026/", ""},
		{"/wp-content/uploadsx/a.jpg", ""},
		{"/x/wp-content/uploads/a.jpg", ""},
		{"wp-content/uploads/a.jpg", ""},
		{"http://example.com/wp-content/uploads/a.jpg", ""},
		{"/WP-content/uploads/a.jpg", ""},
		{"//wp-content/uploads/a.jpg", ""},
		{"/wp-content//uploads/a.jpg", ""},
		{"/wp-content/uploads//a.jpg", ""},
		{"/wp-content/uploads/a//b.jpg", ""},
		{"/wp-content/uploads/./a.jpg", ""},
		{"/wp-content/uploads/../a.jpg", ""},
		{"/wp-content/x/../uploads/a.jpg", ""},
		{"/wp-content/uploads/2026/../a.jpg", ""},
		{"/wp-content/uploads/%2e%2e/a.jpg", ""},
		{"/wp-content/uploads/%2E/a.jpg", ""},
		{"/wp-content/uploads/a%2Fb.jpg", ""},
		{"/wp-content/uploads/a%2fb.jpg", ""},
		{"/wp-content/uploads%2Fa.jpg", ""},
		{"/wp-content/uploads/..%2F..%2Fwp-config.php", ""},
		{"/wp-content/uploads/a%5Cb.jpg", ""},
		{`/wp-content/uploads/a\b.jpg`, ""},
		{"/wp-content/uploads/a%00.jpg", ""},
		{"/wp-content/uploads/a%0A.jpg", ""},
		{"/wp-content/uploads/a\x00.jpg", ""},
		{"/wp-content/uploads/a%FF.jpg", ""},
		{"/wp-content/uploads/a%C0%AFb.jpg", ""}, // an overlong slash
		{"/wp-content/uploads/a%", ""},
		{"/wp-content/uploads/a%2", ""},
		{"/wp-content/uploads/a%zz.jpg", ""},
		{"/wp-content/uploads/a%u00e9.jpg", ""},
		{"/wp-content/uploads/a b.jpg", ""}, // no URL has a bare space
		{"/wp-content/uploads/a.jpg?v=1", ""},
		{"/wp-content/uploads/a.jpg#x", ""},
		{"/wp-content/uploads/" + strings.Repeat("a", maxSegment+1), ""},
		{"/wp-content/uploads/" + strings.Repeat("%61", maxSegment), strings.Repeat("a", maxSegment)},
		{"/wp-content/uploads/" + strings.Repeat("a/", maxKey), ""},
		{"", ""},
		{"/", ""},
	}
	s := wordpressSite(t)
	for _, tt := range tests {
		got, ok := s.KeyOfPath(tt.path)
		if ok != (tt.want != "") || ok && got != tt.want {
			t.Errorf("KeyOfPath(%q) = %q, %v, want %q", tt.path, got, ok, tt.want)
		}
		if ok && !s.IsMediaURL(tt.path) {
			t.Errorf("IsMediaURL(%q) = false, but it has a key", tt.path)
		}
	}
}

func TestKeyOfPathOfARequest(t *testing.T) {
	s := wordpressSite(t)
	for target, want := range map[string]string{
		"/wp-content/uploads/a%20b.jpg?x=1": "a b.jpg",
		"/wp-content/uploads/caf\u00e9.jpg": "café.jpg",
		"/wp-content/uploads/a[1].jpg":      "a[1].jpg",
		"/wp-content/uploads/a|b.jpg":       "a|b.jpg",
		"/wp-content/uploads/a%2Fb.jpg":     "",
	} {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		if got, ok := s.KeyOfPath(r.URL.EscapedPath()); got != want && ok {
			t.Errorf("KeyOfPath of %q = %q, %v, want %q", target, got, ok, want)
		} else if ok != (want != "") {
			t.Errorf("KeyOfPath of %q: ok = %v", target, ok)
		}
	}
}

func TestKeyOfPathWithSeveralURLs(t *testing.T) {
	s := mustNew(t, Config{
		Preset: "joomla", DocRoot: "/srv/j", BasePath: "/shop",
		Roots:   []Root{{Name: "docs", Dir: "/srv/docs", URL: "/my documents"}},
		Aliases: []Alias{{URL: "/old/", Root: "images", Dir: "archive/2010"}},
	})
	for path, want := range map[string]string{
		"/shop/images/a.jpg":      "images/a.jpg",
		"/shop/files/d/a.pdf":     "files/d/a.pdf",
		"/my%20documents/a.pdf":   "docs/a.pdf",
		"/my%20documents/a%20b":   "docs/a b",
		"/old/a.jpg":              "images/archive/2010/a.jpg",
		"/images/a.jpg":           "",
		"/shop/media/images/a.js": "",
		"/old/../a.jpg":           "",
	} {
		if got, ok := s.KeyOfPath(path); ok != (want != "") || ok && got != want {
			t.Errorf("KeyOfPath(%q) = %q, %v, want %q", path, got, ok, want)
		}
	}
}

func TestAppendKey(t *testing.T) {
	s := joomlaSite(t)
	tests := []struct {
		prefix    int
		raw, want string
	}{
		{0, "a.jpg", "images/a.jpg"},
		{1, "a.pdf", "files/a.pdf"},
		{0, "a b é.jpg", "images/a b é.jpg"}, // browsers encode these themselves
		{0, "a%20b%2B%C3%A9.jpg", "images/a b+é.jpg"},
		{0, `a"b<c>.jpg`, `images/a"b<c>.jpg`},
		{0, "", ""},
		{0, "a%2Fb.jpg", ""},
		{0, "a%5cb.jpg", ""},
		{0, `a\b.jpg`, ""},
		{0, "../a.jpg", ""},
		{0, "%2e%2e/a.jpg", ""},
		{0, "a%00", ""},
		{0, "a\tb", ""},
		{0, "a?b", ""},
		{0, "a%4", ""},
		{0, "a\xff", ""},
		{0, "2026/11/a-b_c~1.2.jpg", "images/2026/11/a-b_c~1.2.jpg"},
		{0, "a/", ""},
		{0, "/a", ""},
		{0, "a//b", ""},
		{0, "a/./b", ""},
		{0, "a/..", ""},
		{0, "a/.b", "images/a/.b"},
		{0, "a/..b", "images/a/..b"},
		{0, strings.Repeat("a", maxSegment), "images/" + strings.Repeat("a", maxSegment)},
		{0, strings.Repeat("a", maxSegment+1), ""},
		{0, strings.Repeat("a/", 200) + "b", "images/" + strings.Repeat("a/", 200) + "b"},
		{0, strings.Repeat("a/", maxKey/2) + "b", ""},
	}
	for _, tt := range tests {
		got, ok := s.AppendKey([]byte("x"), tt.prefix, []byte(tt.raw))
		if want := "x" + tt.want; string(got) != want || ok != (tt.want != "") {
			t.Errorf("AppendKey(x, %d, %q) = %q, %v, want %q", tt.prefix, tt.raw, got, ok, want)
		}
	}
}

// BenchmarkAppendKey is what each URL in each page takes to become a key and a
// public URL.
func BenchmarkAppendKey(b *testing.B) {
	s := wordpressSite(b)
	for _, bm := range []struct{ name, raw string }{
		{"plain", "2026/11/holiday-photo-1024x768.jpg"},
		{"encoded", "2026/11/holiday%20photo%C3%A9-1024x768.jpg"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			raw, key, url := []byte(bm.raw), make([]byte, 0, 256), make([]byte, 0, 256)
			for b.Loop() {
				key, _ = s.AppendKey(key[:0], 0, raw)
				url = EscapeKey(url[:0], key)
			}
		})
	}
}

func TestIsMediaURL(t *testing.T) {
	s := wordpressSite(t)
	for path, want := range map[string]bool{
		"/wp-content/uploads/a.jpg":                 true,
		"/wp-content/uploads/":                      true,
		"/wp-content/uploads/.htaccess":             true,
		"/wp-content/uploads/a%2Fb":                 true,
		"/wp-content/uploads/a%00":                  true,
		"/WP-Content/Uploads/a.jpg":                 true,
		"//wp-content//uploads//a.jpg":              true,
		"/wp-content/./uploads/a.jpg":               true,
		"/wp-content/x/../uploads/a.jpg":            true,
		"/wp-content%2Fuploads%2Fa.jpg":             true,
		`/wp-content\uploads\a.jpg`:                 true,
		"/wp-content/%75ploads/a.jpg":               true,
		"/../wp-content/uploads/a.jpg":              true,
		"/wp-content/themes/a.jpg":                  false,
		"/wp-content/uploads":                       false,
		"/":                                         false,
		"":                                          false,
		"/x/wp-content/uploads/a.jpg":               false,
		"/wp-content/uploads%":                      false,
		"/a.php?x=/wp-content/uploads/":             false,
		"/wp-content/%75pload%73%2f%2e%2e%2fa.jpg":  false,
		"/wp-content/uploads-of-others/2026/11/a.x": false,
	} {
		if got := s.IsMediaURL(path); got != want {
			t.Errorf("IsMediaURL(%q) = %v", path, got)
		}
	}
}

func TestEscapeKey(t *testing.T) {
	for key, want := range map[string]string{
		"2026/11/a-1_2.~x.jpg": "2026/11/a-1_2.~x.jpg",
		"a b+c.jpg":            "a%20b%2Bc.jpg",
		"é/📷":                  "%C3%A9/%F0%9F%93%B7",
		`"'<>&()[]{}|^` + "`":  "%22%27%3C%3E%26%28%29%5B%5D%7B%7D%7C%5E%60",
		"%41?b#c;d=e,f:g@h!$*": "%2541%3Fb%23c%3Bd%3De%2Cf%3Ag%40h%21%24%2A",
	} {
		if got := string(EscapeKey(nil, key)); got != want {
			t.Errorf("EscapeKey(%q) = %q, want %q", key, got, want)
		}
	}
}

func TestAppendPath(t *testing.T) {
	s := mustNew(t, Config{Roots: []Root{
		{Name: "a", Dir: "/srv/a", URL: "/my files/"},
		{Name: "b", Dir: "/srv/b", URL: "/b/"},
	}})
	for key, want := range map[string]string{
		"a/x y.jpg": "/my%20files/x%20y.jpg",
		"b/x/y.jpg": "/b/x/y.jpg",
		"c/x.jpg":   "",
	} {
		if got, ok := s.AppendPath(nil, key); string(got) != want || ok != (want != "") {
			t.Errorf("AppendPath(%q) = %q, %v, want %q", key, got, ok, want)
		}
	}
}

func FuzzKeyRoundTrip(f *testing.F) {
	for _, key := range []string{"a.jpg", "2026/11/é +%.jpg", "a/../b", "a\x00", "\xff", "%2F", "a?b#c", "..", "/", "a//b"} {
		f.Add(key)
	}
	one, several := wordpressSite(f), joomlaSite(f)
	f.Fuzz(func(t *testing.T, rel string) {
		if CheckKey(rel) != nil {
			return
		}
		for _, s := range []*Site{one, several} {
			key := s.Key(0, rel)
			if CheckKey(key) != nil {
				continue // a root's name made it too long
			}
			path, ok := s.AppendPath(nil, key)
			if !ok {
				t.Fatalf("AppendPath(%q) failed", key)
			}
			if got, ok := s.KeyOfPath(string(path)); !ok || got != key {
				t.Errorf("KeyOfPath(%q) = %q, %v, want %q", path, got, ok, key)
			}
			u, err := url.Parse("https://example.com" + string(path))
			if err != nil || u.EscapedPath() != string(path) || u.Path != s.Roots()[0].URL+rel {
				t.Errorf("net/url reads %q as %+v, %v", path, u, err)
			}
		}
	})
}

// FuzzKeyOfPath checks that a path has a key only if it is, decoded once, the
// root's URL and the key, and nothing that a server would read differently.
//
// Promise 7: "No path leaves a media root (symlinks, .., encoded slashes, NUL)".
func FuzzKeyOfPath(f *testing.F) {
	for _, p := range []string{"/images/a.jpg", "/images/a%20b", "/images/..%2Fx", "/images/%2e%2e/x", "/files//a", "/images/a%00", "/images/%ff"} {
		f.Add(p)
	}
	s := joomlaSite(f)
	f.Fuzz(func(t *testing.T, path string) {
		media := s.IsMediaURL(path)
		key, ok := s.KeyOfPath(path)
		if !ok {
			return
		}
		if !media {
			t.Errorf("IsMediaURL(%q) = false, but KeyOfPath = %q", path, key)
		}
		if err := CheckKey(key); err != nil {
			t.Fatalf("KeyOfPath(%q) = %q: %v", path, key, err)
		}
		decoded, err := url.PathUnescape(path)
		if err != nil || decoded != "/"+key {
			t.Errorf("KeyOfPath(%q) = %q, but net/url decodes it to %q, %v", path, key, decoded, err)
		}
		if strings.Count(path, "/") != strings.Count(decoded, "/") {
			t.Errorf("KeyOfPath(%q) = %q took an encoded slash for one", path, key)
		}
	})
}
