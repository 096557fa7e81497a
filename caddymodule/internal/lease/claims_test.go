package lease

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/clock"
)

// A store that takes seconds for a write does not use up a node's turn by that.
func TestClaimOnSlowStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := join(t, linkTo(buckettest.NewMemory(), 4200*time.Millisecond)) // 2.1 to 6.3 seconds
		for range 5 {
			c := n.Claim("")
			c.Add("x")
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			if err := c.Wait(ctx); err != nil {
				t.Error(err)
			}
			cancel()
			c.Release()
		}
		time.Sleep(time.Minute) // the last is given back
	})
}

// A slot that was granted after its worker had decided to give it back stays with
// its claim.
func TestGrantedBeforeItsRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := join(t, linkTo(buckettest.NewMemory(), 10*time.Millisecond))
		c := n.Claim("")
		defer c.Release()
		c.Add("x")
		if err := c.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		n.slots[slotOf("x")].write(stateFree) // what the worker had decided
		if !c.Held() {
			t.Error("the claim has lost its name")
		}
	})
}

// A claim that looked while a slow renewal was under way, and the lease had run out
// meanwhile, hears that it has it after all.
func TestRenewedAfterItRanOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := join(t, linkTo(buckettest.NewMemory(), 10*time.Millisecond))
		c := n.Claim("")
		defer c.Release()
		c.Add("x")
		time.Sleep(time.Second)
		l, s := n.Leaser, n.slots[slotOf("x")]
		l.mu.Lock()
		s.deadline = clock.Instant{}
		l.mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got := make(chan error, 1)
		go func() { got <- c.Wait(ctx) }()
		synctest.Wait()
		l.mu.Lock()
		s.hold(s.etag, l.now()) // the answer to the renewal
		s.grant()
		l.settle()
		l.mu.Unlock()
		if err := <-got; err != nil {
			t.Error(err)
		}
	})
}

// A claim that comes while its node is being closed keeps nothing from being given
// back.
func TestClaimWhileClosing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := join(t, linkTo(buckettest.NewMemory(), 10*time.Millisecond))
		c := n.Claim("")
		c.Add("x")
		if err := c.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		closed := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			closed <- n.Close(ctx)
		}()
		synctest.Wait()
		n.Claim("").Add("x")
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

// Two requests that want two names in opposite order, on one node and on two,
// both get them.
func TestClaimsCrosswise(t *testing.T) {
	for _, nodes := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			store := buckettest.NewMemory()
			var members []*node
			for range nodes {
				n, _ := join(t, linkTo(store, 10*time.Millisecond))
				members = append(members, n)
			}
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
					defer cancel()
					c := members[i%nodes].Claim("")
					defer c.Release()
					names := []string{"x", "y"}
					c.Add(names[i/nodes%2])
					time.Sleep(50 * time.Millisecond)
					c.Add(names[1-i/nodes%2])
					if err := c.Wait(ctx); err != nil {
						t.Errorf("request %d on %d nodes: %v", i, nodes, err)
					}
					time.Sleep(100 * time.Millisecond)
				})
			}
			wg.Wait()
		})
	}
}

// A node with a long queue of its own lets others have the name in between.
func TestClaimsAreFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := buckettest.NewMemory()
		a, _ := join(t, linkTo(store, 10*time.Millisecond))
		b, _ := join(t, linkTo(store, 10*time.Millisecond))
		var wg sync.WaitGroup
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		for range 5 {
			wg.Go(func() {
				for ctx.Err() == nil {
					c := a.Claim("")
					c.Add("x")
					if c.Wait(ctx) == nil {
						time.Sleep(100 * time.Millisecond)
					}
					c.Release()
				}
			})
		}
		time.Sleep(time.Second)
		for range 5 {
			began := time.Now()
			c := b.Claim("")
			c.Add("x")
			if err := c.Wait(ctx); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > 2*turn {
				t.Errorf("the other node waited %s", took)
			}
			c.Release()
		}
		cancel()
		wg.Wait()
	})
}

// A node that crashed keeps its names for a lease's time to live and a margin.
func TestCrashedHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := buckettest.NewMemory()
		l := linkTo(store, 10*time.Millisecond)
		a, _ := join(t, l)
		b, _ := join(t, linkTo(store, 10*time.Millisecond))
		dead := a.Claim("")
		dead.Add("x")
		if err := dead.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.Set(func(w *buckettest.Way) { w.Cut = true })
		began := time.Now()
		c := b.Claim("")
		defer c.Release()
		c.Add("x")
		if err := c.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 9*time.Second || took > 12*time.Second {
			t.Errorf("it took %s", took)
		}
		if dead.Held() {
			t.Error("it is held twice")
		}
		if s := b.Stats(); s.Takeovers != 1 {
			t.Errorf("%+v", s)
		}
		l.Set(func(w *buckettest.Way) { w.Cut = false })
	})
}

// A request whose lease was lost, because the node was cut off for long, gets
// it again by another Wait.
func TestLostLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := buckettest.NewMemory()
		l := linkTo(store, 10*time.Millisecond)
		a, _ := join(t, l)
		b, _ := join(t, linkTo(store, 10*time.Millisecond))
		mine, other := a.Claim(""), b.Claim("")
		defer mine.Release()
		mine.Add("x")
		if err := mine.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if !mine.Held() {
			t.Error("it was not renewed")
		}
		l.Set(func(w *buckettest.Way) { w.Cut = true })
		time.Sleep(10 * time.Second)
		if mine.Held() {
			t.Error("it is held without an answer for longer than the lease lasts")
		}
		l.Set(func(w *buckettest.Way) { w.Cut = false })
		time.Sleep(5 * time.Second)
		if !mine.Held() {
			t.Error("nobody took it, and it is not held again")
		}
		l.Set(func(w *buckettest.Way) { w.Cut = true })
		other.Add("x")
		if err := other.Wait(t.Context()); err != nil || mine.Held() {
			t.Errorf("%v", err)
		}
		l.Set(func(w *buckettest.Way) { w.Cut = false })
		time.Sleep(5 * time.Second)
		other.Release()
		if err := mine.Wait(t.Context()); err != nil || !mine.Held() {
			t.Errorf("%v", err)
		}
		if s := a.Stats(); s.Expired != 1 || s.Held != 1 {
			t.Errorf("%+v", s)
		}
	})
}
