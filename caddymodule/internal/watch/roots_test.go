package watch

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The first upload of a fresh site creates the root within the request that
// writes the file.
func TestRootAppears(t *testing.T) {
	bothKinds(t, func(t *testing.T, cfg Config) {
		base := t.TempDir()
		other := filepath.Join(base, "other")
		cfg.Roots = []string{filepath.Join(base, "not", "yet", "uploads"), other}
		f := start(t, cfg)
		wantNone(t, f.seen())
		if len(f.log.lines("not there yet")) != 2 {
			t.Error("the log does not say that the roots are missing")
		}
		f.mkdir("2026")
		f.write("2026/a.jpg", "a")
		events := f.seen()
		wantLast(t, events, "", Rescan)
		if !covered(events, 0, "2026/a.jpg") || covered(events, 1, "2026/a.jpg") {
			t.Errorf("got %v", events)
		}
		f.write("2026/b.jpg", "b")
		wantLast(t, f.seen(), "2026/b.jpg", Wrote)
	})
}

func TestRootAppearsWithoutBarrier(t *testing.T) {
	bothKinds(t, func(t *testing.T, cfg Config) {
		got := make(chan Event, 10)
		cfg.Handle = func(events []Event) { got <- events[0] }
		cfg.Roots = []string{filepath.Join(t.TempDir(), "later")}
		f := start(t, cfg)
		f.mkdir("")
		select {
		case ev := <-got:
			if ev.Op != Rescan || ev.Path != "" {
				t.Errorf("got %v", ev)
			}
		case <-time.After(patience):
			t.Fatal("no Rescan")
		}
	})
}

func TestRootDisappearsAndComesBack(t *testing.T) {
	bothKinds(t, func(t *testing.T, cfg Config) {
		f := start(t, cfg)
		for range 20 {
			f.mkdir("a")
			f.write("a/1.jpg", "1")
			f.barrier()
			f.remove("")
			f.barrier()
			for _, ev := range f.take() {
				if ev.Op == DirGone && ev.Path == "" {
					t.Fatalf("a root that has disappeared is no deleted one: %v", ev)
				}
			}
			f.mkdir("a") // file systems like to give the same inode number
			f.write("a/2.jpg", "2")
			if events := f.seen(); !covered(events, 0, "a/2.jpg") {
				t.Fatalf("got %v", events)
			}
			f.write("a/3.jpg", "3")
			wantLast(t, f.seen(), "a/3.jpg", Wrote)
		}
		if len(f.log.lines("media root has disappeared")) == 0 {
			t.Error("the log does not say that the root is missing")
		}
	})
}

func TestRootReplaced(t *testing.T) {
	bothKinds(t, func(t *testing.T, cfg Config) {
		base := t.TempDir()
		cfg.Roots = []string{filepath.Join(base, "uploads")}
		if err := os.MkdirAll(filepath.Join(base, "uploads", "sub"), 0o755); err != nil {
			t.Fatal(err)
		}
		f := start(t, cfg)
		for range 5 {
			f.must(os.MkdirAll(filepath.Join(base, "next", "sub"), 0o755))
			f.rename("", "../old")
			f.must(os.Rename(filepath.Join(base, "next"), f.root))
			f.must(os.RemoveAll(filepath.Join(base, "old")))
			wantLast(t, f.seen(), "", Rescan)
			f.write("sub/new.jpg", "x")
			wantLast(t, f.seen(), "sub/new.jpg", Wrote)
		}
	})
}

// What was a root and is elsewhere now is nobody's.
func TestRootRenamedAway(t *testing.T) {
	bothKinds(t, func(t *testing.T, cfg Config) {
		base := t.TempDir()
		cfg.Roots = []string{filepath.Join(base, "uploads")}
		if err := os.MkdirAll(filepath.Join(base, "uploads", "sub"), 0o755); err != nil {
			t.Fatal(err)
		}
		f := start(t, cfg)
		f.rename("", "../away")
		f.seen()
		f.must(os.WriteFile(filepath.Join(base, "away", "sub", "a.jpg"), nil, 0o644))
		wantNone(t, f.seen())
		f.rename("../away", "")
		wantLast(t, f.seen(), "", Rescan)
		f.write("sub/b.jpg", "b")
		wantLast(t, f.seen(), "sub/b.jpg", Wrote)
	})
}

// A deploy switches a symbolic link above the root, of which the root itself
// hears nothing.
func TestRootIsSwitchedByASymbolicLink(t *testing.T) {
	bothKinds(t, func(t *testing.T, cfg Config) {
		base := t.TempDir()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, release := range []string{"1", "2"} {
			must(os.MkdirAll(filepath.Join(base, "releases", release, "uploads"), 0o755))
		}
		current := filepath.Join(base, "current")
		point := func(release string) {
			t.Helper()
			must(os.Symlink(filepath.Join("releases", release), current+".new"))
			must(os.Rename(current+".new", current))
		}
		point("1")
		cfg.Roots = []string{filepath.Join(current, "uploads")}
		f := start(t, cfg)
		for range 3 {
			for _, release := range []string{"2", "1"} {
				f.barrier()
				f.take()
				point(release)
				f.write("a.jpg", release)
				if events := f.seen(); !covered(events, 0, "a.jpg") {
					t.Fatalf("release %s: got %v", release, events)
				}
				f.write("b.jpg", release)
				wantLast(t, f.seen(), "b.jpg", Wrote)
				f.mkdir("sub/sub")
				f.write("sub/sub/c.jpg", release)
				wantLast(t, f.seen(), "sub/sub/c.jpg", Wrote)
			}
		}
	})
}

// Two roots that come to be one directory: each change must have one path.
func TestRootsThatOverlapLater(t *testing.T) {
	base := t.TempDir()
	f := start(t, Config{Roots: []string{filepath.Join(base, "a"), filepath.Join(base, "b")}})
	f.mkdir("")
	f.must(os.Symlink("a", f.roots[1]))
	f.barrier()
	if len(f.log.lines("media root is not watched because another contains it", f.roots[1])) != 1 {
		t.Error("the log does not tell")
	}
	f.take()
	f.write("1.jpg", "1")
	for _, ev := range f.seen() {
		if ev.Root != 0 {
			t.Errorf("got %v", ev)
		}
	}
	f.must(os.Remove(f.roots[1]))
	f.must(os.Mkdir(f.roots[1], 0o755))
	f.must(os.WriteFile(filepath.Join(f.roots[1], "2.jpg"), nil, 0o644))
	if events := f.seen(); !covered(events, 1, "2.jpg") {
		t.Errorf("got %v", events)
	}
}
