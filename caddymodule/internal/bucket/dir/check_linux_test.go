package dir_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/dir"
)

// Contract: "Check tells what the next Put is all but certain to meet, as far as the store
// knows without a request and without writing".
func TestCheckTellsWhatPutMeets(t *testing.T) {
	s, path := newDir(t)
	put := func() error {
		_, err := buckettest.PutText(t.Context(), s, "m/a.jpg", "x", bucket.PutOptions{})
		return err
	}
	agree := func(when string, want error) {
		t.Helper()
		for what, err := range map[string]error{"Check": s.Check(t.Context()), "Put": put()} {
			if !errors.Is(err, want) {
				t.Errorf("%s: %s returned %v", when, what, err)
			}
		}
	}
	agree("as it is", nil)
	if out, err := exec.CommandContext(t.Context(), "chmod", "-R", "a+rX", filepath.Dir(filepath.Dir(path))).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	chmod := func(name string, mode os.FileMode) {
		if err := os.Chmod(filepath.Join(path, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]os.FileMode{".": 0, ".tmp": 0o555} {
		chmod(name, mode)
		asNobody(t, func() { agree(name+" is closed", bucket.ErrDenied) })
		chmod(name, 0o755)
	}
	if err := os.RemoveAll(filepath.Join(path, ".tmp")); err != nil {
		t.Fatal(err)
	}
	agree("without .tmp", nil)
	for _, args := range [][]string{{"mount", "--bind", path, path}, {"mount", "-o", "remount,bind,ro", path}} {
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Skipf("this machine lets nothing be mounted: %v: %s", err, out)
		}
		t.Cleanup(func() { _ = exec.Command("umount", "-l", path).Run() })
	}
	var err error
	s, err = dir.Open(path, nil) // what it had open is not on that mount
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	agree("read-only", bucket.ErrDenied)
}
