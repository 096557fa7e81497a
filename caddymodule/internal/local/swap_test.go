package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func always(*os.File, fs.FileInfo) bool { return true }
func never(*os.File, fs.FileInfo) bool  { return false }

func newText(content string) Placement {
	return Placement{Content: strings.NewReader(content), Size: int64(len(content)), ModTime: time.Unix(1700000000, 0)}
}

func content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Promise 2: "Local content is dropped only when the bucket's copy has been
// verified by checksum and no process has the file open."
func TestReplaceAndRemove(t *testing.T) {
	cases := []struct {
		name       string
		expendable Expendable
		writer     bool // some process has the file open for writing
		replaced   bool
	}{
		{"expendable", always, false, true},
		{"not expendable", never, false, false},
		{"being written", always, true, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			tree := NewTree(dir)
			defer tree.Close()
			path := filepath.Join(dir, "a.jpg")
			if err := os.WriteFile(path, []byte("old"), 0o640); err != nil {
				t.Fatal(err)
			}
			if c.writer {
				f, err := os.OpenFile(path, os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
			}
			err := tree.Replace("a.jpg", newText("new"), c.expendable)
			want := "new"
			if !c.replaced {
				want = "old"
			}
			if c.replaced != (err == nil) || !c.replaced && !errors.Is(err, ErrKept) || content(t, path) != want {
				t.Errorf("Replace: %v, content %q", err, content(t, path))
			}
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != 0o640 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			if c.replaced {
				return
			}
			if err := tree.Remove("a.jpg", c.expendable); !errors.Is(err, ErrKept) || content(t, path) != "old" {
				t.Errorf("Remove: %v, content %q", err, content(t, path))
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
				t.Errorf("left: %v, %v", entries, err)
			}
		})
	}
}

// The app puts another file there while the old one is being judged.
func TestNameTakenMeanwhile(t *testing.T) {
	dir := t.TempDir()
	tree := NewTree(dir)
	defer tree.Close()
	path := filepath.Join(dir, "a.jpg")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := tree.Remove("a.jpg", func(*os.File, fs.FileInfo) bool {
		if err := os.WriteFile(path, []byte("the app's"), 0o644); err != nil {
			t.Error(err)
		}
		return false
	})
	var stranded *StrandedError
	if !errors.As(err, &stranded) || content(t, path) != "the app's" || content(t, filepath.Join(dir, stranded.Rel)) != "old" {
		t.Fatalf("%v; there is %q", err, content(t, path))
	}
	if !Stranded(stranded.Rel, time.Now().Add(time.Second)) || Leftover(stranded.Rel, time.Now().Add(time.Second)) {
		t.Error("a stranded file is not known for what it is")
	}
}

// A file that the app has put where an empty directory was stays.
//
// Promise 2: "No failure […] loses a file that the app has on disk".
func TestRemoveDirLeavesFiles(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := root.Mkdir("2026", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.jpg", "2026/b.jpg"} {
		if err := root.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := removeDir(root, name); !errors.Is(err, syscall.ENOTDIR) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := root.Lstat(name); err != nil {
			t.Error(err)
		}
	}
	if err := removeDir(root, "2026"); !isNotEmpty(err) {
		t.Errorf("a directory with a file: %v", err)
	}
}

func TestRemoveEmptyDirs(t *testing.T) {
	dir := t.TempDir()
	tree := NewTree(dir)
	defer tree.Close()
	for _, d := range []string{"a/b/c", "x/y"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "x/y/file.jpg"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if gone, err := tree.RemoveEmptyDirs("a", time.Now().Add(-time.Hour)); gone || err != nil {
		t.Errorf("a directory that was just made: %v, %v", gone, err)
	}
	if gone, err := tree.RemoveEmptyDirs("a", time.Now().Add(time.Hour)); !gone || err != nil {
		t.Errorf("empty directories: %v, %v", gone, err)
	}
	if gone, err := tree.RemoveEmptyDirs("x", time.Now().Add(time.Hour)); gone || err != nil || content(t, filepath.Join(dir, "x/y/file.jpg")) != "" {
		t.Errorf("a directory with a file: %v, %v", gone, err)
	}
}
