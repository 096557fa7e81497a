package media

import "testing"

func TestNames(t *testing.T) {
	wordpress, joomla := wordpressSite(t), joomlaSite(t)
	// The roots' names are their URL paths, so one leads to the other as at home.
	for _, test := range []struct {
		site     *Site
		key, url string
		want     Named
		named    string
	}{
		// In the same root.
		{wordpress, "omgf/fonts.css", "x.woff2", NamedFile, "omgf/x.woff2"},
		{wordpress, "omgf/fonts.css", "./x.woff2?v=1#iefix", NamedFile, "omgf/x.woff2"},
		{wordpress, "omgf/fonts.css", "../2026/a%20b.png", NamedFile, "2026/a b.png"},
		{wordpress, "omgf/fonts.css", "%2e%2E/a.png", NamedFile, "a.png"},
		{wordpress, "omgf/fonts.css", `..\a.png`, NamedFile, "a.png"},
		{wordpress, "omgf/fonts.css", " a b\n.png ", NamedFile, "omgf/a b.png"},
		{wordpress, "omgf/fonts.css", "é.png", NamedFile, "omgf/é.png"},
		{wordpress, "fonts.css", "d/../a.png", NamedFile, "a.png"},
		{wordpress, "fonts.css", ":a.png", NamedFile, ":a.png"},
		{wordpress, "fonts.css", "1a:b.png", NamedFile, "1a:b.png"},

		// Out of it.
		{wordpress, "omgf/fonts.css", "../../themes/t/bg.png", NamedAtHome, ""},
		{wordpress, "omgf/fonts.css", "../../uploads/a.png", NamedAtHome, ""},
		{wordpress, "fonts.css", "../a.png", NamedAtHome, ""},
		{wordpress, "fonts.css", "../../../../a.png", NamedAtHome, ""},
		{wordpress, "fonts.css", "%2e./a.png", NamedAtHome, ""},

		// No key.
		{wordpress, "fonts.css", "d/", NamedAtHome, ""},
		{wordpress, "fonts.css", ".", NamedAtHome, ""},
		{wordpress, "fonts.css", "d/..", NamedAtHome, ""},
		{wordpress, "fonts.css", "d%2Fa.png", NamedAtHome, ""},
		{wordpress, "fonts.css", "a%00.png", NamedAtHome, ""},
		{wordpress, "fonts.css", "a%zz.png", NamedAtHome, ""},
		{wordpress, "fonts.css", "a//b.png", NamedAtHome, ""},

		// By the root of the host.
		{wordpress, "omgf/fonts.css", "/wp-content/uploads/omgf/x.woff2", NamedAtHome, ""},
		{wordpress, "omgf/fonts.css", "/core/misc/x.svg", NamedAtHome, ""},
		{wordpress, "omgf/fonts.css", `\core\x.svg`, NamedAtHome, ""},
		{wordpress, "omgf/fonts.css", "/", NamedAtHome, ""},

		// In full.
		{wordpress, "omgf/fonts.css", "https://site.test/wp-content/uploads/a.png", NamedAtHome, ""},
		{wordpress, "omgf/fonts.css", "HTTP://other.test/wp-content/uploads/a.png?v=1", NamedAtHome, ""},
		{wordpress, "omgf/fonts.css", `https:\\site.test\wp-content\uploads\a.png`, NamedAtHome, ""},
		{wordpress, "omgf/fonts.css", "//site.test/wp-content/%75ploads/a.png", NamedAtHome, ""},
		{wordpress, "omgf/fonts.css", "//wp-content/uploads/a.png", NamedAtHome, ""},
		{wordpress, "omgf/fonts.css", "https:a.png", NamedAtHome, ""},
		{wordpress, "omgf/fonts.css", "https:/a.png", NamedAtHome, ""},
		{wordpress, "omgf/fonts.css", "https://site.test/wp-content/themes/t/bg.png", NamedElsewhere, ""},
		{wordpress, "omgf/fonts.css", "https://site.test?/wp-content/uploads/a.png", NamedElsewhere, ""},
		{wordpress, "omgf/fonts.css", "//fonts.test/x.woff2", NamedElsewhere, ""},
		{wordpress, "omgf/fonts.css", "//fonts.test", NamedElsewhere, ""},
		{wordpress, "omgf/fonts.css", "data:image/png,/wp-content/uploads/a.png", NamedElsewhere, ""},
		{wordpress, "omgf/fonts.css", "blob:https://site.test/wp-content/uploads/a", NamedElsewhere, ""},
		{wordpress, "omgf/fonts.css", "#x", NamedElsewhere, ""},
		{wordpress, "omgf/fonts.css", "?x", NamedElsewhere, ""},
		{wordpress, "omgf/fonts.css", "", NamedElsewhere, ""},
		{wordpress, "omgf/fonts.css", " ", NamedElsewhere, ""},

		// Joomla's roots lie side by side, as their keys do.
		{joomla, "images/x.css", "a.png", NamedFile, "images/a.png"},
		{joomla, "images/x.css", "../files/d.pdf", NamedFile, "files/d.pdf"},
		{joomla, "images/d/x.css", "../../images/a.png", NamedFile, "images/a.png"},
		{joomla, "images/x.css", "../media/a.png", NamedAtHome, ""},
		{joomla, "images/x.css", "../../files/d.pdf", NamedAtHome, ""}, // a browser clamps it at the host's root only
		{joomla, "other/x.css", "a.png", NamedAtHome, ""},
	} {
		got, named := test.site.Names(test.key, []byte(test.url))
		if got != test.want || named != test.named {
			t.Errorf("%q in %s: %d, %q; want %d, %q", test.url, test.key, got, named, test.want, test.named)
		}
	}
}

// Roots whose keys lie in another way than their URLs.
func TestNamesInOtherRoots(t *testing.T) {
	s := mustNew(t, Config{Preset: "generic", Roots: []Root{
		{Name: "a", Dir: "/srv/a", URL: "/deep/a/"},
		{Name: "b", Dir: "/srv/b", URL: "/deep/b/"},
		{Name: "c", Dir: "/srv/c", URL: "/c/"},
		{Name: "d", Dir: "/srv/d", URL: "/deep/x/"},
	}})
	for url, want := range map[string]string{
		"../b/x.png":    "b/x.png",
		"../c/x.png":    "", // at home it is /deep/c/x.png
		"../../c/x.png": "",
		"../d/x.png":    "",
		"../x/x.png":    "", // at home it is d/x.png
	} {
		if got, named := s.Names("a/x.css", []byte(url)); (got == NamedFile) != (want != "") || named != want {
			t.Errorf("%q: %d, %q; want %q", url, got, named, want)
		}
	}
}

func FuzzNames(f *testing.F) {
	for _, url := range []string{"a.png", "../a.png", "/x", "//h/images/a", "https://h/files/x", "%2e%2e/x", "a\\b", "?", "\x00"} {
		f.Add("images/d/x.css", url)
	}
	s := joomlaSite(f)
	f.Fuzz(func(t *testing.T, key, url string) {
		if CheckKey(key) != nil {
			return
		}
		got, named := s.Names(key, []byte(url))
		if (got == NamedFile) != (named != "") {
			t.Fatalf("%q in %q: %d, %q", url, key, got, named)
		}
		if got != NamedFile {
			return
		}
		if err := CheckKey(named); err != nil {
			t.Errorf("%q in %q names %q: %v", url, key, named, err)
		}
		if _, _, ok := s.Locate(named); !ok {
			t.Errorf("%q in %q names %q, which is in no root", url, key, named)
		}
	})
}
