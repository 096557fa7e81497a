package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// helpUnmount: a root, and a directory in one, on file systems that go away.
// Nothing may look like a delete.
func helpUnmount() int {
	root := os.Getenv("WATCH_TEST_DIR")
	for _, target := range []string{root, filepath.Join(root, "nested")} {
		for _, scan := range []bool{false, true} {
			if code := unmount(root, target, scan); code != 0 {
				return code
			}
		}
	}
	return 0
}

func unmount(root, target string, scan bool) int {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return complain(err)
	}
	if err := unix.Mount("none", target, "tmpfs", 0, ""); err != nil {
		fmt.Println(err)
		return helperCannot
	}
	file := filepath.Join(target, "a.jpg")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		return complain(err)
	}
	rec, ctx := &recorder{}, context.Background()
	w, err := New(ctx, Config{Roots: []string{root}, Handle: rec.handle, Scan: scan})
	if err != nil {
		return complain(err)
	}
	defer w.Close()
	if err := errors.Join(unix.Unmount(target, 0), w.Barrier(ctx)); err != nil {
		return complain("scan:", scan, err)
	}
	events := rec.take()
	rel := strings.TrimPrefix(strings.TrimPrefix(file, root), "/")
	if !covered(events, 0, rel) {
		return complain("scan:", scan, "no Rescan after unmounting", target, events)
	}
	for _, ev := range events {
		if ev.Op == Gone || ev.Op == DirGone {
			return complain("scan:", scan, "unmounting", target, "looks like a delete:", events)
		}
	}
	if err := errors.Join(os.WriteFile(file, nil, 0o644), w.Barrier(ctx)); err != nil {
		return complain(err)
	}
	if events := rec.take(); !covered(events, 0, rel) {
		return complain("scan:", scan, "missed the file below the mount point", events)
	}
	if err := os.Remove(file); err != nil {
		return complain(err)
	}
	return 0
}

func TestUnmount(t *testing.T) { runHelper(t, "unmount", unix.CLONE_NEWUSER|unix.CLONE_NEWNS) }

// helpBinds: directories that can be reached by two paths.
func helpBinds() int {
	root := os.Getenv("WATCH_TEST_DIR")
	a, b, loop := filepath.Join(root, "a"), filepath.Join(root, "b"), filepath.Join(root, "loop")
	for _, dir := range []string{a, b, loop} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return complain(err)
		}
	}
	if err := errors.Join(unix.Mount(a, b, "", unix.MS_BIND, ""), unix.Mount(root, loop, "", unix.MS_BIND, "")); err != nil {
		fmt.Println(err)
		return helperCannot
	}
	w, rec, log, err := watchForHelper(root)
	if err != nil {
		return complain(err)
	}
	defer w.Close()
	for i, dir := range []string{a, b, root, loop, filepath.Join(loop, "a")} {
		for range 2 {
			name := fmt.Sprintf("%d.jpg", i)
			err := os.WriteFile(filepath.Join(dir, name), nil, 0o644)
			if err := errors.Join(err, w.Barrier(context.Background())); err != nil {
				return complain(err)
			}
			events := rec.take()
			if !covered(events, 0, "a/"+name) && !covered(events, 0, "b/"+name) && !covered(events, 0, name) {
				return complain("missed", dir, events)
			}
		}
	}
	if len(log.lines("mounted twice")) == 0 {
		return complain("the log does not tell", log)
	}
	fmt.Print(log)
	return 0
}

func TestBindMounts(t *testing.T) { runHelper(t, "binds", unix.CLONE_NEWUSER|unix.CLONE_NEWNS) }
