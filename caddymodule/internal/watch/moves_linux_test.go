package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// wantMoved checks that the last event for a path tells where it went: to a path
// below the first root, or "" for nowhere that is known.
func wantMoved(t *testing.T, events []Event, from string, op Op, to string) {
	t.Helper()
	if ev := wantLast(t, events, from, op); ev.To != to || ev.ToRoot != 0 {
		t.Errorf("%q went to %q in root %d, want %q", from, ev.To, ev.ToRoot, to)
	}
}

func TestRenamesTellWhereTo(t *testing.T) {
	f := start(t, Config{})
	f.mkdir("d/e")
	f.write("a.jpg", "a")
	f.write("d/1.jpg", "1")
	f.seen()

	f.rename("a.jpg", "b.jpg")
	events := f.seen()
	wantMoved(t, events, "a.jpg", Gone, "b.jpg")
	wantLast(t, events, "b.jpg", Wrote)

	f.rename("b.jpg", "d/e/c.jpg")
	wantMoved(t, f.seen(), "b.jpg", Gone, "d/e/c.jpg")

	f.rename("d", "z")
	events = f.seen()
	wantMoved(t, events, "d", DirGone, "z")
	wantLast(t, events, "z/e/c.jpg", Wrote)
	if last := events[len(events)-1]; last.Path != "d" {
		t.Errorf("what is in the new directory is not told before it is said to be there: %v", events)
	}

	f.rename("z/e", "e")
	wantMoved(t, f.seen(), "z/e", DirGone, "e")
	f.rename("e/c.jpg", "c.jpg")
	wantMoved(t, f.seen(), "e/c.jpg", Gone, "c.jpg")

	t.Run("in steps", func(t *testing.T) {
		f.write("tmp", "x")
		f.rename("tmp", "one")
		f.rename("one", "two")
		events := f.seen()
		wantMoved(t, events, "tmp", Gone, "one")
		wantMoved(t, events, "one", Gone, "two")
		wantLast(t, events, "two", Wrote)
	})
	t.Run("exchanged", func(t *testing.T) {
		f.write("left", "l")
		f.write("right", "r")
		f.seen()
		err := unix.Renameat2(unix.AT_FDCWD, f.path("left"), unix.AT_FDCWD, f.path("right"), unix.RENAME_EXCHANGE)
		f.must(err)
		if events := f.seen(); !covered(events, 0, "left") || !covered(events, 0, "right") {
			t.Errorf("not told: %v", events)
		}
	})
	t.Run("over a file that is made again", func(t *testing.T) {
		f.write("again", "1")
		f.seen()
		f.rename("again", "elsewhere")
		f.write("again", "2")
		events := f.seen()
		wantLast(t, events, "again", Wrote)
		f.remove("again")
		wantMoved(t, f.seen(), "again", Gone, "")
	})
}

func TestRenamesOutOfSightTellNothing(t *testing.T) {
	f := start(t, Config{Skip: func(_ int, dir string) bool { return dir == "cache" }})
	outside := t.TempDir()
	f.mkdir("cache")
	f.mkdir("d")
	f.write("d/1.jpg", "1")
	for i := range 3 * maxLeaving {
		f.write(fmt.Sprint(i), "x")
	}
	f.seen()
	f.rename("d", "cache/d")
	wantMoved(t, f.seen(), "d", DirGone, "")
	for i := range 3 * maxLeaving {
		f.must(os.Rename(f.path(fmt.Sprint(i)), filepath.Join(outside, fmt.Sprint(i))))
	}
	f.write("in.jpg", "x")
	f.rename("in.jpg", "moved.jpg")
	events := f.seen()
	for i := range 3 * maxLeaving {
		wantMoved(t, events, fmt.Sprint(i), Gone, "")
	}
	wantMoved(t, events, "in.jpg", Gone, "moved.jpg")

	t.Run("and its name is taken again", func(t *testing.T) {
		f.mkdir("e")
		f.seen()
		f.must(os.Rename(f.path("e"), filepath.Join(outside, "e")))
		f.mkdir("e")
		f.write("e/2.jpg", "2")
		wantLast(t, f.seen(), "e/2.jpg", Wrote)
	})
}

func TestRenamesBetweenRoots(t *testing.T) {
	roots := []string{t.TempDir(), t.TempDir()}
	f := start(t, Config{Roots: roots})
	f.mkdir("d")
	f.write("d/1.jpg", "1")
	f.write("2.jpg", "2")
	f.seen()
	f.must(os.Rename(f.path("d"), filepath.Join(roots[1], "e")))
	f.must(os.Rename(f.path("2.jpg"), filepath.Join(roots[1], "e", "2.jpg")))
	events := f.seen()
	for from, to := range map[string]string{"d": "e", "2.jpg": "e/2.jpg"} {
		if ev, _ := last(events, from); ev.To != to || ev.ToRoot != 1 {
			t.Errorf("%q went to %q in root %d; %v", from, ev.To, ev.ToRoot, events)
		}
	}
}
