package media

import (
	"strings"
	"testing"
)

func bareSite(t testing.TB) *Site {
	return mustNew(t, Config{Roots: []Root{
		{Dir: "/srv/media", URL: "/media/"},
		{Name: "files", Dir: "/srv/files", URL: "/files/"},
		{Name: "music", Dir: "/srv/music", URL: "/music/"},
	}})
}

// TestBareRoot: a root without a name keeps its bare keys, whatever is added, and
// no key has two files.
func TestBareRoot(t *testing.T) {
	s := bareSite(t)
	for _, tt := range []struct {
		root     int
		rel, key string
	}{
		{0, "2026/a.jpg", "2026/a.jpg"}, {0, "", ""}, {0, "filesx/a", "filesx/a"}, {0, "a/files/b", "a/files/b"},
		{1, "a.pdf", "files/a.pdf"}, {1, "", "files"}, {1, "files/a", "files/files/a"}, {2, "music", "music/music"},
		// Refused: they are another root's.
		{0, "files/a.pdf", "./files/a.pdf"}, {0, "files", "./files"}, {0, "music/x/y", "./music/x/y"},
	} {
		if got := s.Key(tt.root, tt.rel); got != tt.key {
			t.Errorf("Key(%d, %q) = %q, want %q", tt.root, tt.rel, got, tt.key)
		}
		if root, rel, ok := s.Locate(tt.key); root != tt.root || rel != tt.rel || !ok {
			t.Errorf("Locate(%q) = %d, %q, %v", tt.key, root, rel, ok)
		}
	}
	if err := CheckKey(s.Key(0, "files/a.pdf")); err == nil {
		t.Error("two roots' files have one key")
	}
	for path, want := range map[string]string{
		"/media/2026/a.jpg": "2026/a.jpg", "/files/a.pdf": "files/a.pdf", "/music/a.mp3": "music/a.mp3",
		"/media/files/a.pdf": "", "/media/music": "", "/media/files%2Fa.pdf": "",
	} {
		if key, _ := s.KeyOfPath(path); key != want {
			t.Errorf("KeyOfPath(%q) = %q, want %q", path, key, want)
		}
		if want != "" {
			continue
		}
		if key, ok := s.AppendKey(nil, 0, []byte(strings.TrimPrefix(path, "/media/"))); ok {
			t.Errorf("AppendKey(%q) = %q", path, key)
		}
		if !s.IsMediaURL(path) {
			t.Errorf("%q is no media URL", path)
		}
	}
	if got, ok := s.AppendPath(nil, "files/a.pdf"); string(got) != "/files/a.pdf" || !ok {
		t.Errorf("AppendPath = %q", got)
	}
}

// TestPresetsKeepTheirKeys: what is added to a site changes no key of it.
func TestPresetsKeepTheirKeys(t *testing.T) {
	added := []Root{{Name: "more", Dir: "/srv/more", URL: "/more/"}}
	for preset, want := range map[string][]string{
		"wordpress": {"a.jpg", "wp-content.gallery/a.jpg"}, "bedrock": {"a.jpg", "app.gallery/a.jpg"},
		"wordpress-ms-files": {"uploads/a.jpg", "blogs.dir/a.jpg"},
		"joomla":             {"images/a.jpg", "files/a.jpg"}, "mediawiki": {"a.jpg"}, "drupal": {"a.jpg"},
		"prestashop": {"img/a.jpg", "upload/a.jpg", "download/a.jpg"}, "opencart": {"a.jpg"},
		"phpbb": {"files/a.jpg", "avatars/a.jpg"},
	} {
		for _, roots := range [][]Root{nil, added} {
			s := mustNew(t, Config{Preset: preset, DocRoot: "/srv/app", Roots: roots})
			for i, key := range want {
				if got := s.Key(i, "a.jpg"); got != key {
					t.Errorf("%s with %d more roots: key %q, want %q", preset, len(roots), got, key)
				}
			}
		}
	}
}

// TestNextGENGallery: the pictures are public, the originals that the plugin puts
// aside are not.
func TestNextGENGallery(t *testing.T) {
	s := mustNew(t, Config{Preset: "wordpress", DocRoot: "/srv/app", Subsites: []string{"/shop"}})
	for path, want := range map[string]Class{
		"/wp-content/gallery/holiday/a.jpg":                Public,
		"/wp-content/gallery/holiday/a.jpg_backup":         Private,
		"/wp-content/gallery/holiday/A.JPG_BACKUP":         Private,
		"/wp-content/gallery/holiday/thumbs/thumbs_a.jpg":  Public,
		"/wp-content/gallery/holiday/dynamic/a.jpg-nggid1": Public,
		"/wp-content/gallery/holiday/x.php":                Ignored,
		"/wp-content/gallery/cache/1_a.jpg":                Public,
		"/shop/wp-content/gallery/holiday/a.jpg":           Public,
		"/wp-content/uploads/a.jpg":                        Public,
	} {
		key, ok := s.KeyOfPath(path)
		if !ok || s.Class(key, nil) != want {
			t.Errorf("%s: key %q is %v, want %v", path, key, s.Class(key, nil), want)
		}
	}
	if s.MadeBeforehand("wp-content.gallery/a.jpg") {
		t.Error("NextGEN makes some pictures when they are asked for")
	}
}

func FuzzBareRoot(f *testing.F) {
	s := bareSite(f)
	f.Add(0, "files/a")
	f.Add(1, "a/b")
	f.Add(0, "./files")
	f.Fuzz(func(t *testing.T, root int, rel string) {
		if root < 0 || root > 2 || CheckKey(rel) != nil {
			return
		}
		key := s.Key(root, rel)
		if gotRoot, gotRel, ok := s.Locate(key); !ok || gotRoot != root || gotRel != rel {
			t.Errorf("Locate(Key(%d, %q)) = %d, %q, %v", root, rel, gotRoot, gotRel, ok)
		}
		path := string(EscapeKey(EscapeKey(nil, s.Roots()[root].URL), rel))
		if got, ok := s.KeyOfPath(path); ok && got != key || !ok && CheckKey(key) == nil {
			t.Errorf("KeyOfPath(%q) = %q, %v, want %q", path, got, ok, key)
		}
	})
}
