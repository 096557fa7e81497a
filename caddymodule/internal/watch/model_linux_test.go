package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// modelState is what a walk finds, by path; directories are left out, because
// only files are reported.
type modelState map[string]modelFile

// modelFile leaves out ctime, which changes also when another name of the file
// comes or goes.
type modelFile struct {
	ino   uint64
	size  int64
	mtime int64
	mode  uint32
}

func walkModel(t *testing.T, root string) modelState {
	t.Helper()
	state := modelState{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		state[filepath.ToSlash(rel)] = modelFile{ino: st.Ino, size: st.Size, mtime: st.Mtim.Nano(), mode: st.Mode}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// missed returns a path that differs between the states without an event that
// leads there. A change of a file with several names is reported for the one
// that it was made through.
func missed(before, after modelState, events []Event) (string, bool) {
	told := map[uint64]bool{} // by inode
	for _, state := range []modelState{before, after} {
		for path, file := range state {
			told[file.ino] = told[file.ino] || covered(events, 0, path)
		}
	}
	for path, file := range after {
		old, was := before[path]
		switch {
		case old == file || covered(events, 0, path):
		case was && old.ino == file.ino && told[file.ino]:
		default:
			return path, true
		}
	}
	for path := range before {
		if _, ok := after[path]; !ok && !covered(events, 0, path) {
			return path, true
		}
	}
	return "", false
}

// modelWriter does random things to a tree that others do random things to.
// Errors are part of it: the others get in the way.
type modelWriter struct {
	root string
	rnd  *rand.Rand
}

// name is one of few, so that the writers meet, up to five levels deep.
func (m *modelWriter) name() string {
	name := m.root
	for range 1 + m.rnd.IntN(5) {
		name = filepath.Join(name, string(rune('a'+m.rnd.IntN(4))))
	}
	return name
}

func (m *modelWriter) step() {
	a, b := m.name(), m.name()
	switch m.rnd.IntN(16) {
	case 0, 1, 2:
		_ = os.WriteFile(a, make([]byte, m.rnd.IntN(3)), 0o644)
	case 3, 4:
		_ = os.MkdirAll(a, 0o755)
	case 5:
		_ = os.MkdirAll(a, 0o755)
		_ = os.WriteFile(filepath.Join(a, "new"), nil, 0o644)
	case 6, 7, 8:
		_ = unix.Rename(a, b)
	case 9:
		_ = os.Remove(a)
	case 10:
		_ = os.RemoveAll(a)
	case 11:
		_ = os.Link(a, b)
	case 12:
		_ = os.Symlink(m.root, a)
	case 15:
		_ = unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	case 13:
		_ = os.Chmod(a, 0o600|fs.FileMode(m.rnd.IntN(64)))
	case 14:
		if file, err := os.OpenFile(a, os.O_WRONLY|os.O_APPEND, 0); err == nil {
			_, _ = file.WriteString("more")
			_ = os.Rename(a, b)
			_, _ = file.WriteString("more")
			_ = file.Close()
		}
	}
}

// modelSeed is logged, and taken from WATCH_SEED to try a failure again.
func modelSeed(t *testing.T) uint64 {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("WATCH_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("WATCH_SEED: %v", err)
		}
	}
	t.Logf("WATCH_SEED=%d", seed)
	return seed
}

// Promise 2: "Nothing is lost." Whatever several writers did to the tree, the
// events up to a barrier lead to every difference that a walk finds.
func TestSoakModel(t *testing.T) {
	bothKinds(t, func(t *testing.T, cfg Config) {
		seed := modelSeed(t)
		cfg.Roots = []string{t.TempDir()}
		end := time.Now().Add(soak(t))
		changes, watchers := 0, 0
		for ; watchers < 6 || time.Now().Before(end); watchers++ {
			changes += modelRounds(t, start(t, cfg), rand.New(rand.NewPCG(seed, uint64(watchers))))
		}
		t.Logf("%d watchers, %d files created or changed", watchers, changes)
	})
}

// modelRounds lets writers loose on f's tree some times, checks after each,
// closes f, and returns how many changes a walk saw.
func modelRounds(t *testing.T, f *fixture, rnd *rand.Rand) (changes int) {
	t.Helper()
	before := walkModel(t, f.root)
	for round := range 12 {
		var wg sync.WaitGroup
		for range 4 {
			m := &modelWriter{root: f.root, rnd: rand.New(rand.NewPCG(rnd.Uint64(), rnd.Uint64()))}
			wg.Go(func() {
				for range 60 {
					m.step()
				}
			})
		}
		wg.Wait()
		events := f.seen()
		after := walkModel(t, f.root)
		if path, ok := missed(before, after, events); ok {
			t.Fatalf("round %d: %s: %+v became %+v, and no event tells", round, path, before[path], after[path])
		}
		for path, st := range after {
			if before[path] != st {
				changes++
			}
		}
		before = after
	}
	f.must(f.w.Close())
	f.must(checkTree(f))
	return changes
}

// checkTree compares what a closed watcher takes the tree to be with the disk.
func checkTree(f *fixture) error {
	s, ok := f.w.(*watcher).src.(*inotifySource)
	if !ok {
		return nil
	}
	watched := map[string]bool{}
	for wd, n := range s.tree.byWD {
		if n.wd != wd {
			return fmt.Errorf("watch %d is recorded as %d", n.wd, wd)
		}
		if !n.live {
			return fmt.Errorf("watch %d is kept for nothing", wd)
		}
		watched[string(appendPath(nil, n, ""))] = true
	}
	var errs []error
	err := filepath.WalkDir(f.root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(f.root, path)
		if rel == "." {
			rel = ""
		}
		if !watched[rel] {
			errs = append(errs, fmt.Errorf("directory %q is not watched", rel))
		}
		delete(watched, rel)
		return err
	})
	for path := range watched {
		errs = append(errs, fmt.Errorf("directory %q is in the tree and not on disk", path))
	}
	return errors.Join(append(errs, err)...)
}
