package changelog

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/clock/clocktest"
)

// A write that took long, or seemed to, because the machine stood still or its
// clock was set meanwhile, says nothing of how long a node that was outrun had
// better rest: it must not rest for minutes.
func TestRestsAreShort(t *testing.T) {
	for name, happens := range map[string]func(*buckettest.Link, *clocktest.Clock){
		"the process stands still": func(l *buckettest.Link, c *clocktest.Clock) { standStill(l, func() {}) },
		"the machine is suspended": func(l *buckettest.Link, c *clocktest.Clock) { c.Suspend(); standStill(l, c.Resume) },
		"the clock is set":         func(_ *buckettest.Link, c *clocktest.Clock) { c.Set(time.Hour) },
		"the clock is set back":    func(_ *buckettest.Link, c *clocktest.Clock) { c.Set(-time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := buckettest.NewMemory()
				clock := newClock()
				b, _ := join(t, linkTo(store, 10*time.Millisecond))
				l := linkTo(store, 10*time.Millisecond)
				faulty := buckettest.NewFaulty(l, nil)
				a, _ := join(t, faulty, func(c *Config) {
					c.Testing.Clock = clock.Now
					c.Testing.Random = func(n int64) int64 { return n - 1 }
				})
				var once sync.Once
				faulty.SetHook(func(c buckettest.Call) buckettest.Fault {
					if c.Op == buckettest.OpPut {
						once.Do(func() { happens(l, clock) })
					}
					return buckettest.Fault{}
				})
				if err := a.Append(t.Context(), putOf("slow")); err != nil {
					t.Fatal(err)
				}
				losses := 0
				faulty.SetHook(func(c buckettest.Call) buckettest.Fault {
					if c.Op != buckettest.OpPut || losses == 5 {
						return buckettest.Fault{}
					}
					losses++
					if err := b.Append(t.Context(), putOf(fmt.Sprint("first", losses))); err != nil {
						t.Error(err)
					}
					return buckettest.Fault{}
				})
				began := time.Now()
				if err := a.Append(t.Context(), putOf("outrun")); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("outrun %d times it took %s to append", losses, took)
				}
			})
		})
	}
}

// standStill has a node stand still for two minutes once its next request is
// on its way.
func standStill(l *buckettest.Link, end func()) {
	goOn := make(chan struct{})
	time.AfterFunc(time.Millisecond, func() { l.Set(func(w *buckettest.Way) { w.Paused = goOn }) })
	time.AfterFunc(2*time.Minute, func() {
		end()
		l.Set(func(w *buckettest.Way) { w.Paused = nil })
		close(goOn)
	})
}

// Promise 1: "every file that was written, renamed or deleted in a media root while it
// ran is committed". Nodes that write without a pause, near the store, leave room for
// one that is far from it and would be outrun each time, so that its requests are not
// held in vain for as long as another imports files; and it can catch up with a log that
// has always grown by the time it gets to its end.
func TestFarNodeIsNotStarved(t *testing.T) {
	for _, busy := range []int{1, 3} {
		for _, latency := range []time.Duration{10 * time.Millisecond, 100 * time.Millisecond} {
			t.Run(fmt.Sprintf("%d near, far by %s", busy, latency), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { testFarNode(t, busy, latency) })
			})
		}
	}
}

func testFarNode(t *testing.T, busy int, latency time.Duration) {
	store := buckettest.NewMemory()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range busy {
		near, _ := join(t, linkTo(store, 5*time.Millisecond))
		for j := range 3 {
			wg.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					_ = near.Append(ctx, putOf(fmt.Sprint(i, ".", j, ".", n)))
				}
			})
		}
	}
	far, _ := join(t, linkTo(store, latency))
	const limit = 20 * time.Second
	within := func(what string, do func(context.Context) error) {
		soon, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		if err := do(soon); err != nil {
			t.Errorf("%s within %s: %v", what, limit, err)
		}
	}
	time.Sleep(2 * time.Second)
	for i := range 3 {
		within("catching up", far.CatchUp)
		within("appending", func(ctx context.Context) error { return far.Append(ctx, putOf(fmt.Sprint("far", i))) })
	}
	cancel()
	wg.Wait()
	time.Sleep(time.Minute) // requests that are still under way
}

// A node that writes without a pause, and is alone, looks a few times a second
// whether another asks for a rest; one that writes now and then does not.
func TestLooksForAskersSeldom(t *testing.T) {
	for pause, looks := range map[time.Duration]int{0: 80, 2 * time.Second: 0} {
		synctest.Test(t, func(t *testing.T) {
			store := buckettest.NewMemory()
			n, _ := join(t, linkTo(store, 10*time.Millisecond))
			entries := 0
			for began := time.Now(); time.Since(began) < 10*time.Second; entries++ {
				if err := n.Append(t.Context(), putOf("a")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(pause)
			}
			if got := store.Requests(buckettest.OpHead); got > looks {
				t.Errorf("with pauses of %s it looked %d times in ten seconds", pause, got)
			}
			if pause == 0 && entries < 500 {
				t.Errorf("it wrote %d entries in ten seconds", entries)
			}
		})
	}
}
