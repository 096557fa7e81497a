package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func init() {
	helpers["unreadable"] = helpUnreadable
	helpers["instances"] = helpInstances
	helpers["watches"] = helpWatches
	helpers["unmount"] = helpUnmount
	helpers["descriptors"] = helpDescriptors
	helpers["binds"] = helpBinds
}

// runHelper runs this test binary as the named helper, in new name spaces, in
// which limits and mounts are its own.
func runHelper(t *testing.T, name string, namespaces uintptr) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), "WATCH_TEST_HELPER="+name, "WATCH_TEST_DIR="+t.TempDir(),
		"GORACE=atexit_sleep_ms=0") // else each helper takes a second more
	if namespaces != 0 {
		id := []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		gid := []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, UidMappings: id, GidMappings: gid}
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == helperCannot,
		err != nil && namespaces != 0 && exit == nil:
		t.Skipf("the kernel does not let us: %v %s", err, out)
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	default:
		t.Logf("%s", out)
	}
}

// helperCannot is the exit code that says that the kernel lacks something.
const helperCannot = 77

// watchForHelper is start without a testing.T.
func watchForHelper(roots ...string) (Watcher, *recorder, *logBuffer, error) {
	rec, log := &recorder{}, newLogBuffer()
	w, err := New(context.Background(), Config{
		Roots: roots, Handle: rec.handle, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	return w, rec, log, err
}

func complain(v ...any) int {
	fmt.Println(v...)
	return 1
}

// Promise of New's fallback: scanning takes over, and the admin is told which
// limit to raise. In a user name space the limits are our own.
func helpInstances() int {
	if err := os.WriteFile("/proc/sys/user/max_inotify_instances", []byte("0"), 0); err != nil {
		fmt.Println(err)
		return helperCannot
	}
	w, _, log, err := watchForHelper(os.Getenv("WATCH_TEST_DIR"))
	if err != nil {
		return complain(err)
	}
	defer w.Close()
	if w.Kind() != "scan" || len(log.lines("sysctl -w fs.inotify.max_user_instances=1024", "slow")) != 1 {
		return complain(w.Kind(), log)
	}
	fmt.Print(log)
	return 0
}

func helpWatches() int {
	if err := os.WriteFile("/proc/sys/user/max_inotify_watches", []byte("20"), 0); err != nil {
		fmt.Println(err)
		return helperCannot
	}
	root := os.Getenv("WATCH_TEST_DIR")
	w, rec, log, err := watchForHelper(root)
	if err != nil {
		return complain(err)
	}
	defer w.Close()
	if w.Kind() != "inotify" {
		return complain("not inotify:", log)
	}
	for i := range 30 {
		dir := filepath.Join(root, fmt.Sprint("d", i))
		if err := os.Mkdir(dir, 0o755); err != nil {
			return complain(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "a.jpg"), nil, 0o644); err != nil {
			return complain(err)
		}
		if err := w.Barrier(context.Background()); err != nil {
			return complain(err)
		}
		if events := rec.take(); !covered(events, 0, fmt.Sprintf("d%d/a.jpg", i)) {
			return complain("missed", i, events)
		}
	}
	if w.Kind() != "scan" || len(log.lines("sysctl -w fs.inotify.max_user_watches=", "slow")) != 1 {
		return complain(w.Kind(), log)
	}
	fmt.Print(log)
	return 0
}

func TestOutOfInotifyInstances(t *testing.T) { runHelper(t, "instances", unix.CLONE_NEWUSER) }
func TestOutOfInotifyWatches(t *testing.T)   { runHelper(t, "watches", unix.CLONE_NEWUSER) }

// The limit is met at start, and while running, with changes around the moment
// of falling back.
func TestMaxWatches(t *testing.T) {
	t.Run("at start", func(t *testing.T) {
		root := t.TempDir()
		for i := range 10 {
			if err := os.Mkdir(filepath.Join(root, fmt.Sprint(i)), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		f := start(t, Config{Roots: []string{root}, MaxWatches: 5})
		f.write("9/a.jpg", "a")
		wantLast(t, f.seen(), "9/a.jpg", Wrote)
		if f.w.Kind() != "scan" || len(f.log.lines("slow", errMaxWatches.Error())) != 1 {
			t.Errorf("kind %s", f.w.Kind())
		}
	})
	t.Run("later", func(t *testing.T) {
		f := start(t, Config{MaxWatches: 50})
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for j := range 40 {
					dir := fmt.Sprintf("%d-%d", i, j)
					f.mkdir(dir)
					f.write(dir+"/a.jpg", "a")
					f.barrier()
				}
			})
		}
		wg.Wait()
		events := f.seen()
		for i := range 4 {
			for j := range 40 {
				if path := fmt.Sprintf("%d-%d/a.jpg", i, j); !covered(events, 0, path) {
					t.Errorf("missed %s", path)
				}
			}
		}
		wantLast(t, events, "", Rescan)
		if f.w.Kind() != "scan" {
			t.Errorf("kind %s", f.w.Kind())
		}
	})
	t.Run("not reached, because renamed directories keep theirs", func(t *testing.T) {
		f := start(t, Config{MaxWatches: 12})
		for i := range 10 {
			f.mkdir(fmt.Sprintf("a/%d", i))
		}
		for range 20 {
			f.barrier()
			f.rename("a", "b")
			f.barrier()
			f.rename("b", "a")
		}
		f.barrier()
		if f.w.Kind() != "inotify" {
			t.Errorf("kind %s", f.w.Kind())
		}
	})
}

func TestMovedOutIsNotWatchedAnyMore(t *testing.T) {
	f := start(t, Config{})
	f.mkdir("a/b/c")
	f.barrier()
	f.must(os.Rename(f.path("a"), filepath.Join(t.TempDir(), "away")))
	f.barrier()
	f.must(f.w.Close())
	f.must(checkTree(f))
}

// A tree is exchanged for another while nothing is read: the watches of the
// one must not be in the other's way.
func TestMaxWatchesCountsNoStaleOnes(t *testing.T) {
	g := newGate()
	f := start(t, Config{MaxWatches: 15, Handle: g.handle})
	outside := t.TempDir()
	for i := range 10 {
		f.must(os.MkdirAll(filepath.Join(outside, "next", fmt.Sprint(i)), 0o755))
	}
	for i := range 10 {
		f.mkdir(fmt.Sprintf("first/%d", i)) // an empty directory is no event
	}
	f.barrier()
	f.write("a.jpg", "a")
	<-g.entered
	f.must(os.Rename(f.path("first"), filepath.Join(outside, "away")))
	f.must(os.Rename(filepath.Join(outside, "next"), f.path("next")))
	close(g.opened)
	f.barrier()
	if f.w.Kind() != "inotify" {
		t.Errorf("kind %s", f.w.Kind())
	}
	f.must(f.w.Close())
	f.must(checkTree(f))
}

// helpUnreadable: a directory that the watcher may not list is named in the
// log once, and is watched when its mode changes.
func helpUnreadable() int {
	root := os.Getenv("WATCH_TEST_DIR")
	if err := os.Chmod(root, 0o777); err != nil {
		return complain(err)
	}
	if err := os.Chmod(filepath.Dir(root), 0o755); err != nil { // go test closes it to others
		return complain(err)
	}
	if os.Getuid() == 0 {
		if err := syscall.Setresuid(65534, 65534, 65534); err != nil {
			fmt.Println(err)
			return helperCannot
		}
	}
	closed := filepath.Join(root, "closed")
	if err := os.Mkdir(closed, 0o300); err != nil {
		return complain(err)
	}
	for _, scan := range []bool{false, true} {
		if code := unreadable(root, closed, scan); code != 0 {
			return code
		}
		if err := os.Chmod(closed, 0o300); err != nil {
			return complain(err)
		}
	}
	return 0
}

func unreadable(root, closed string, scan bool) int {
	rec, log := &recorder{}, newLogBuffer()
	ctx := context.Background()
	w, err := New(ctx, Config{
		Roots: []string{root}, Handle: rec.handle, Scan: scan, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		return complain(err)
	}
	defer w.Close()
	for _, step := range []struct {
		do   func() error
		want string
	}{
		{func() error { return os.WriteFile(filepath.Join(root, "beside.jpg"), nil, 0o644) }, "beside.jpg"},
		{func() error { return os.Chmod(closed, 0o700) }, ""},
		{func() error { return os.WriteFile(filepath.Join(closed, "in.jpg"), nil, 0o644) }, "closed/in.jpg"},
	} {
		if err := errors.Join(step.do(), w.Barrier(ctx)); err != nil {
			return complain(err)
		}
		if events := rec.take(); step.want != "" && !covered(events, 0, step.want) {
			return complain("scan:", scan, "missed", step.want, events, log)
		}
	}
	if lines := log.lines(closed, "permission denied"); len(lines) != 1 {
		return complain("scan:", scan, "warnings:", len(lines), log)
	}
	return 0
}

func TestUnreadableDirectory(t *testing.T) { runHelper(t, "unreadable", 0) }

// More events than the kernel's queue holds, while Handle keeps it from being
// read.
func TestOverflow(t *testing.T) {
	limit := sysctlValue("fs.inotify.max_queued_events")
	if limit == 0 || limit > 1<<20 {
		t.Skipf("fs.inotify.max_queued_events is %d", limit)
	}
	entered, release := make(chan struct{}), make(chan struct{})
	rec := &recorder{}
	var once sync.Once
	f := start(t, Config{Handle: func(events []Event) {
		once.Do(func() { close(entered); <-release })
		rec.handle(events)
	}})
	f.mkdir("doomed/sub")
	f.barrier()
	f.write("first", "")
	<-entered
	for i := 0; i <= limit; i += 4 { // a rename is two events
		f.rename("first", "second")
		f.rename("second", "first")
	}
	before := f.w.(*watcher).src.quiet()
	f.mkdir("unseen/deep/down") // nothing in the queue tells of this
	f.remove("doomed")          // nor of this
	f.write("unseen/deep/down/1.jpg", "1")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	waited := make(chan error, 1)
	go func() { waited <- f.w.Barrier(ctx) }()
	close(release)
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
	if before {
		t.Error("the queue is empty: nothing was tested")
	}
	if events := rec.take(); !covered(events, 0, "unseen/deep/down/1.jpg") {
		t.Errorf("the barrier returned before the Rescan: %d events", len(events))
	}
	if len(f.log.lines("the kernel dropped file events", "max_queued_events")) != 1 {
		t.Error("the log does not tell of the overflow")
	}
	f.write("unseen/deep/down/2.jpg", "2")
	f.barrier()
	wantLast(t, rec.take(), "unseen/deep/down/2.jpg", Wrote)
	f.must(f.w.Close())
	f.must(checkTree(f))
}

// Out of descriptors, nothing can be looked at: barriers wait until it can.
func TestOutOfDescriptors(t *testing.T) { runHelper(t, "descriptors", 0) }

func helpDescriptors() int {
	root := os.Getenv("WATCH_TEST_DIR")
	w, rec, log, err := watchForHelper(root)
	if err != nil {
		return complain(err)
	}
	defer w.Close()
	deep := filepath.Join(root, "d", "e")
	if err := os.MkdirAll(filepath.Dir(deep), 0o755); err != nil {
		return complain(err)
	}
	if err := w.Barrier(context.Background()); err != nil {
		return complain(err)
	}
	var limit, none syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return complain(err)
	}
	none.Max = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		return complain(err)
	}
	if err := os.Mkdir(deep, 0o755); err != nil {
		return complain(err)
	}
	waited := make(chan error, 1)
	go func() { waited <- w.Barrier(context.Background()) }()
	for len(log.lines("cannot be looked at now", "too many open files")) == 0 {
		select {
		case err := <-waited:
			return complain("the barrier returned too soon", err, rec.take())
		case <-log.written:
		}
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return complain(err)
	}
	if err := <-waited; err != nil {
		return complain(err)
	}
	if events := rec.take(); !covered(events, 0, "d/e/a.jpg") {
		return complain("no Rescan", events)
	}
	if err := os.WriteFile(filepath.Join(deep, "a.jpg"), nil, 0o644); err != nil {
		return complain(err)
	}
	if err := w.Barrier(context.Background()); err != nil {
		return complain(err)
	}
	if events := rec.take(); !covered(events, 0, "d/e/a.jpg") {
		return complain("missed", events)
	}
	return 0
}
