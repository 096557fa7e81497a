// Run all:        go test -race ./caddymodule/internal/watch
// Longer:         WATCH_SOAK=2m go test -race -run 'Soak' -timeout 30m ./caddymodule/internal/watch
// A failed model: WATCH_SEED=<seed> go test -race -run Model ./caddymodule/internal/watch
// Benchmarks:     go test -run '^$' -bench . ./caddymodule/internal/watch

package watch

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if helper := os.Getenv("WATCH_TEST_HELPER"); helper != "" {
		os.Exit(helpers[helper]())
	}
	goleak.VerifyTestMain(m)
}

// helpers are what this test binary does when it is run by itself.
var helpers = map[string]func() int{}

// patience bounds every wait of a test.
const patience = 30 * time.Second

// recorder is a Config.Handle that keeps what it gets.
type recorder struct {
	mu     sync.Mutex
	events []Event
}

func (r *recorder) handle(events []Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, events...)
}

// take returns what has come since it was called last.
func (r *recorder) take() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := r.events
	r.events = nil
	return events
}

// logBuffer is a log that a test can look into.
type logBuffer struct {
	written chan struct{} // capacity 1: there is more than before
	mu      sync.Mutex
	buf     bytes.Buffer
}

func newLogBuffer() *logBuffer { return &logBuffer{written: make(chan struct{}, 1)} }

func (l *logBuffer) Write(p []byte) (int, error) {
	defer func() {
		select {
		case l.written <- struct{}{}:
		default:
		}
	}()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// lines returns the log's lines that contain all words.
func (l *logBuffer) lines(words ...string) (found []string) {
	for line := range strings.Lines(l.String()) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			found = append(found, line)
		}
	}
	return found
}

// fixture is a watcher over one or more roots, and what it reported.
type fixture struct {
	*recorder
	t     *testing.T
	w     Watcher
	root  string // the first
	log   *logBuffer
	roots []string
}

// bothKinds runs a test on inotify and on scanning.
func bothKinds(t *testing.T, test func(t *testing.T, cfg Config)) {
	t.Run("inotify", func(t *testing.T) { test(t, Config{}) })
	t.Run("scan", func(t *testing.T) { test(t, Config{Scan: true, ScanInterval: 20 * time.Millisecond}) })
}

// start watches cfg.Roots, or a new directory.
func start(t *testing.T, cfg Config) *fixture {
	t.Helper()
	f := &fixture{t: t, recorder: &recorder{}, log: newLogBuffer()}
	if len(cfg.Roots) == 0 {
		cfg.Roots = []string{t.TempDir()}
	}
	if cfg.Handle == nil {
		cfg.Handle = f.handle
	}
	cfg.Logger = slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	f.roots, f.root = cfg.Roots, cfg.Roots[0]
	w, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.w = w
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", f.log)
		}
	})
	return f
}

func (f *fixture) barrier() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := f.w.Barrier(ctx); err != nil {
		f.t.Fatalf("barrier: %v", err)
	}
}

// seen is what was reported up to a barrier.
func (f *fixture) seen() []Event {
	f.t.Helper()
	f.barrier()
	return f.take()
}

// path of a slash-separated name below the first root.
func (f *fixture) path(name string) string { return filepath.Join(f.root, filepath.FromSlash(name)) }

func (f *fixture) write(name, content string) {
	f.t.Helper()
	f.must(os.WriteFile(f.path(name), []byte(content), 0o644))
}

func (f *fixture) mkdir(name string) {
	f.t.Helper()
	f.must(os.MkdirAll(f.path(name), 0o755))
}

func (f *fixture) rename(from, to string) {
	f.t.Helper()
	f.must(os.Rename(f.path(from), f.path(to)))
}

func (f *fixture) remove(name string) {
	f.t.Helper()
	f.must(os.RemoveAll(f.path(name)))
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// last is the last event for a path.
func last(events []Event, path string) (Event, bool) {
	for _, ev := range slices.Backward(events) {
		if ev.Path == path {
			return ev, true
		}
	}
	return Event{}, false
}

// covered tells whether events lead a receiver to look at path.
func covered(events []Event, root int, path string) bool {
	return slices.ContainsFunc(events, func(ev Event) bool {
		if ev.Root != root {
			return false
		}
		below := ev.Path == "" || strings.HasPrefix(path, ev.Path+"/")
		return ev.Path == path || below && (ev.Op == DirGone || ev.Op == Rescan)
	})
}

// wantLast checks the last event for a path.
func wantLast(t *testing.T, events []Event, path string, ops ...Op) Event {
	t.Helper()
	ev, ok := last(events, path)
	if !ok || !slices.Contains(ops, ev.Op) {
		t.Errorf("%q: got %v (reported: %v), want one of %v; all: %v", path, ev.Op, ok, ops, events)
	}
	return ev
}

func wantNone(t *testing.T, events []Event) {
	t.Helper()
	if len(events) != 0 {
		t.Errorf("unexpected: %v", events)
	}
}
