package dir_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// Promise 7: "No path leaves a media root (symlinks, .., encoded slashes,
// NUL)", nor a bucket.
func TestSymlinks(t *testing.T) {
	t.Parallel()
	s, dir := newDir(t)
	outside := t.TempDir()
	write(t, filepath.Join(outside, "secret"), "secret")
	write(t, filepath.Join(dir, "real"), "real")
	for name, target := range map[string]string{
		"out": outside, "file": filepath.Join(outside, "secret"), "rel": "../../../../../../../../etc/passwd",
		"in": "real", "loop": "loop", "dir/out": outside, ".meta/out": outside, ".meta/planted.json": filepath.Join(outside, "secret"),
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"out/secret", "file", "rel", "in", "loop", "dir/out/secret", "out"} {
		if o, err := s.Get(t.Context(), key, bucket.GetOptions{}); err == nil {
			t.Errorf("Get %s gave an object of %d bytes", key, o.Size)
		}
		if _, err := s.Head(t.Context(), key); err == nil {
			t.Errorf("Head %s found it", key)
		}
	}
	for _, key := range []string{"out/new", "dir/out/new", "dir/out/deep/new"} {
		_, err := buckettest.PutText(t.Context(), s, key, "x", bucket.PutOptions{})
		if !errors.Is(err, bucket.ErrDenied) {
			t.Errorf("Put %s: %v", key, err)
		}
		_ = s.Delete(t.Context(), key, "out/secret")
	}
	// A link's own name is free: the object takes its place.
	for _, key := range []string{"file", "planted"} {
		if _, err := buckettest.PutText(t.Context(), s, key, "mine", bucket.PutOptions{}); err != nil {
			t.Errorf("Put %s: %v", key, err)
		}
	}
	if keys := keysOf(t, s); !slices.Equal(keys, []string{"file", "first", "planted", "real"}) {
		t.Errorf("listed %q", keys)
	}
	if b, err := os.ReadFile(filepath.Join(outside, "secret")); err != nil || string(b) != "secret" {
		t.Errorf("outside: %q, %v", b, err)
	}
	if entries, _ := os.ReadDir(outside); len(entries) != 1 {
		t.Errorf("outside: %v", entries)
	}
}

// What someone else puts into the directory neither hangs nor ends anything.
func TestHostileFiles(t *testing.T) {
	t.Parallel()
	s, dir := newDir(t)
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, ".meta", "first.json.x"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"new\nline", "bad\xff", "esc\x1b[31m", ".nfs000123", "d/.nfs1"} {
		write(t, filepath.Join(dir, name), "x")
	}
	deep := dir
	for range 15 {
		deep = filepath.Join(deep, strings.Repeat("d", 100))
	}
	write(t, filepath.Join(deep, "x"), "deeper than any key")
	if keys := keysOf(t, s); !slices.Equal(keys, []string{"first"}) {
		t.Errorf("listed %q", keys)
	}
	if _, err := s.Get(t.Context(), "fifo", bucket.GetOptions{}); !errors.Is(err, bucket.ErrNotFound) {
		t.Errorf("FIFO: %v", err)
	}
	for _, key := range []string{".meta/x", ".tmp/x", ".lock/00", ".media-offload", ".media-offload/x", "lost+found", "d/.nfs1", ".nfsx"} {
		if _, err := buckettest.PutText(t.Context(), s, key, "x", bucket.PutOptions{}); !errors.Is(err, bucket.ErrRefused) {
			t.Errorf("Put %s: %v", key, err)
		}
	}
}

// A writer waits for another process's lock, and no longer than its context.
func TestLockHeld(t *testing.T) {
	t.Parallel()
	s, dir := newDir(t)
	var held []*os.File
	for slot := range 64 {
		f, err := os.OpenFile(filepath.Join(dir, ".lock", fmt.Sprintf("%02x", slot)), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		held = append(held, f)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := buckettest.PutText(ctx, s, "a", "x", bucket.PutOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a deadline: %v", err)
	}
	if err := s.Delete(ctx, "first"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Delete with a deadline: %v", err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := buckettest.PutText(t.Context(), s, "a", "x", bucket.PutOptions{})
		done <- err
	}()
	for _, f := range held {
		_ = f.Close()
	}
	if err := <-done; err != nil {
		t.Errorf("after the release: %v", err)
	}
}

// A full disk is told as such, and nothing is left behind; reading goes on.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	mount := t.TempDir()
	if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("mounting a tmpfs needs CAP_SYS_ADMIN: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(mount, syscall.MNT_DETACH) })
	s := openDirAt(t, filepath.Join(mount, "bucket"))
	if _, err := buckettest.PutText(t.Context(), s, "a", "old", bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	const size = 3 << 20
	_, err := s.Put(t.Context(), "a", buckettest.Pattern{Size: size}, size, bucket.PutOptions{})
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("full: %v", err)
	}
	buckettest.CheckError(t, err, bucket.ErrFull, "storing a")
	if left, _ := filepath.Glob(filepath.Join(mount, "bucket/.tmp/*")); len(left) != 0 {
		t.Errorf("left in .tmp: %q", left)
	}
	if got, _ := content(t, s, "a"); got != "old" {
		t.Errorf("has %q", got)
	}
	// Read-only: reads work, also of a file that would have to be recorded.
	write(t, filepath.Join(mount, "bucket/hand"), "x")
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(mount, "bucket/hand"), past, past); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("", mount, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if got, _ := content(t, s, "hand"); got != "x" {
		t.Errorf("has %q", got)
	}
	_, err = buckettest.PutText(t.Context(), s, "b", "x", bucket.PutOptions{})
	buckettest.CheckError(t, err, bucket.ErrDenied, "read-only")
	buckettest.CheckError(t, s.Delete(t.Context(), "a"), bucket.ErrDenied, "read-only")
}

// A body on disk that shrinks while it is read ends in an error.
func TestCutBody(t *testing.T) {
	t.Parallel()
	s, dir := newDir(t)
	write(t, filepath.Join(dir, "a"), strings.Repeat("x", 100_000))
	o, err := s.Get(t.Context(), "a", bucket.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Body.Close()
	if err := os.Truncate(filepath.Join(dir, "a"), 10); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, o.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
}

// TestHugeFile: a file that nobody described is not read to learn its name, nor
// that it is too large: it may be sparse and have any size.
func TestHugeFile(t *testing.T) {
	t.Parallel()
	s, dir := newDir(t)
	write(t, filepath.Join(dir, "log", "1"), "")
	if err := os.Truncate(filepath.Join(dir, "log", "1"), 1<<42); err != nil {
		t.Skipf("no sparse files: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := s.Get(ctx, "log/1", bucket.GetOptions{AtMost: 1 << 20}); !errors.Is(err, bucket.ErrTooLarge) {
		t.Errorf("Get: %v", err)
	}
	n := 0
	for info, err := range s.ListNames(ctx, "log/", "") {
		if n++; err != nil || info.Key != "log/1" || info.Size != 1<<42 {
			t.Errorf("listed %+v, %v", info, err)
		}
	}
	if n != 1 {
		t.Errorf("%d objects", n)
	}
}

// What has an object's name and is none does not keep it from being created: else
// whoever can write to the directory would end the change log by one symlink.
func TestCreateWhereNoObjectIs(t *testing.T) {
	t.Parallel()
	s, dir := newDir(t)
	outside := filepath.Join(t.TempDir(), "outside")
	write(t, outside, "outside")
	for name, plant := range map[string]func(name string) error{
		"symlink":         func(name string) error { return os.Symlink(outside, name) },
		"loop":            func(name string) error { return os.Symlink(filepath.Base(name), name) },
		"dangling":        func(name string) error { return os.Symlink("nothing", name) },
		"FIFO":            func(name string) error { return syscall.Mkfifo(name, 0o600) },
		"empty directory": func(name string) error { return os.Mkdir(name, 0o755) },
	} {
		if err := plant(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Head(t.Context(), name); !errors.Is(err, bucket.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := buckettest.PutText(t.Context(), s, name, "mine", bucket.PutOptions{IfNoneMatch: true}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := buckettest.PutText(t.Context(), s, name, "twice", bucket.PutOptions{IfNoneMatch: true}); !errors.Is(err, bucket.ErrExists) {
			t.Errorf("%s again: %v", name, err)
		}
	}
	for _, odd := range []string{"tree/a/symlink", "tree/b/symlink"} {
		write(t, filepath.Join(dir, path.Dir(odd), "x"), "")
		if err := errors.Join(os.Remove(filepath.Join(dir, path.Dir(odd), "x")), os.Symlink(outside, filepath.Join(dir, odd))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := buckettest.PutText(t.Context(), s, "tree", "mine", bucket.PutOptions{IfNoneMatch: true}); err != nil {
		t.Errorf("directories with what is no object: %v", err)
	}
	write(t, filepath.Join(dir, "full/x"), "x")
	if _, err := buckettest.PutText(t.Context(), s, "full", "mine", bucket.PutOptions{IfNoneMatch: true}); !errors.Is(err, bucket.ErrRefused) {
		t.Errorf("a directory that is not empty: %v", err)
	}
	if b, err := os.ReadFile(outside); err != nil || string(b) != "outside" {
		t.Errorf("outside: %q, %v", b, err)
	}
}
