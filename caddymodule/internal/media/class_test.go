package media

import (
	"path"
	"strings"
	"testing"
)

func TestClassOfWordPressFiles(t *testing.T) {
	tests := []struct {
		key  string
		want Class
	}{
		{"2026/11/photo.jpg", Public},
		{"2026/11/photo-scaled.jpg", Public},
		{"2026/11/photo.jpg.webp", Public},
		{"2026/11/Été photo (1).JPG", Public},
		{"2026/11/report.pl.pdf", Public}, // Polish, not Perl
		{"2026/11/x.php_.jpg", Public},    // as WordPress disarms it
		{"2026/11/data.csv", Public},
		{"2026/11/setup.exe", Public},
		{"2026/11/no-extension", Public},
		{"2026/11/catalogue.logs.pdf", Public},
		{"elementor/css/post-1.css", Public},
		{"bb-plugin/cache/1-layout.css", Public}, // an asset, though in a cache
		{"cache/thumb-1.WEBP", Public},
		{"formidable/css/formidableforms.css", Public},
		{"2026/private/a.jpg", Public}, // that name counts at the top only
		{"sites/2/2026/11/photo.jpg", Public},

		{"woocommerce_uploads/2026/11/book.pdf", Private},
		{"WooCommerce_Uploads/book.pdf", Private},
		{"wp-personal-data-exports/x.zip", Private},
		{"gravity_forms/1-abc/2026/11/cv.pdf", Private},
		{"gravity_forms/1-abc/tmp/cv.pdf", Private},
		{"edd/2026/11/song.mp3", Private},
		{"elementor/forms/cv.pdf", Private},
		{"wpo_wcpdf_0a1b/attachments/invoice.pdf", Private},
		{"ShortpixelBackups/2026/11/photo.jpg", Private},
		{"sites/2/woocommerce_uploads/book.pdf", Private},
		{"sites/17/gravity_forms/1/cv.pdf", Private},
		{"sites/woocommerce_uploads/book.pdf", Public}, // no site's directory

		{"2026/11/x.php", Ignored},
		{"woocommerce_uploads/index.php", Ignored},
		{"woocommerce_uploads/.htaccess", Ignored},
		{"cache/data.json", Ignored},
		{"bb-plugin/cache/1-layout.txt", Ignored},
		{"2026/11/photo.jpg.part", Ignored},
		{"2026/11/photo.jpg.tmp", Ignored},
		{"2026/11/photo.jpg~", Ignored},
		{"2026/11/.photo.jpg.swp", Ignored},
		{"wc-logs/fatal-errors-2026-11-21.log", Ignored},
		{"wc-logs/anything.txt", Ignored},
		{"debug.LOG", Ignored},
		{"2026/11/dump.sql", Ignored},
		{"2026/11/dump.sql.gz", Ignored},
		{"backwpup-0a1b-backups/site.zip", Ignored},
		{"updraft/backup_db.gz", Ignored},
		{"site.wpress", Ignored},
		{"elementor/tmp/x/a.jpg", Ignored},
		{"sites/2/updraft/x.zip", Ignored},
		{"2026/11/Thumbs.db", Ignored},
		{"a//b.jpg", Ignored},
		{"../a.jpg", Ignored},
		{"a\x00.jpg", Ignored},
		{"", Ignored},
	}
	s := wordpressSite(t)
	for _, tt := range tests {
		if got := s.Class(tt.key, nil); got != tt.want {
			t.Errorf("Class(%q) = %v, want %v", tt.key, got, tt.want)
		}
	}
}

func TestClassPrecedence(t *testing.T) {
	s := mustNew(t, Config{
		Preset: "wordpress", DocRoot: "/var/www/html",
		Public:  []string{"/gravity_forms/", "*.log", "/both/", "*.php", ".htaccess", "/closed/"},
		Private: []string{"/contracts/", "/both/", "*.pdf"},
		Ignore:  []string{"*.psd", "/contracts/draft/"},
	})
	denied := closes(func(dir string) bool { return dir == "closed" || dir == "2026/secret" })
	for key, want := range map[string]Class{
		"a.jpg":                   Public,
		"gravity_forms/a.jpg":     Public,  // the admin's public over the preset's private
		"wc-logs/a.log":           Public,  // and over its ignored
		"gravity_forms/cv.pdf":    Private, // the admin's private over the admin's public
		"both/a.jpg":              Private,
		"contracts/a.jpg":         Private,
		"contracts/draft/a.jpg":   Ignored, // the admin's ignored over the admin's private
		"contracts/a.psd":         Ignored,
		"both/a.psd":              Ignored,
		"2026/secret/a.jpg":       Private, // .htaccess
		"2026/secret/deep/er.jpg": Private, // and all below
		"2026/secrets/a.jpg":      Public,
		"closed/a.jpg":            Public,  // the admin's public over .htaccess
		"2026/secret/dump.sql":    Ignored, // the preset's ignored over .htaccess
		"gravity_forms/x.php":     Ignored, // nothing over what executes
		"x.php":                   Ignored,
		".htaccess":               Ignored,
		"closed/.htaccess":        Ignored,
	} {
		if got := s.Class(key, denied); got != want {
			t.Errorf("Class(%q) = %v, want %v", key, got, want)
		}
	}
}

func TestClassWithSeveralRoots(t *testing.T) {
	s := mustNew(t, Config{
		Preset: "joomla", DocRoot: "/srv/j",
		Roots:   []Root{{Name: "extra", Dir: "/srv/extra", URL: "/extra/"}},
		Private: []string{"/files/internal/"},
	})
	var asked []string
	denied := closes(func(dir string) bool {
		asked = append(asked, dir)
		return dir == "extra"
	})
	for key, want := range map[string]Class{
		"images/a.jpg":         Public,
		"files/a.pdf":          Public,
		"files/internal/a.pdf": Private, // the admin's patterns see the whole key
		"images/internal/a":    Public,
		"extra/deep/a.jpg":     Private, // the root itself is closed
		"extra/a.tmp":          Ignored,
		"other/a.jpg":          Ignored, // no root
		"a.jpg":                Ignored,
		"images":               Ignored, // a root is no file
	} {
		if got := s.Class(key, denied); got != want {
			t.Errorf("Class(%q) = %v, want %v", key, got, want)
		}
	}
	asked = nil
	s.Class("images/a/b/c.jpg", denied)
	if got, want := strings.Join(asked, " "), "images images/a images/a/b"; got != want {
		t.Errorf("asked for %q, want %q", got, want)
	}
	asked = nil
	wordpressSite(t).Class("a/b/c.jpg", denied)
	if got, want := strings.Join(asked, "|"), "|a|a/b"; got != want {
		t.Errorf("asked for %q, want %q", got, want)
	}
}

func TestZeroClassIsIgnored(t *testing.T) {
	var c Class
	if c != Ignored || c.String() != "ignored" || Private.String() != "private" || Public.String() != "public" {
		t.Errorf("zero Class is %v", c)
	}
}

func TestSkipDir(t *testing.T) {
	plain := wordpressSite(t)
	for dir, want := range map[string]bool{
		"":                 false,
		"2026/11":          false,
		"updraft":          true,
		"updraft/deep":     true,
		"sites/2/updraft":  true,
		".git":             true,
		"2026/.cache/x":    true,
		"cache":            false, // it may hold pictures
		"gravity_forms":    false,
		"wc-logs":          true,
		"bad\x00dir":       true,
		"2026/x.php":       true,
		"elementor":        false,
		"elementor/tmp":    true,
		"wpallimport":      false,
		"wpallimport/temp": true,
	} {
		if got := plain.SkipDir(0, dir); got != want {
			t.Errorf("SkipDir(%q) = %v", dir, got)
		}
	}
	lists := mustNew(t, Config{
		Preset: "wordpress", DocRoot: "/var/www/html",
		Public: []string{"/updraft/keep.jpg"}, Ignore: []string{"/mine/", "*.tmp"},
	})
	for dir, want := range map[string]bool{
		"updraft": false, // a public file may be in it
		"mine/x":  true,
		"x.tmp":   true,
		".git":    true,
	} {
		if got := lists.SkipDir(0, dir); got != want {
			t.Errorf("with lists: SkipDir(%q) = %v", dir, got)
		}
	}
	if joomlaSite(t).SkipDir(1, "") {
		t.Error("SkipDir of a root = true")
	}
}

// Promise 7: "Nothing that a web server might execute or use as configuration
// (.php*, .phtml, .phar, .htaccess, .user.ini, dotfiles, …) goes to the bucket."
func TestNothingExecutableLeavesTheDisk(t *testing.T) {
	greedy := mustNew(t, Config{
		Preset: "wordpress", DocRoot: "/var/www/html",
		Public: []string{"*", "**", "*.php", ".*", "/a/**"},
	})
	for _, key := range []string{
		"x.php", "x.PHP", "x.php3", "x.php5", "x.php7", "x.php74", "x.phps", "x.phpt", "x.php~", "x.php_", "x.php-old",
		"x.phtml", "x.PhTmL", "x.pht", "x.phar", "x.inc", "x.module",
		"x.cgi", "x.fcgi", "x.pl", "x.py", "x.rb", "x.sh", "x.lua", "x.shtml",
		"x.asp", "x.aspx", "x.ashx", "x.asmx", "x.cshtml", "x.jsp", "x.jspx", "x.cfm",
		"x.cer", "x.CER", "x.wsgi", "x.psp", "x.psgi", "x.plx", "x.fcg", "x.asis", "x.svc", "x.bat", "x.jsf", "config.ru", "user.ini",
		".htaccess", ".HTACCESS", ".htpasswd", ".user.ini", ".env", ".git/config", ".well-known/x", ".a.jpg", "a/.b/c.jpg",
		"web.config", "Web.Config", "php.ini", "nginx.conf", "a/b/web.config", "x.htaccess",
		"x.php.jpg", "x.PHP.jpg", "x.php.en.jpg", "x.phtml.png", "x.phar.gif", "x.cgi.jpg", "x.php5.bak", "wp-config.php.bak",
		"x.php.", "x.php...", "x.php ", "x.php. .", "x.pl. .", "web.config.", "web.config ", "x.pl ", "x.jsp.",
		"x.php;.jpg", "x.asp;.jpg", "x.php:stream", "x.php%00.jpg", "x.asp%20", "x.php .jpg", "x.jsp;jsessionid=1",
		"x.php/a.jpg", "x.php.jpg/a.jpg", "x.asp/a.jpg",
	} {
		if !Executable(key) {
			t.Errorf("Executable(%q) = false", key)
		}
		for _, key := range []string{key, "a/" + key, "2026/11/" + key} {
			if got := greedy.Class(key, nil); got != Ignored {
				t.Errorf("Class(%q) = %v in spite of what it executes", key, got)
			}
		}
	}
	for _, key := range []string{
		"php", "php.jpg", "xphp", "x.aphp", "x.hp", "pl", "x.plxx", "report.pl.pdf", "run.sh.txt", "main.py.png", "x.inc.pdf",
		"x.php_.jpg", "x.p.h.p", "ini", "config", "my.web.config.pdf", "phar.png", "index.html", "a.js", "a.svg", "x.phone.jpg.webp",
		"telephone.book.pdf", "report.pl final.pdf", "a", "a.", "…",
	} {
		if Executable(key) {
			t.Errorf("Executable(%q) = true", key)
		}
	}
}

// oracle says by other means than the code under test that a name is executed
// by a server with the usual settings, among them Apache's AddHandler.
func oracle(key string) bool {
	for _, name := range strings.Split(strings.ToLower(key), "/") {
		if strings.HasPrefix(name, ".") {
			return true
		}
		name = strings.TrimRight(name, " .")
		switch path.Ext(name) {
		case ".php", ".php5", ".php7", ".phtml", ".pht", ".phar", ".cgi", ".pl", ".py", ".sh", ".asp", ".aspx", ".jsp", ".inc":
			return true
		}
		if name == "web.config" || strings.Contains(name, ".php.") || strings.Contains(name, ".phtml.") {
			return true
		}
	}
	return false
}

// FuzzClass: nothing executable is ever public or private, whatever the lists.
//
// Promise 7: "Nothing that a web server might execute or use as configuration
// […] goes to the bucket."
func FuzzClass(f *testing.F) {
	for _, key := range []string{"a.jpg", "x.php", "x.PHP. ", "a/.b", "x.php.jpg", "x.php;.jpg", "images/x.phtml", "\xff", strings.Repeat("a/", 600)} {
		f.Add(key)
	}
	every := []string{"**"}
	sites := []*Site{
		wordpressSite(f), joomlaSite(f),
		mustNew(f, Config{Preset: "wordpress", DocRoot: "/w", Public: every}),
		mustNew(f, Config{Preset: "wordpress", DocRoot: "/w", Private: every}),
	}
	f.Fuzz(func(t *testing.T, key string) {
		for _, s := range sites {
			class := s.Class(key, func(string) *Htaccess { return nil })
			if class == Ignored {
				continue
			}
			if CheckKey(key) != nil || oracle(key) {
				t.Errorf("Class(%q) = %v", key, class)
			}
			if closed := s.Class(key, func(string) *Htaccess { return ClosedHtaccess() }); closed != Private && !s.SaidPublic(key) {
				t.Errorf("Class(%q) = %v in a closed directory", key, closed)
			}
		}
	})
}

func TestClassDoesNotAllocate(t *testing.T) {
	sites := []*Site{wordpressSite(t), joomlaSite(t)}
	keys := []string{
		"images/2026/11/Photo with a long name-1024x768.jpg", "files/backup/x.sql.gz", "gravity_forms/1/a.pdf",
		strings.Repeat("directory/", 100) + "a.jpg",
	}
	denied := closes(func(string) bool { return false })
	for _, s := range sites {
		for _, key := range keys {
			if n := testing.AllocsPerRun(100, func() { s.Class(key, denied) }); n != 0 {
				t.Errorf("Class(%.40q) allocates %v times", key, n)
			}
		}
	}
}

func BenchmarkClass(b *testing.B) {
	s := mustNew(b, Config{
		Preset: "wordpress", DocRoot: "/var/www/html",
		Private: []string{"/contracts/", "*.psd"}, Public: []string{"/a/*/b"},
	})
	denied := closes(func(string) bool { return false })
	for _, bm := range []struct{ name, key string }{
		{"thumbnail", "2026/11/holiday-photo-1024x768.jpg"},
		{"subsite", "sites/12/2026/11/holiday-photo-1024x768.jpg"},
		{"private", "woocommerce_uploads/2026/11/book.pdf"},
		{"deep", strings.Repeat("directory/", 20) + "photo.jpg"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Class(bm.key, denied)
			}
		})
	}
}

func BenchmarkKeyOfPath(b *testing.B) {
	s := wordpressSite(b)
	for _, bm := range []struct{ name, path string }{
		{"plain", "/wp-content/uploads/2026/11/holiday-photo-1024x768.jpg"},
		{"encoded", "/wp-content/uploads/2026/11/holiday%20photo%C3%A9-1024x768.jpg"},
		{"other", "/wp-content/themes/twentytwentyone/style.css"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.KeyOfPath(bm.path)
			}
		})
	}
}

// closes is an .htaccess that keeps all out, in the directories for which is is
// true.
func closes(is func(dir string) bool) HtaccessOf {
	return func(dir string) *Htaccess {
		if is(dir) {
			return ClosedHtaccess()
		}
		return nil
	}
}
