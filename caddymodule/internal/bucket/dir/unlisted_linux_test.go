package dir_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// asNobody runs f with the rights of a user that may not pass or read what is closed.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	const nobody = 65534
	if os.Getuid() != 0 {
		f()
		return
	}
	runtime.LockOSThread() // the rights are the thread's
	defer runtime.UnlockOSThread()
	if err := unix.Setfsuid(nobody); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setfsuid(0); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

// One directory or file that cannot be read ends no listing: it goes on behind it, and
// tells what it left out.
//
// Contract: "the sequence goes on behind what that names".
func TestListGoesOnBehindWhatCannotBeRead(t *testing.T) {
	s, dir := newDir(t)
	for _, key := range []string{"m/a/1.jpg", "m/b/2.jpg", "m/b/c/3.jpg", "m/c/4.jpg", "m/d.jpg", "m/e/5.jpg", "m/f.jpg"} {
		if _, err := buckettest.PutText(t.Context(), s, key, key, bucket.PutOptions{Public: true}); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "m/d.jpg"), "written by hand, so that nothing describes it")
	if out, err := exec.CommandContext(t.Context(), "chmod", "-R", "a+rX", filepath.Dir(filepath.Dir(dir))).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, mode := range map[string]os.FileMode{"m/b": 0, "m/d.jpg": 0, "m/e": 0o444} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(filepath.Join(dir, name), 0o755) // to be removed
	}
	for _, c := range []struct {
		name           string
		prefix, after  string
		want, unlisted []string
	}{
		{"all", "m/", "", []string{"m/a/1.jpg", "m/c/4.jpg", "m/f.jpg"}, []string{"m/b/", "m/d.jpg", "m/e/"}},
		{"after", "m/", "m/b/c", []string{"m/c/4.jpg", "m/f.jpg"}, []string{"m/b/", "m/d.jpg", "m/e/"}},
		{"below", "m/b/", "", nil, []string{"m/b/"}},
		{"deeper", "m/b/c/", "", nil, []string{"m/b/c/"}},
		{"beside", "m/c/", "", []string{"m/c/4.jpg"}, nil},
	} {
		var got, unlisted []string
		asNobody(t, func() {
			for info, err := range s.List(t.Context(), c.prefix, c.after) {
				if left, ok := errors.AsType[*bucket.UnlistedError](err); ok {
					unlisted = append(unlisted, left.Key)
					if !errors.Is(err, bucket.ErrDenied) || !errors.Is(err, bucket.ErrOfObject) {
						t.Errorf("%s: %v", c.name, err)
					}
					continue
				}
				if err != nil {
					t.Errorf("%s: %v", c.name, err)
					return
				}
				got = append(got, info.Key)
			}
		})
		if !slices.Equal(got, c.want) || !slices.Equal(unlisted, c.unlisted) {
			t.Errorf("%s: got %q and left out %q, want %q and %q", c.name, got, unlisted, c.want, c.unlisted)
		}
	}
	asNobody(t, func() {
		n := 0
		for range s.List(t.Context(), "m/", "") {
			n++
			if n == 2 {
				break // at what is left out
			}
		}
	})
}

func TestUnlistedCovers(t *testing.T) {
	for _, c := range []struct {
		unlisted, key string
		want          bool
	}{
		{"a/", "a/b", true}, {"a/", "a", false}, {"a/", "ab/c", false}, {"a.jpg", "a.jpg", true}, {"a.jpg", "a.jpg2", false}, {"a", "a/b", false},
	} {
		if got := (&bucket.UnlistedError{Key: c.unlisted}).Covers(c.key); got != c.want {
			t.Errorf("%q covers %q: %v", c.unlisted, c.key, got)
		}
	}
}
