package media

import (
	"slices"
	"strings"
	"testing"
)

func TestNewRefuses(t *testing.T) {
	root := func(name, dir, url string) Root { return Root{Name: name, Dir: dir, URL: url} }
	wp := Config{Preset: "wordpress", DocRoot: "/var/www/html"}
	with := func(change func(*Config)) Config {
		c := wp
		change(&c)
		return c
	}
	tests := []struct {
		name   string
		config Config
		want   []string // parts of the message
	}{
		{"unknown preset", Config{Preset: "wordpres"}, []string{`"wordpres"`, "wordpress", "joomla", "use generic"}},
		{"preset without directory", Config{Preset: "wordpress"}, []string{"absolute path", "/var/www/html"}},
		{"relative directory", Config{Preset: "wordpress", DocRoot: "html"}, []string{"absolute path", `"html"`}},
		{"no root", Config{}, []string{"no media root", "preset", "directory and its URL"}},
		{"relative root", Config{Roots: []Root{root("", "media", "/m/")}}, []string{`"media"`, "absolute"}},
		{"empty root", Config{Roots: []Root{root("", "", "/m/")}}, []string{"absolute"}},
		{"root is the app", Config{DocRoot: "/srv/app", Roots: []Root{root("", "/srv/app", "/")}}, []string{"the app itself"}},
		{"root around the app", Config{DocRoot: "/srv/app", Roots: []Root{root("", "/srv", "/m/")}}, []string{"the app itself"}},
		{"root in root", with(func(c *Config) {
			c.Roots = []Root{root("x", "/var/www/html/wp-content/uploads/x", "/x/")}
		}), []string{"one in the other", "uploads"}},
		{"root around root", with(func(c *Config) { c.Roots = []Root{root("x", "/var/www/html/wp-content", "/x/")} }), []string{"one in the other"}},
		{"same directory, spelled otherwise", Config{Roots: []Root{root("a", "/srv/m", "/a/"), root("b", "/srv/./n/../m/", "/b/")}}, []string{"one in the other"}},
		{"two roots of one name", Config{Roots: []Root{root("a", "/srv/a", "/a/"), root("a", "/srv/b", "/b/")}}, []string{"two roots", `"a"`}},
		{"two roots without name", Config{Roots: []Root{root("", "/srv/a", "/a/"), root("", "/srv/b", "/b/")}}, []string{"two roots", "one may have none"}},
		{"two roots with bare keys", with(func(c *Config) { c.Roots = []Root{root("", "/srv/b", "/b/")} }), []string{"uploads", "/srv/b", "one may have none"}},
		{"name of a closed directory", with(func(c *Config) { c.Roots = []Root{root("woocommerce_uploads", "/srv/b", "/b/")} }), []string{"uploads", "choose another"}},
		{"name with a slash", Config{Roots: []Root{root("a", "/srv/a", "/a/"), root("b/c", "/srv/b", "/b/")}}, []string{"plain word"}},
		{"name with a dot", Config{Roots: []Root{root("a", "/srv/a", "/a/"), root(".b", "/srv/b", "/b/")}}, []string{"plain word"}},
		{"name ..", Config{Roots: []Root{root("a", "/srv/a", "/a/"), root("..", "/srv/b", "/b/")}}, []string{"cannot begin a key"}},
		{"two roots of one URL", Config{Roots: []Root{root("a", "/srv/a", "/a/"), root("b", "/srv/b", "/a")}}, []string{"/a/ is given twice"}},
		{"URL in URL", Config{Roots: []Root{root("a", "/srv/a", "/a/"), root("b", "/srv/b", "/a/b/")}}, []string{"one in the other", "two keys"}},
		{"URL without slash", Config{Roots: []Root{root("", "/srv/a", "a/")}}, []string{"begins with a slash"}},
		{"no URL", Config{Roots: []Root{root("", "/srv/a", "")}}, []string{"begins with a slash"}},
		{"whole URL", Config{Roots: []Root{root("", "/srv/a", "https://example.com/a/")}}, []string{"without scheme and host"}},
		{"URL with dots", Config{Roots: []Root{root("", "/srv/a", "/a/../b/")}}, []string{". or .."}},
		{"URL with two slashes", Config{Roots: []Root{root("", "/srv/a", "//a/")}}, []string{"two in a row"}},
		{"encoded URL", Config{Roots: []Root{root("", "/srv/a", "/my%20files/")}}, []string{"write it decoded"}},
		{"base path without slash", with(func(c *Config) { c.BasePath = "blog" }), []string{"base path", "begins with a slash"}},
		{"subsite without slash", with(func(c *Config) { c.Subsites = []string{"shop"} }), []string{`"shop"`, "/shop"}},
		{"subsite at the top", with(func(c *Config) { c.Subsites = []string{"/"} }), []string{"/shop"}},
		{"subsite twice", with(func(c *Config) { c.Subsites = []string{"/a", "/a/"} }), []string{"given twice"}},
		{"alias of nothing", with(func(c *Config) { c.Aliases = []Alias{{URL: "/x/", Root: "nope"}} }), []string{`no root "nope"`, "uploads"}},
		{"alias without slash", with(func(c *Config) { c.Aliases = []Alias{{URL: "x"}} }), []string{"alias", "begins with a slash"}},
		{"alias to outside", with(func(c *Config) { c.Aliases = []Alias{{URL: "/x/", Dir: "../y"}} }), []string{"no slash path below a root"}},
		{"alias of a root's URL", with(func(c *Config) { c.Aliases = []Alias{{URL: "/wp-content/uploads/", Dir: "y"}} }), []string{"given twice"}},
		{"bad public", with(func(c *Config) { c.Public = []string{"a[b]"} }), []string{"public: ", "a[b]"}},
		{"bad private", with(func(c *Config) { c.Private = []string{"!x"} }), []string{"private: ", "!x"}},
		{"bad ignore", with(func(c *Config) { c.Ignore = []string{""} }), []string{"ignore: ", "empty"}},
		{"bad no_rewrite", with(func(c *Config) { c.NoRewrite = []string{"{a}"} }), []string{"no_rewrite: "}},
		{"bad may_write", with(func(c *Config) { c.MayWrite = []string{"a//b"} }), []string{"may_write: "}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(tt.config)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q lacks %q", err, part)
				}
			}
		})
	}
}

func TestRootsAndPrefixes(t *testing.T) {
	tests := []struct {
		name     string
		config   Config
		roots    []Root
		prefixes []string
	}{
		{
			"wordpress", Config{Preset: "wordpress", DocRoot: "/var/www/html/"},
			[]Root{{"", "/var/www/html/wp-content/uploads", "/wp-content/uploads/"}, {"wp-content.gallery", "/var/www/html/wp-content/gallery", "/wp-content/gallery/"}},
			[]string{"/wp-content/uploads/", "/wp-content/gallery/"},
		},
		{
			"wordpress in a subdirectory", Config{Preset: "wordpress", DocRoot: "/var/www/html/blog", BasePath: "/blog/"},
			[]Root{{"", "/var/www/html/blog/wp-content/uploads", "/blog/wp-content/uploads/"}, {"wp-content.gallery", "/var/www/html/blog/wp-content/gallery", "/blog/wp-content/gallery/"}},
			[]string{"/blog/wp-content/uploads/", "/blog/wp-content/gallery/"},
		},
		{
			"a network in subdirectories", Config{Preset: "wordpress", DocRoot: "/w", BasePath: "/net", Subsites: []string{"/shop", "/press/eu"}},
			[]Root{{"", "/w/wp-content/uploads", "/net/wp-content/uploads/"}, {"wp-content.gallery", "/w/wp-content/gallery", "/net/wp-content/gallery/"}},
			[]string{
				"/net/wp-content/uploads/", "/net/wp-content/gallery/", "/net/shop/wp-content/uploads/", "/net/shop/wp-content/gallery/",
				"/net/press/eu/wp-content/uploads/", "/net/press/eu/wp-content/gallery/",
			},
		},
		{
			"bedrock", Config{Preset: "bedrock", DocRoot: "/srv/site/web"},
			[]Root{{"", "/srv/site/web/app/uploads", "/app/uploads/"}, {"app.gallery", "/srv/site/web/app/gallery", "/app/gallery/"}},
			[]string{"/app/uploads/", "/app/gallery/"},
		},
		{
			"an old network", Config{
				Preset: "wordpress-ms-files", DocRoot: "/w",
				Aliases: []Alias{{URL: "/shop/files", Root: "blogs.dir", Dir: "2/files"}},
			},
			[]Root{{"uploads", "/w/wp-content/uploads", "/wp-content/uploads/"}, {"blogs.dir", "/w/wp-content/blogs.dir", "/wp-content/blogs.dir/"}},
			[]string{"/wp-content/uploads/", "/wp-content/blogs.dir/", "/shop/files/"},
		},
		{
			"a preset's root elsewhere", Config{Preset: "wordpress", Roots: []Root{{"uploads", "/mnt/media", "/media"}}},
			[]Root{{"", "/mnt/media", "/media/"}},
			[]string{"/media/"},
		},
		{
			"a further root", Config{Preset: "wordpress", DocRoot: "/w", Roots: []Root{{"gallery", "/w/wp-content/gallery", "/wp-content/gallery"}}},
			[]Root{{"", "/w/wp-content/uploads", "/wp-content/uploads/"}, {"gallery", "/w/wp-content/gallery", "/wp-content/gallery/"}},
			[]string{"/wp-content/uploads/", "/wp-content/gallery/"},
		},
		{
			"generic", Config{Roots: []Root{{"", "/srv/media", "/media/"}}},
			[]Root{{"", "/srv/media", "/media/"}},
			[]string{"/media/"},
		},
		{
			"a host of its own", Config{Preset: "generic", Roots: []Root{{"x", "/srv/static", "/"}}},
			[]Root{{"", "/srv/static", "/"}},
			[]string{"/"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := mustNew(t, tt.config)
			if got := s.Roots(); !slices.Equal(got, tt.roots) {
				t.Errorf("Roots() = %q, want %q", got, tt.roots)
			}
			if got := s.Prefixes(); !slices.Equal(got, tt.prefixes) {
				t.Errorf("Prefixes() = %q, want %q", got, tt.prefixes)
			}
			for i, r := range s.Roots() {
				if got, ok := s.KeyOfPath(r.URL + "a/b.jpg"); !ok || got != s.Key(i, "a/b.jpg") {
					t.Errorf("KeyOfPath(%q) = %q, %v", r.URL+"a/b.jpg", got, ok)
				}
			}
		})
	}
}

func TestOldNetworkKeys(t *testing.T) {
	s := mustNew(t, Config{
		Preset: "wordpress-ms-files", DocRoot: "/w", Subsites: []string{"/shop"},
		Aliases: []Alias{{URL: "/shop/files/", Root: "blogs.dir", Dir: "2/files"}},
	})
	for path, want := range map[string]struct {
		key   string
		class Class
	}{
		"/wp-content/uploads/a.jpg":        {"uploads/a.jpg", Public},
		"/shop/files/2010/01/a.jpg":        {"blogs.dir/2/files/2010/01/a.jpg", Public},
		"/shop/files/gravity_forms/cv.pdf": {"blogs.dir/2/files/gravity_forms/cv.pdf", Private},
		"/shop/wp-content/uploads/a.jpg":   {"uploads/a.jpg", Public},
	} {
		key, ok := s.KeyOfPath(path)
		if !ok || key != want.key || s.Class(key, nil) != want.class {
			t.Errorf("%s: %q (%v), %v", path, key, ok, s.Class(key, nil))
		}
	}
}

func TestKeyAndLocate(t *testing.T) {
	s := joomlaSite(t)
	for _, tt := range []struct {
		root     int
		rel, key string
	}{
		{0, "a.jpg", "images/a.jpg"}, {1, "d/a.pdf", "files/d/a.pdf"}, {0, "", "images"}, {0, "files/a", "images/files/a"},
	} {
		if got := s.Key(tt.root, tt.rel); got != tt.key {
			t.Errorf("Key(%d, %q) = %q, want %q", tt.root, tt.rel, got, tt.key)
		}
		if root, rel, ok := s.Locate(tt.key); root != tt.root || rel != tt.rel || !ok {
			t.Errorf("Locate(%q) = %d, %q, %v", tt.key, root, rel, ok)
		}
	}
	for _, key := range []string{"", "a.jpg", "Images/a.jpg", "imagesx/a", "2026/11/a.jpg"} {
		if root, rel, ok := s.Locate(key); ok {
			t.Errorf("Locate(%q) = %d, %q, true", key, root, rel)
		}
	}
	if root, rel, ok := wordpressSite(t).Locate("2026/11/a.jpg"); root != 0 || rel != "2026/11/a.jpg" || !ok {
		t.Errorf("Locate = %d, %q, %v", root, rel, ok)
	}
}
