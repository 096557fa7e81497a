package changelog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// After a while without a look, catching up takes a listing and the look itself.
func TestCatchUpRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := buckettest.NewMemory()
		l, _ := join(t, linkTo(store, 10*time.Millisecond))
		time.Sleep(2 * time.Minute)
		before := store.Requests()
		if err := l.CatchUp(t.Context()); err != nil {
			t.Error(err)
		}
		if got := store.Requests() - before; got != 2 {
			t.Errorf("%d requests", got)
		}
	})
}

// Concurrent calls of CatchUp share their requests: one that is under way when
// they come is too old for them, the next serves all.
func TestCatchUpIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := buckettest.NewMemory()
		n, _ := join(t, linkTo(store, 10*time.Millisecond))
		before := store.Requests()
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Microsecond)
				if err := n.CatchUp(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := store.Requests() - before; got > 3 {
			t.Errorf("50 calls within 5 ms took %d requests", got)
		}
	})
}

// A look at the log that was under way when CatchUp was called is not enough:
// the store may have answered it before the last change was written.
func TestCatchUpIsLateEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := buckettest.NewMemory()
		n, saw := join(t, linkTo(store, 200*time.Millisecond))
		other, _ := join(t, linkTo(store, 0))
		for i := range 20 {
			var early sync.WaitGroup
			early.Go(func() { _ = n.CatchUp(t.Context()) })
			time.Sleep(120 * time.Millisecond)
			if err := other.Append(t.Context(), putOf(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
			if err := n.CatchUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := len(saw.keys()); got != i+1 {
				t.Fatalf("%d changes are in the log at the call, it was given %d", i+1, got)
			}
			early.Wait()
		}
	})
}

// An idle node sends one request per poll.
func TestIdlePolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := buckettest.NewMemory()
		n, _ := join(t, linkTo(store, 10*time.Millisecond))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); n.Run(ctx) }()
		before := store.Requests()
		time.Sleep(time.Hour)
		// Besides: a listing each ten minutes, the newest entry's age and a
		// listing each hour.
		if got := store.Requests() - before; got < 3400 || got > 3600+20 {
			t.Errorf("%d requests in an idle hour", got)
		}
		cancel()
		<-done
	})
}

// Without answers from the store every wait ends with its context, nothing
// piles up, and few requests are sent.
func TestStoreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := buckettest.NewMemory()
		l := linkTo(store, 10*time.Millisecond)
		faulty := buckettest.NewFaulty(l, nil)
		n, _ := join(t, faulty)
		faulty.SetHook(buckettest.Always(buckettest.Fault{Before: errors.New("connection refused")}))
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				began := time.Now()
				for what, err := range map[string]error{"CatchUp": n.CatchUp(ctx), "Append": n.Append(ctx, putOf("a"))} {
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%s: %v", what, err)
					}
				}
				if took := time.Since(began); took > time.Minute+time.Millisecond {
					t.Errorf("it took %s", took)
				}
			})
		}
		wg.Wait()
		calls := faulty.Calls(buckettest.OpGet) + faulty.Calls(buckettest.OpPut) + faulty.Calls(buckettest.OpList)
		if calls > 2*150 {
			t.Errorf("%d requests in a minute without answers", calls)
		}
		faulty.SetHook(nil)
		time.Sleep(time.Minute)
		left := n.String()
		if n.mu.Lock(); len(n.pending) != 0 || len(n.looks) != 0 || n.following || n.flushing {
			t.Errorf("left behind: %s", left)
		}
		n.mu.Unlock()
	})
}

// Close ends appends under way; it is bounded by its context, and afterwards nothing
// blocks.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := buckettest.NewMemory()
		l := linkTo(store, 10*time.Millisecond)
		n, _ := join(t, l)
		appended := make(chan error, 1)
		go func() { appended <- n.Append(t.Context(), putOf("a")) }()
		synctest.Wait()
		if err := n.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-appended; err != nil {
			t.Errorf("an append under way: %v", err)
		}
		_, joined := n.Join(t.Context(), 0)
		for what, err := range map[string]error{
			"CatchUp": n.CatchUp(t.Context()), "Append": n.Append(t.Context(), putOf("a")), "Join": joined,
		} {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("%s after Close: %v", what, err)
			}
		}
		n.Run(t.Context())
	})
	synctest.Test(t, func(t *testing.T) {
		l := linkTo(buckettest.NewMemory(), 10*time.Millisecond)
		n, err := New(Config{Store: l, Prefix: "offload/", Apply: func([]Change) {}, Lost: func() {}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Join(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		l.Set(func(w *buckettest.Way) { w.Cut = true })
		appended := make(chan error, 1)
		go func() { appended <- n.Append(t.Context(), putOf("a")) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		if err := n.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took > 3*time.Second+50*time.Millisecond {
			t.Errorf("it took %s", took)
		}
		if err := <-appended; !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
		time.Sleep(time.Second) // a request that was cut short is still under way
	})
}

// Close does not wait for an entry that nobody waits for: its callers have given up, and
// the bucket does not answer.
func TestCloseWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := linkTo(buckettest.NewMemory(), 10*time.Millisecond)
		n, err := New(Config{Store: l, Prefix: "offload/", Apply: func([]Change) {}, Lost: func() {}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Join(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		l.Set(func(w *buckettest.Way) { w.Cut = true })
		patience, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := n.Append(patience, putOf("a")); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		began := time.Now()
		if err := n.Close(ctx); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > callTimeout+retryMax {
			t.Errorf("it took %s", took)
		}
	})
}

// A log that was trimmed past a node that was away: Lost, once, and it follows
// from the end.
func TestTrimmedLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := buckettest.NewMemory()
		short := func(c *Config) { c.Testing.KeepEntries, c.Testing.KeepAge = 5, time.Hour }
		var a *Log
		a, sawA := join(t, linkTo(store, time.Millisecond), short, func(c *Config) {
			lost := c.Lost
			c.Lost = func() {
				if at := a.Stats().Position; at != 0 {
					t.Errorf("it counted as read up to entry %d before Lost was called", at)
				}
				lost()
			}
		})
		b, _ := join(t, linkTo(store, time.Millisecond), short)
		for i := range 20 {
			if err := b.Append(t.Context(), putOf(fmt.Sprint("old", i))); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Trim(t.Context()); err != nil || len(store.Contents("")) != 20 {
			t.Errorf("young entries were removed: %d are left, %v", len(store.Contents("")), err)
		}
		time.Sleep(2 * time.Hour)
		if err := b.Append(t.Context(), putOf("new")); err != nil {
			t.Fatal(err)
		}
		if err := b.Trim(t.Context()); err != nil || len(store.Contents("")) != 5 {
			t.Errorf("%d entries are left, %v", len(store.Contents("")), err)
		}
		if err := a.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(sawA.changes) != 0 || sawA.lost != 1 {
			t.Errorf("it was given %q, and told %d times that entries were missed", sawA.keys(), sawA.lost)
		}
		if err := b.Append(t.Context(), putOf("newer")); err != nil {
			t.Fatal(err)
		}
		if err := a.CatchUp(t.Context()); err != nil || len(sawA.changes) != 1 || sawA.lost != 1 {
			t.Errorf("it was given %q, %v", sawA.keys(), err)
		}
	})
}

// The end of a long log is found in few requests, wherever it begins.
func TestFindEnd(t *testing.T) {
	for _, c := range []struct{ first, last uint64 }{{1, 0}, {1, 1}, {1, 999}, {1, 1000}, {1, 1001}, {5, 9_000}, {100_000, 123_456}, {maxBegin - 3, maxBegin + 3}} {
		store := buckettest.NewMemory()
		for number := c.first; number <= c.last; number++ {
			set(store, "offload/log/"+entryName(number), "")
		}
		set(store, "offload/log/99999999999999999999", "")
		set(store, "offload/log/README", "")
		before := store.Requests()
		n, _ := join(t, linkTo(store, 0))
		if got := n.Stats().Position; got != c.last {
			t.Errorf("%d to %d: found %d", c.first, c.last, got)
		}
		if sent := store.Requests() - before; sent > 30 {
			t.Errorf("%d to %d: %d requests", c.first, c.last, sent)
		}
	}
}

// Entries that no node wrote: one line in the program's log, and the work goes on.
func TestHostileObjects(t *testing.T) {
	for _, content := range []string{
		"", "null", "{}", "[]", "\xff\xfe", `{"v":2}`, `{"v":1,"w":"","n":""}`, strings.Repeat("[", 100_000), strings.Repeat("x", 2<<20),
		`{"v":1,"w":"0123456789abcdef","n":"0123456789abcdef","changes":[{"op":"put","key":"../x","class":"public"},{"op":"format","key":"x"},{"op":"put","key":"ok","class":"public"}]}`,
		`{"v":1,"owner":"0123456789abcdef","nonce":"0123456789abcdef","state":"held","ttl_ms":9223372036854775807}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			store := buckettest.NewMemory()
			var lines strings.Builder
			logged := slog.New(slog.NewTextHandler(&lines, nil))
			n, saw := join(t, linkTo(store, time.Millisecond), func(c *Config) { c.Logger = func() *slog.Logger { return logged } })
			set(store, "offload/log/"+entryName(1), content)
			if err := n.CatchUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := n.Append(t.Context(), putOf("mine")); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(saw.keys(), " "); got != "" && got != "ok" {
				t.Errorf("%.60q: it was given %q", content, got)
			}
			if got := strings.Count(lines.String(), "\n"); got != 1 || len(lines.String()) > 2000 {
				t.Errorf("%.60q: %d lines: %.2000s", content, got, lines.String())
			}
		})
	}
}

// A node that was away goes on where it was, if the log still does.
func TestJoinGoesOn(t *testing.T) {
	store := openDir(t)
	writer, _ := join(t, store)
	for i := range 5 {
		if err := writer.Append(t.Context(), putOf(fmt.Sprint(i+1))); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Delete(t.Context(), "offload/log/"+entryName(1)); err != nil { // trimmed
		t.Fatal(err)
	}
	for after, want := range map[uint64]struct {
		told   []string
		goesOn bool
	}{
		0: {nil, false}, // not known
		1: {nil, false}, // trimmed
		2: {[]string{"3", "4", "5"}, true},
		4: {[]string{"5"}, true},
		5: {nil, true},
		9: {nil, false}, // of another log
	} {
		var got seen
		cfg := Config{Store: store, Prefix: "offload/", Apply: got.apply, Lost: got.miss}
		n, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		goesOn, err := n.Join(t.Context(), after)
		if err != nil {
			t.Fatal(err)
		}
		if err := n.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if keys := got.keys(); !slices.Equal(keys, want.told) || goesOn != want.goesOn || n.Stats().Position != 5 || n.Stats().Lost != 0 {
			t.Errorf("after %d: told of %q at %d, goes on: %v; want %+v", after, keys, n.Stats().Position, goesOn, want)
		}
		if err := n.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
