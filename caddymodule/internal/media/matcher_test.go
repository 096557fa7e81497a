package media

import "testing"

func TestMatcher(t *testing.T) {
	m, err := NewMatcher("*.css", "/fonts/", "a/**/b")
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]bool{
		"x.css": true, "2026/X.CSS": true, "fonts/a.woff2": true, "2026/fonts/a": false, "a/x/y/b": true, "x.cssx": false, "": false,
	} {
		if got := m.Match(key); got != want {
			t.Errorf("Match(%q) = %v", key, got)
		}
	}
	if _, err := NewMatcher("["); err == nil {
		t.Error("a bad pattern was taken")
	}
	if n := testing.AllocsPerRun(100, func() { m.Match("2026/11/photo.jpg") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
