package local

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newTree(t *testing.T, files ...string) *Tree {
	t.Helper()
	tree := NewTree(t.TempDir())
	t.Cleanup(func() {
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, f := range files {
		write(t, filepath.Join(tree.Dir(), f), f)
	}
	return tree
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

// Promise 7: "No path leaves a media root (symlinks, `..`, encoded slashes,
// NUL): file access is through `os.Root`."
func TestNoPathLeavesTheRoot(t *testing.T) {
	tree := newTree(t, "in/a.jpg")
	secret := filepath.Join(t.TempDir(), "secret")
	write(t, secret, "secret")
	link(t, secret, filepath.Join(tree.Dir(), "link.jpg"))
	link(t, filepath.Dir(secret), filepath.Join(tree.Dir(), "dir"))
	link(t, "in/a.jpg", filepath.Join(tree.Dir(), "inside.jpg"))
	if err := syscall.Mkfifo(filepath.Join(tree.Dir(), "fifo.jpg"), 0o644); err != nil {
		t.Fatal(err)
	}
	up := strings.Repeat("../", 20)
	for _, rel := range []string{
		"link.jpg", "dir/secret", "inside.jpg", "fifo.jpg", "in", "", "in/a.jpg/b", "none",
		up + secret, "in/../../" + filepath.Base(secret), secret, "a\x00b", "/in/a.jpg", strings.Repeat("x", 300),
	} {
		if f, err := tree.Open(rel); err == nil {
			content, _ := io.ReadAll(f)
			t.Errorf("Open(%q) gives %q", rel, content)
			_ = f.Close()
		}
		if info, err := tree.Stat(rel); err == nil {
			t.Errorf("Stat(%q) gives %v", rel, info)
		}
		if _, ok := tree.Mark(rel); ok {
			t.Errorf("Mark(%q) gives one", rel)
		}
	}
	if _, err := tree.Stat("in/a.jpg/b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("below a file: %v", err)
	}
	if _, err := tree.Open("inside.jpg"); !errors.Is(err, ErrNotRegular) {
		t.Errorf("a symlink: %v", err)
	}
	if content, err := tree.ReadSmall("in/a.jpg", 4); string(content) != "in/a" || err != nil {
		t.Errorf("ReadSmall: %q, %v", content, err)
	}
}

// A merge with a bucket's listing needs the order of the whole paths.
func TestWalkIsInTheOrderOfKeys(t *testing.T) {
	files := []string{"a/b.jpg", "a-b.jpg", "a.jpg", "a/b/c.jpg", "a0.jpg", "A.jpg", "ä/x.jpg", "z", "a/b-c", "skip/x.jpg"}
	tree := newTree(t, files...)
	link(t, "a", filepath.Join(tree.Dir(), "link"))
	var got, others []string
	err := tree.Walk("", Visit{
		Dir:   func(rel string) bool { return rel != "skip" },
		File:  func(rel string, _ fs.FileInfo) error { got = append(got, rel); return nil },
		Other: func(rel string, _ fs.FileMode) { others = append(others, rel) },
	})
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(files[:len(files)-1])
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if !slices.Equal(others, []string{"link"}) {
		t.Errorf("others %q", others)
	}
	stop := errors.New("stop")
	if err := tree.Walk("", Visit{File: func(string, fs.FileInfo) error { return stop }}); !errors.Is(err, stop) {
		t.Errorf("an error does not end the walk: %v", err)
	}
	if err := tree.Walk("none", Visit{File: func(string, fs.FileInfo) error { return stop }}); err != nil {
		t.Errorf("a directory that is not there: %v", err)
	}
}

func TestRootThatComesLaterAndIsReplaced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "uploads")
	tree := NewTree(dir)
	defer tree.Close()
	if _, err := tree.Stat("a.jpg"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("no root: %v", err)
	}
	write(t, filepath.Join(dir, "a.jpg"), "1")
	if _, err := tree.Stat("a.jpg"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "b.jpg"), "2")
	tree.Reopen()
	if _, err := tree.Stat("b.jpg"); err != nil {
		t.Error(err)
	}
	if _, err := tree.Stat("a.jpg"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old root is still looked at: %v", err)
	}
}

func TestMarks(t *testing.T) {
	tree := newTree(t, "a.jpg", "dir/b.jpg")
	want := Mark{Size: 12, ModTime: 1795288465678475118, ETag: "d41d8cd98f00b204e9800998ecf8427e-3", Class: 'o', Binding: "0123456789abcdef"}
	f, err := tree.Open("a.jpg")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, ok := ReadMark(f); ok {
		t.Error("a mark before one was written")
	}
	if err := WriteMark(f, want); err != nil {
		t.Fatal(err)
	}
	if got, ok := tree.Mark("a.jpg"); !ok || got != want {
		t.Errorf("got %+v, %v", got, ok)
	}
	want.Place, want.Rules = media.PlaceWithCORS("woff2"), "0123abcd"
	if err := WriteMark(f, want); err != nil {
		t.Fatal(err)
	}
	if got, ok := tree.Mark("a.jpg"); !ok || got != want {
		t.Errorf("got %+v, %v", got, ok)
	}
	if err := tree.SetDirNote("dir", AttrBucketOnly, "1"); err != nil {
		t.Fatal(err)
	}
	if got := tree.DirNote("dir", AttrBucketOnly); got != "1" {
		t.Errorf("note %q", got)
	}
	for range 2 { // removing what is not there is no error
		if err := tree.SetDirNote("dir", AttrBucketOnly, ""); err != nil {
			t.Fatal(err)
		}
	}
	if got := tree.DirNote("dir", AttrBucketOnly); got != "" {
		t.Errorf("note %q", got)
	}
	if err := tree.SetDirNote("none", AttrBucketOnly, "1"); err == nil {
		t.Error("no error for a directory that is not there")
	}
}

func FuzzParseMark(f *testing.F) {
	f.Add([]byte("1 12 1795288465678475118 o 0123456789abcdef d41d8cd98f00b204e9800998ecf8427e"))
	f.Add([]byte("1 12 1795288465678475118 o 0123456789abcdef d41d8cd98f00b204e9800998ecf8427e cors 0123abcd"))
	f.Add([]byte("1 12 1795288465678475118 o 0123456789abcdef d41d8cd98f00b204e9800998ecf8427e nowhere 0123abcd"))
	f.Add([]byte("1 -1 0 o x y"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, ok := parseMark(b)
		if !ok {
			return
		}
		if again, ok := parseMark(m.encode()); !ok || again != m {
			t.Errorf("%q gives %+v, and that %+v, %v", b, m, again, ok)
		}
	})
}
