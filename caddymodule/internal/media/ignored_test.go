package media

import "testing"

// TestLastExtensionTells: a name is a log's or a dump's by its last extension,
// but for what rotation and compression append.
func TestLastExtensionTells(t *testing.T) {
	for _, preset := range Presets() {
		if preset == "generic" {
			continue
		}
		s := mustNew(t, Config{Preset: preset, DocRoot: "/srv/app"})
		stored := s.Class(s.Key(0, "plain.jpg"), nil)
		for name, want := range map[string]bool{
			"error.log.png": false, "report.sql.pdf": false, "catalog.log.jpg": false, "what is sql.sql.docx": false,
			"x.log.txt": false, "my.sqlite-guide.pdf": false, "trees.log.webp": false, "logs.pdf": false, "v1.0-2": false,
			"a.mysql.svg": false, "dump.dump.mp4": false, "guide.phpstorm.png": false, "logo.phpBB.jpg": false, "2026.11.30.jpg": false,
			"error_log.png": false, "a.gz": false, "a.tar.gz": false, "1.gz": false, "log": false, "sql.zip": false,

			"error.log": true, "ERROR.LOG": true, "error.log.1": true, "error.log.12.gz": true, "error.log-20261130": true, "error.log-20261130.gz": true,
			"debug.log.2026-11-30": true, "x.log.old": true, "x.log.bak": true, "x.log.zip": true, "error_log": true, "error_log.1.gz": true, "error_log-20261130": true,
			"dump.sql": true, "dump.sql.gz": true, "dump.sql.zip": true, "dump.sql.7z": true, "dump.sql.zst": true, "dump.sql.gpg": true, "dump.sql.gz.enc": true,
			"dump.sql.tar.gz": true, "dump.sql.1": true, "site.mysql.gz": true, "x.sqlite": true, "x.sqlite3.bak": true, "x.dump.xz": true,
			"x.sqlite-wal": true, "x.sqlite3-shm": true, "x.sqlite-journal": true, "x.db-wal": true,
			// Apache's mod_mime runs these with AddHandler, whatever stands last.
			"x.php.jpg": true, "x.php7.jpg": true, "x.phps.jpg": true, "x.phtml.png": true, "x.cgi.pdf": true,
		} {
			got := s.Class(s.Key(0, "2026/"+name), nil)
			if ignored := got == Ignored; ignored != want || !ignored && got != stored {
				t.Errorf("%s: Class(%q) = %v", preset, name, got)
			}
		}
	}
}

// TestIgnoredBy: whatever stays on disk says which rule keeps it there.
func TestIgnoredBy(t *testing.T) {
	s := mustNew(t, Config{Preset: "wordpress", DocRoot: "/srv/app", Ignore: []string{"*.PSD", "/drafts/"}})
	for key, want := range map[string]Rule{
		"2026/a.php":           {Reason: ByName},
		".htaccess":            {Reason: ByName},
		"2026/a.psd":           {Reason: ByOption, Pattern: "*.PSD"},
		"drafts/a.jpg":         {Reason: ByOption, Pattern: "/drafts/"},
		"2026/x.log":           {Reason: ByPreset, Pattern: "*.log"},
		"2026/x.log.1.gz":      {Reason: ByPreset, Pattern: "*.log"},
		"2026/x.part":          {Reason: ByPreset, Pattern: "*.part"},
		"updraft/db.gz":        {Reason: ByPreset, Pattern: "/updraft/"},
		"sites/2/updraft/x.gz": {Reason: ByPreset, Pattern: "/updraft/"},
		"cache/x.json":         {Reason: ByCache, Pattern: "cache/"},
	} {
		got, ok := s.IgnoredBy(key)
		if !ok || got != want || s.Class(key, nil) != Ignored {
			t.Errorf("IgnoredBy(%q) = %+v, %v, want %+v", key, got, ok, want)
		}
	}
	for _, key := range []string{"a.jpg", "cache/x.png", "woocommerce_uploads/x.pdf", "a//b", ""} {
		if got, ok := s.IgnoredBy(key); ok {
			t.Errorf("IgnoredBy(%q) = %+v", key, got)
		}
	}
}

// FuzzIgnoredBy: a key that is a key is ignored by a rule or not at all.
func FuzzIgnoredBy(f *testing.F) {
	s := mustNew(f, Config{Preset: "wordpress", DocRoot: "/w", Ignore: []string{"*.psd", "/a/**/b"}, Private: []string{"/p/"}, Public: []string{"*.log"}})
	for _, key := range []string{"a.jpg", "x.log.1", "cache/x", "a/b", "p/x.psd", "updraft/x.log", "x.sql-1-2.gz"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		rule, ok := s.IgnoredBy(key)
		if want := CheckKey(key) == nil && s.Class(key, nil) == Ignored; ok != want {
			t.Errorf("%q: %v is %v", key, s.Class(key, nil), ok)
		}
		if ok && rule.Reason != ByName && rule.Pattern == "" {
			t.Errorf("%q: %v without a pattern", key, rule.Reason)
		}
	})
}
