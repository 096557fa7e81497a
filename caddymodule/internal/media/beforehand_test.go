package media

import "testing"

// TestMadeBeforehand: only of apps of which it is known.
func TestMadeBeforehand(t *testing.T) {
	for _, test := range []struct {
		preset, key string
		want        bool
	}{
		{"wordpress", "2026/11/a-300x200.jpg", true},
		{"bedrock", "2026/11/a.jpg", true},
		{"wordpress-ms-files", "uploads/2026/11/a.jpg", true},
		{"wordpress-ms-files", "blogs.dir/2/files/a.jpg", false}, // read through ms-files.php
		{"wordpress-ms-files", "elsewhere/a.jpg", false},
		{"drupal", "styles/thumbnail/public/a.jpg", false},
		{"mediawiki", "thumb/a/ab/A.jpg/300px-A.jpg", false},
		{"joomla", "images/a.jpg", false},
	} {
		s := mustNew(t, Config{Preset: test.preset, DocRoot: "/srv/app"})
		if got := s.MadeBeforehand(test.key); got != test.want {
			t.Errorf("%s: MadeBeforehand(%q) = %v", test.preset, test.key, got)
		}
	}
	further := mustNew(t, Config{Preset: "wordpress", DocRoot: "/srv/app", Roots: []Root{{Name: "more", Dir: "/srv/more", URL: "/more/"}}})
	if !further.MadeBeforehand("uploads/a.jpg") || further.MadeBeforehand("more/a.jpg") {
		t.Error("a further root is not the app's")
	}
}
