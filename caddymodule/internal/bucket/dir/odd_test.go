package dir_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// oddities puts something that is no regular file and no directory of ours at a path.
var oddities = map[string]func(t *testing.T, at string) error{
	"file":         func(_ *testing.T, at string) error { return os.WriteFile(at, []byte("x"), 0o600) },
	"loop":         func(_ *testing.T, at string) error { return os.Symlink(filepath.Base(at), at) },
	"link out":     func(t *testing.T, at string) error { return os.Symlink(t.TempDir(), at) },
	"dangling":     func(_ *testing.T, at string) error { return os.Symlink("nothing", at) },
	"FIFO":         func(_ *testing.T, at string) error { return syscall.Mkfifo(at, 0o600) },
	"socket":       makeSocket,
	"directory":    func(_ *testing.T, at string) error { return os.Mkdir(at, 0o700) },
	"full of more": func(_ *testing.T, at string) error { return os.MkdirAll(filepath.Join(at, "a", "b"), 0o700) },
}

func makeSocket(_ *testing.T, at string) error {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer func() { _ = syscall.Close(fd) }()
	dir, err := os.Open(filepath.Dir(at)) // a socket's path must be short
	if err != nil {
		return err
	}
	defer dir.Close()
	return syscall.Bind(fd, &syscall.SockaddrUnix{Name: filepath.Join("/proc/self/fd", strconv.Itoa(int(dir.Fd())), filepath.Base(at))})
}

// TestOddThingsAmongTheRecords: whatever somebody puts where a record belongs, or a
// directory of them, is no record. It stops no listing, and nobody's storing,
// reading or deleting.
func TestOddThingsAmongTheRecords(t *testing.T) {
	t.Parallel()
	for name, put := range oddities {
		for _, at := range []string{"cache", "cache/page.html", "cache/page.html/1.html.json"} {
			t.Run(name+" at "+at, func(t *testing.T) {
				t.Parallel()
				s, dir := newDir(t)
				write(t, filepath.Join(dir, "cache/page.html/1.html"), "by hand")
				place := filepath.Join(dir, ".meta", at)
				if err := os.MkdirAll(filepath.Dir(place), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := put(t, place); err != nil {
					t.Fatal(err)
				}
				if keys := inTime(t, func() []string { return keysOf(t, s) }); !slices.Equal(keys, []string{"cache/page.html/1.html", "first"}) {
					t.Errorf("listed %q", keys)
				}
				if got, _ := content(t, s, "cache/page.html/1.html"); got != "by hand" {
					t.Errorf("has %q", got)
				}
				if err := s.Delete(t.Context(), "cache/page.html/1.html"); err != nil {
					t.Error(err)
				}
				if _, err := buckettest.PutText(t.Context(), s, "cache/page.html/1.html", "new", bucket.PutOptions{Info: bucket.Info{ContentType: "text/x-own"}}); err != nil {
					t.Error(err)
				}
				if got, info := content(t, s, "cache/page.html/1.html"); got != "new" || info.ContentType != "text/x-own" {
					t.Errorf("has %q, %s", got, info.ContentType)
				}
			})
		}
	}
}

// TestOddThingsAmongTheLocks: what somebody puts in the place of a lock keeps no name
// from being stored.
func TestOddThingsAmongTheLocks(t *testing.T) {
	t.Parallel()
	for name, put := range oddities {
		if name == "file" {
			continue // that is what belongs there
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, dir := newDir(t)
			for slot := range 64 {
				at := filepath.Join(dir, ".lock", fmt.Sprintf("%02x", slot))
				if err := os.RemoveAll(at); err != nil {
					t.Fatal(err)
				}
				if err := put(t, at); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := buckettest.PutText(t.Context(), s, "a", "x", bucket.PutOptions{}); err != nil {
				t.Errorf("Put: %v", err)
			}
			if err := s.Delete(t.Context(), "first"); err != nil {
				t.Errorf("Delete: %v", err)
			}
		})
	}
}

// inTime is what do returns, unless that takes for ever.
func inTime[T any](t *testing.T, do func() T) (v T) {
	t.Helper()
	done := make(chan T, 1)
	go func() {
		defer close(done) // do may end the test
		done <- do()
	}()
	select {
	case v = <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it hangs")
	}
	return v
}
