package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// soak is how long the tests that can go on for ever do; 0: a fixed, small
// number of rounds.
func soak(t testing.TB) time.Duration {
	text := os.Getenv("WATCH_SOAK")
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("WATCH_SOAK: %v", err)
	}
	return d
}

// arrivals counts what has been delivered, by path.
type arrivals struct {
	mu     sync.Mutex
	counts map[string]int
	rescan int
}

func (a *arrivals) handle(events []Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, ev := range events {
		if ev.Op == Rescan {
			a.rescan++
		}
		a.counts[ev.Path]++
	}
}

// of is how often a path was reported; a Rescan reports every path.
func (a *arrivals) of(path string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.counts[path] + a.rescan
}

// DESIGN.md 4.3: "inotify queues each event at the time of the write, so when
// PHP has finished, the queue holds all that it wrote. That is an exact
// barrier, no guess by time."
func TestSoakBarrierUnderFire(t *testing.T) {
	bothKinds(t, func(t *testing.T, cfg Config) {
		const writers = 8
		rounds := 400
		if cfg.Scan {
			rounds = 25
		}
		a := &arrivals{counts: map[string]int{}}
		cfg.Handle = a.handle
		f := start(t, cfg)
		end := time.Now().Add(soak(t))
		var total atomic.Int64
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := 0; i < rounds || time.Now().Before(end); i++ {
					if err := fireOnce(f, a, w, i); err != nil {
						t.Error(err)
						return
					}
					total.Add(1)
				}
			})
		}
		wg.Wait()
		t.Logf("%d barriers, each with its event", total.Load())
	})
}

// fireOnce makes a change of some kind, and checks that it is known after a
// barrier.
func fireOnce(f *fixture, a *arrivals, writer, i int) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	dir := fmt.Sprintf("w%d", writer)
	switch i % 4 {
	case 1: // a new directory
		dir = fmt.Sprintf("w%d/%d/%d", writer, i, i)
	case 2: // one that has just been renamed
		dir = fmt.Sprintf("w%d/%d", writer, i)
		old := fmt.Sprintf("w%d/%d", writer, i-1)
		if err := os.Rename(f.path(old), f.path(dir)); err != nil {
			return err
		}
	case 3:
		defer os.RemoveAll(f.path(fmt.Sprintf("w%d/%d", writer, i-1)))
	}
	if err := os.MkdirAll(f.path(dir), 0o755); err != nil {
		return err
	}
	name := dir + "/a.jpg"
	before := a.of(name)
	if err := os.WriteFile(f.path(name), nil, 0o644); err != nil {
		return err
	}
	if err := f.w.Barrier(ctx); err != nil {
		return fmt.Errorf("round %d: %w", i, err)
	}
	if a.of(name) == before {
		return fmt.Errorf("round %d: %s was written before the barrier and has not been delivered after it", i, name)
	}
	return nil
}

// A barrier must not wait for what others write after it.
func TestBarrierReturnsWhileOthersWrite(t *testing.T) {
	f := start(t, Config{Handle: func([]Event) {}})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					_ = os.WriteFile(f.path(fmt.Sprintf("%d-%d", i, n%100)), nil, 0o644)
				}
			}
		})
	}
	for range 1000 {
		f.barrier()
	}
	close(stop)
	wg.Wait()
}

// gate is a Handle that waits, once it was entered, until it is opened.
type gate struct {
	once            sync.Once
	entered, opened chan struct{}
	passed          atomic.Int64 // calls that have returned
}

func newGate() *gate { return &gate{entered: make(chan struct{}), opened: make(chan struct{})} }

func (g *gate) handle([]Event) {
	g.once.Do(func() { close(g.entered) })
	<-g.opened
	g.passed.Add(1)
}

func TestBarrierWaitsForHandle(t *testing.T) {
	bothKinds(t, func(t *testing.T, cfg Config) {
		g := newGate()
		cfg.Handle = g.handle
		f := start(t, cfg)
		f.write("a.jpg", "a")
		<-g.entered // delivered without a barrier

		short, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		if err := f.w.Barrier(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Handle has not returned, but Barrier has: %v", err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		const barriers = 20
		errs := make(chan error, barriers)
		for range barriers {
			go func() { errs <- f.w.Barrier(ctx) }()
		}
		close(g.opened)
		for range barriers {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if g.passed.Load() == 0 {
			t.Error("barriers returned before Handle")
		}
	})
}

func TestClose(t *testing.T) {
	bothKinds(t, func(t *testing.T, cfg Config) {
		g := newGate()
		var closed atomic.Bool
		cfg.Handle = func(events []Event) {
			if closed.Load() {
				t.Error("Handle was called after Close")
			}
			g.handle(events)
		}
		f := start(t, cfg)
		f.write("a.jpg", "a")
		<-g.entered

		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		waiting := make(chan error, 1)
		go func() { waiting <- f.w.Barrier(ctx) }()
		done := make(chan error, 1)
		go func() {
			err := f.w.Close()
			closed.Store(true)
			done <- err
		}()
		close(g.opened)
		f.must(<-done)
		if err := <-waiting; err != nil && !errors.Is(err, ErrClosed) {
			t.Errorf("barrier: %v", err)
		}
		f.write("b.jpg", "b")
		if err := f.w.Barrier(ctx); !errors.Is(err, ErrClosed) {
			t.Errorf("barrier after Close: %v", err)
		}
		f.must(f.w.Close())
	})
}

// A panic must neither end the process nor pass for a delivery, to a barrier
// that waits for just that batch.
func TestHandlePanics(t *testing.T) {
	bothKinds(t, func(t *testing.T, cfg Config) {
		rec, g := &recorder{}, newGate()
		var calls atomic.Int64
		cfg.Handle = func(events []Event) {
			switch calls.Add(1) {
			case 1:
				g.handle(events)
			case 2:
				panic("handler is broken")
			default:
				rec.handle(events)
			}
		}
		f := start(t, cfg)
		f.write("a.jpg", "a")
		<-g.entered
		released := f.w.(*watcher).join()
		f.write("b.jpg", "b")
		close(g.opened)
		select {
		case <-released:
		case <-time.After(patience):
			t.Fatal("the barrier is not released")
		}
		wantLast(t, rec.take(), "", Rescan)
		if len(f.log.lines("handler is broken", "stack=", "barrier_test.go")) != 1 {
			t.Error("the panic's stack is not in the log")
		}
		f.write("c.jpg", "c")
		f.barrier()
		wantLast(t, rec.take(), "c.jpg", Wrote)
	})
}

// stubSource is scanning with something done before each collect.
type stubSource struct {
	source
	before func()
}

func (s *stubSource) collect(ctx context.Context, out *batch) error {
	s.before()
	return s.source.collect(ctx, out)
}

// startStub is start for a stubSource.
func startStub(t *testing.T, before func()) (*watcher, *recorder, *logBuffer) {
	t.Helper()
	rec, log := &recorder{}, newLogBuffer()
	cfg := Config{Roots: []string{t.TempDir()}, Handle: rec.handle, Logger: slog.New(slog.NewTextHandler(log, nil))}
	if err := cfg.complete(); err != nil {
		t.Fatal(err)
	}
	scan, err := openScan(t.Context(), &cfg)
	if err != nil {
		t.Fatal(err)
	}
	w := newWatcher(&cfg, &stubSource{source: scan, before: before})
	go w.run()
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w, rec, log
}

// What calls Barrier while a scan runs shares the next one.
func TestBarriersShareOneCollect(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	var collects atomic.Int64
	w, _, _ := startStub(t, func() {
		if collects.Add(1) == 1 {
			close(entered)
			<-release
		}
	})
	<-entered
	var released []<-chan struct{}
	for range 50 {
		released = append(released, w.join())
	}
	w.wake <- struct{}{}
	if collects.Load() != 1 {
		t.Error("collects run at once")
	}
	close(release)
	for _, c := range released {
		<-c
	}
	if n := collects.Load(); n != 2 {
		t.Errorf("50 barriers took %d collects", n-1)
	}
}

// A bug of ours must not end the server: scanning takes over.
func TestSourcePanics(t *testing.T) {
	w, rec, log := startStub(t, func() { panic("source is broken") })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := w.Barrier(ctx); err != nil {
		t.Fatal(err)
	}
	wantLast(t, rec.take(), "", Rescan)
	if len(log.lines("source is broken", "stack=")) != 1 || len(log.lines("media roots are scanned")) != 1 {
		t.Errorf("log:\n%s", log)
	}
}

func BenchmarkBarrierQuiet(b *testing.B) {
	for _, roots := range []int{1, 2} {
		b.Run(fmt.Sprintf("roots=%d", roots), func(b *testing.B) {
			cfg := Config{Handle: func([]Event) {}}
			for range roots {
				cfg.Roots = append(cfg.Roots, filepath.Join(b.TempDir()))
			}
			w, err := New(b.Context(), cfg)
			if err != nil {
				b.Fatal(err)
			}
			defer w.Close()
			ctx := context.Background()
			if err := w.Barrier(ctx); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := w.Barrier(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkBarrierAfterWrite is what an upload waits for, beside the write
// itself.
func BenchmarkBarrierAfterWrite(b *testing.B) {
	dir := b.TempDir()
	w, err := New(b.Context(), Config{Roots: []string{dir}, Handle: func([]Event) {}})
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	ctx, name := context.Background(), filepath.Join(dir, "a.jpg")
	for _, with := range []bool{false, true} {
		b.Run(fmt.Sprintf("barrier=%v", with), func(b *testing.B) {
			for b.Loop() {
				if err := os.WriteFile(name, nil, 0o644); err != nil {
					b.Fatal(err)
				}
				if !with {
					continue
				}
				if err := w.Barrier(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
