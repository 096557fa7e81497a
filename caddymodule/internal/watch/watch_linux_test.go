package watch

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestExchange(t *testing.T) {
	bothKinds(t, func(t *testing.T, cfg Config) {
		f := start(t, cfg)
		exchange := func(a, b string) {
			f.t.Helper()
			err := unix.Renameat2(unix.AT_FDCWD, f.path(a), unix.AT_FDCWD, f.path(b), unix.RENAME_EXCHANGE)
			f.must(err)
		}
		f.mkdir("a/sub")
		f.mkdir("b")
		f.write("file", "x")
		f.seen()
		exchange("a", "b")
		f.write("b/sub/1.jpg", "1")
		f.write("a/1.jpg", "1")
		events := f.seen()
		wantLast(t, events, "b/sub/1.jpg", Wrote)
		wantLast(t, events, "a/1.jpg", Wrote)

		f.write("b/sub/later.jpg", "1")
		f.write("a/later.jpg", "1")
		events = f.seen()
		wantLast(t, events, "b/sub/later.jpg", Wrote)
		wantLast(t, events, "a/later.jpg", Wrote)

		exchange("b", "file") // a directory and a file
		f.write("file/sub/2.jpg", "2")
		events = f.seen()
		wantLast(t, events, "file/sub/2.jpg", Wrote)
		if !covered(events, 0, "b") {
			t.Errorf("b is a file now, and nothing says so: %v", events)
		}
		f.write("file/sub/3.jpg", "3")
		wantLast(t, f.seen(), "file/sub/3.jpg", Wrote)
	})
}

// Promise 7: "No path leaves a media root".
func TestLinksAndSpecialFiles(t *testing.T) {
	bothKinds(t, func(t *testing.T, cfg Config) {
		outside := t.TempDir()
		f := start(t, cfg)
		f.mkdir("d")
		f.write("d/1.jpg", "1")
		f.must(os.Symlink(outside, f.path("out")))
		f.must(os.Symlink(f.root, f.path("d/loop")))
		f.must(os.Symlink("self", f.path("self")))
		f.must(unix.Mkfifo(f.path("fifo"), 0o600)) // opening it would wait for ever
		f.must(unix.Mknod(f.path("null"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))))
		socket, err := net.ListenUnix("unix", &net.UnixAddr{Name: f.path("socket")})
		f.must(err)
		defer socket.Close()
		f.must(os.Link(f.path("d/1.jpg"), f.path("hard.jpg")))
		wantLast(t, f.seen(), "hard.jpg", Wrote, Writing)

		f.must(os.WriteFile(filepath.Join(outside, "secret"), nil, 0o600))
		f.must(os.Mkdir(filepath.Join(outside, "sub"), 0o700))
		for _, ev := range f.seen() {
			if strings.HasPrefix(ev.Path, "out/") || strings.HasPrefix(ev.Path, "d/loop/") {
				t.Errorf("a symbolic link was followed: %v", ev)
			}
		}

		f.mkdir("swap")
		f.write("swap/2.jpg", "2")
		f.seen()
		f.remove("swap")
		f.must(os.Symlink(outside, f.path("swap")))
		if events := f.seen(); !covered(events, 0, "swap/2.jpg") {
			t.Errorf("swap/2.jpg is gone, and nothing says so: %v", events)
		}
		f.must(os.WriteFile(filepath.Join(outside, "sub", "secret"), nil, 0o600))
		for _, ev := range f.seen() {
			if strings.Contains(ev.Path, "secret") {
				t.Errorf("a symbolic link was followed: %v", ev)
			}
		}
	})
}

// An app may leave a conversion to a program, and that may leave closing its
// files to the kernel.
func TestWriterExitsWithoutClosing(t *testing.T) {
	bothKinds(t, func(t *testing.T, cfg Config) {
		f := start(t, cfg)
		for range 50 {
			cmd := exec.CommandContext(t.Context(), "sh", "-c", "exec 3>new.jpg && echo converted >&3")
			cmd.Dir = f.root
			f.must(cmd.Run())
			wantLast(t, f.seen(), "new.jpg", Wrote)
			f.remove("new.jpg")
			f.seen()
		}
	})
}

// Promise 7: "No path leaves a media root (symlinks, […])": whoever exchanges a
// directory for a link while it is looked at does not lead the watcher away.
func TestOpenDirFollowsNothing(t *testing.T) {
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(base, "real", "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", filepath.Join(base, "link")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"real/sub": true, "link": false, "link/sub": false, "link/": false} {
		d, err := openDir(base + "/" + path)
		if err == nil {
			d.close()
		}
		if (err == nil) != want || err != nil && !isGone(err) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Longer than a path may be: what is too deep cannot be reached by the app's
// path either. It must do no harm to the rest.
func TestTooDeep(t *testing.T) {
	bothKinds(t, func(t *testing.T, cfg Config) {
		f := start(t, cfg)
		f.mkdir("beside")
		name := strings.Repeat("n", 250)
		at, err := unix.Open(f.root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		f.must(err)
		for range 20 {
			f.must(unix.Mkdirat(at, name, 0o755))
			next, err := unix.Openat(at, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			f.must(err)
			f.must(unix.Close(at))
			at = next
		}
		f.must(unix.Close(at))
		f.write(name+"/1.jpg", "1")
		f.write("beside/2.jpg", "2")
		events := f.seen()
		wantLast(t, events, name+"/1.jpg", Wrote)
		wantLast(t, events, "beside/2.jpg", Wrote)
		if len(f.log.lines("file name too long")) != 1 {
			t.Error("the log does not tell")
		}
		f.remove(name)
		wantLast(t, f.seen(), name, DirGone)
	})
}

// A Rescan costs a look at all files below. The kernel drops the watch of a
// removed directory before its parent hears of it; that is no reason for one.
func TestRemovedDirectoriesNeedNoRescan(t *testing.T) {
	f := start(t, Config{})
	for range 4 {
		f.mkdir("own/deep")
		f.write("own/deep/1.jpg", "1")
		f.seen()
		f.remove("moved")
		f.must(os.Rename(filepath.Join(f.root, "own"), filepath.Join(f.root, "moved")))
		for _, ev := range f.seen() {
			if ev.Op == Rescan {
				t.Errorf("unexpected %v", ev)
			}
		}
	}
}
