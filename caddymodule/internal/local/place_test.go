package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestPlace(t *testing.T) {
	tree := newTree(t, "there.jpg")
	if err := os.Chmod(tree.Dir(), 0o775); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(tree.Dir(), 33, 33); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Unix(1_700_000_000, 123456789)
	mark := Mark{Size: 3, ModTime: at.UnixNano(), ETag: "e", Class: 'o', Binding: "p"}
	place := func(rel, content string, size int64) error {
		return tree.Place(rel, Placement{
			Content: strings.NewReader(content), Size: size, ModTime: at,
			Mark: func(*os.File, fs.FileInfo) (Mark, error) { return mark, nil },
		})
	}
	if err := place("new/dir/a.jpg", "abc", 3); err != nil {
		t.Fatal(err)
	}
	info, err := tree.Stat("new/dir/a.jpg")
	if err != nil || info.Size() != 3 || !info.ModTime().Equal(at) || info.Mode().Perm() != 0o664 {
		t.Errorf("got %v, %v", info, err)
	}
	if m, ok := tree.Mark("new/dir/a.jpg"); !ok || m != mark {
		t.Errorf("mark %+v, %v", m, ok)
	}
	for _, rel := range []string{"new", "new/dir", "new/dir/a.jpg"} {
		info, err := os.Stat(filepath.Join(tree.Dir(), rel))
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() && info.Mode().Perm() != 0o775 {
			t.Errorf("%s has mode %v", rel, info.Mode())
		}
		if st := info.Sys().(*syscall.Stat_t); os.Getuid() == 0 && (st.Uid != 33 || st.Gid != 33) {
			t.Errorf("%s belongs to %d:%d", rel, st.Uid, st.Gid)
		}
	}
	// What is there stays, and so does what is announced wrong.
	if err := place("there.jpg", "abc", 3); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file: %v", err)
	}
	for _, size := range []int64{2, 4} {
		if err := place("short.jpg", "abc", size); err == nil {
			t.Errorf("3 bytes as %d: no error", size)
		}
	}
	if err := place("there.jpg/below.jpg", "abc", 3); err == nil {
		t.Error("below a file: no error")
	}
	if err := place("../out.jpg", "abc", 3); err == nil {
		t.Error("above the root: no error")
	}
	if got := string(must(os.ReadFile(filepath.Join(tree.Dir(), "there.jpg")))(t)); got != "there.jpg" {
		t.Errorf("the file that was there is %q", got)
	}
	err = tree.Walk("", Visit{File: func(rel string, _ fs.FileInfo) error {
		if strings.Contains(rel, tempPrefix) || strings.Contains(rel, "short") {
			t.Errorf("left: %s", rel)
		}
		return nil
	}})
	if err != nil {
		t.Error(err)
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestLeftover(t *testing.T) {
	now := time.Now()
	name := "2026/11/" + tempName(now)
	if !Leftover(name, now.Add(time.Second)) || Leftover(name, now.Add(-time.Second)) {
		t.Errorf("Leftover(%q) is wrong", name)
	}
	for _, other := range []string{"a.jpg", ".media-offload-", ".media-offload-x-y.tmp", "x.tmp", ".media-offload-1-a.jpg"} {
		if Leftover(other, now) {
			t.Errorf("Leftover(%q)", other)
		}
	}
}

// Many files arrive at once in directories that are not there yet: all belong
// to whom the tree belongs to.
func TestPlaceTogether(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("owners can be changed by root only")
	}
	tree := newTree(t)
	if err := os.Chown(tree.Dir(), 33, 33); err != nil {
		t.Fatal(err)
	}
	var placing sync.WaitGroup
	for i := range 200 {
		// Four at a time meet in each directory.
		rel := fmt.Sprintf("%d/deep/down/%d.jpg", i/4, i)
		placing.Go(func() {
			if err := tree.Place(rel, Placement{Content: strings.NewReader("abc"), Size: 3}); err != nil {
				t.Error(err)
			}
		})
	}
	placing.Wait()
	err := filepath.WalkDir(tree.Dir(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != 33 || st.Gid != 33 {
			t.Errorf("%s belongs to %d:%d", path, st.Uid, st.Gid)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
