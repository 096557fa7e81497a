package web

import (
	"path"
	"testing"
)

// TestCleaned: another form of a path is not another file.
func TestCleaned(t *testing.T) {
	for _, decoded := range []string{
		"", "/", "//", "///", ".", "/.", "/./", "..", "/..", "/../", "a", "a/", "/a", "/a/", "/a//", "//a/", "/a/.", "/a/./", "/a/..", "/a/../",
		"/a/b/../c/", "/a/b", "/a//b/", "a/../b", "../a/", "/.../", "/a b/\x00/\xff/",
	} {
		if got, want := cleaned(decoded), path.Clean("/"+decoded); got != want {
			t.Errorf("cleaned(%q) = %q, want %q", decoded, got, want)
		}
	}
	if n := testing.AllocsPerRun(10, func() { cleaned("/2026/11/a-post/") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
