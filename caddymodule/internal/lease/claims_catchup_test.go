package lease

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// What a request waits for before its app runs: names and log at the same time,
// if it can be told that this is enough.
func TestClaimCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const latency = 100 * time.Millisecond // half as much at least, half as much again at most
		store := buckettest.NewMemory()
		a, _ := join(t, linkTo(store, latency))
		b, saw := join(t, linkTo(store, latency))
		for _, step := range []struct {
			what  string
			node  *node
			trips int // one after the other
			do    func()
		}{
			{"a slot never used", a, 1, nil},
			{"again by the same node", a, 1, nil},
			{"another node's, unseen until now: one in vain, read, and written", b, 3, func() {
				if err := a.append(t.Context(), changed("by a")); err != nil {
					t.Fatal(err)
				}
			}},
			{"again by the same node, after others wrote", b, 2, func() {
				if err := a.append(t.Context(), changed("by a, without the name")); err != nil {
					t.Fatal(err)
				}
			}},
		} {
			if step.do != nil {
				step.do()
			}
			time.Sleep(20 * time.Second)
			synctest.Wait()
			began, before := time.Now(), store.Requests()
			c := step.node.Claim("")
			c.Add("x")
			if err := c.CatchUp(t.Context()); err != nil || !c.Held() {
				t.Fatal(err)
			}
			took := time.Since(began)
			if most := time.Duration(step.trips) * 3 * latency / 2; took > most {
				t.Errorf("%s: took %s, for %d round trips of at most %s", step.what, took, step.trips, 3*latency/2)
			}
			t.Logf("%s: %s, %d requests", step.what, took, store.Requests()-before)
			c.Release()
		}
		if got := saw.keys(); len(got) != 2 {
			t.Errorf("b was given %q", got)
		}
	})
}

// While a body arrives, its names are leased and the log is read: at its end there
// is nothing left to wait for, if that was not too long ago or polls go on.
func TestClaimLooksAhead(t *testing.T) {
	for _, test := range []struct {
		name  string
		polls bool
		body  time.Duration
		want  bool // what was written while the body arrived must be known
		waits bool
	}{
		{"at once", false, 0, false, true},
		{"soon", false, time.Second, false, false},
		{"late", false, maxLookAge + time.Second, true, true},
		{"late, with polls", true, maxLookAge + time.Second, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := buckettest.NewMemory()
				n, saw := join(t, linkTo(store, 100*time.Millisecond))
				other, _ := join(t, linkTo(store, 0))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if test.polls {
					go n.log.Run(ctx)
				}
				time.Sleep(time.Minute)
				if err := other.append(t.Context(), changed("before")); err != nil {
					t.Fatal(err)
				}
				c := n.Claim("")
				defer c.Release()
				c.Add("x")
				c.Look()
				time.Sleep(test.body / 2)
				c.Add("y")
				c.Look()
				c.Soon()
				if err := other.append(t.Context(), changed("meanwhile")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(test.body / 2)
				began := time.Now()
				if err := c.CatchUp(t.Context()); err != nil || !c.Held() {
					t.Fatal(err)
				}
				if took := time.Since(began); (took > 0) != test.waits {
					t.Errorf("it took %s", took)
				}
				if got := len(saw.keys()); got < 1 || test.want && got < 2 {
					t.Errorf("it was given %q", saw.keys())
				}
				if err := other.append(t.Context(), changed("after")); err != nil {
					t.Fatal(err)
				}
				if err := c.CatchUp(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := len(saw.keys()); got != 3 {
					t.Errorf("after a second call it was given %q", saw.keys())
				}
			})
		})
	}
}

// Who has looked ahead and goes away leaves nobody waiting.
func TestClaimLooksAheadInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := join(t, linkTo(buckettest.NewMemory(), 100*time.Millisecond))
		c := n.Claim("")
		c.Add("x")
		c.Look()
		c.Release()
		c.Look()
		if state := n.log.String(); !strings.Contains(state, " looks 0,") {
			t.Errorf("a look is left: %s", state)
		}
		if err := c.CatchUp(t.Context()); err == nil {
			t.Error("a claim that was released has caught up")
		}
		time.Sleep(time.Minute)
	})
}

// A claim that has to wait for another node's knows what that one wrote, though
// it caught up with the log while it waited; so does one that takes over from a
// node that crashed.
func TestClaimCatchesUpAfterWaiting(t *testing.T) {
	for _, crashes := range []bool{false, true} {
		t.Run(fmt.Sprint("crashed=", crashes), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := buckettest.NewMemory()
				way := linkTo(store, 10*time.Millisecond)
				a, _ := join(t, way)
				b, saw := join(t, linkTo(store, 10*time.Millisecond))
				first := a.Claim("")
				first.Add("x")
				if err := first.CatchUp(t.Context()); err != nil {
					t.Fatal(err)
				}
				second := b.Claim("")
				second.Add("x")
				got := make(chan error, 1)
				go func() { got <- second.CatchUp(t.Context()) }()
				time.Sleep(time.Second) // b has read the log
				if err := a.append(t.Context(), changed("late")); err != nil {
					t.Fatal(err)
				}
				if crashes {
					way.Set(func(w *buckettest.Way) { w.Cut = true })
				}
				first.Release()
				if err := <-got; err != nil {
					t.Fatal(err)
				}
				if keys := saw.keys(); len(keys) != 1 {
					t.Errorf("the holder before has written an entry, b was given %q", keys)
				}
				second.Release()
			})
		})
	}
}

// Also one that has lost a lease and finds it its own again, by a write of which it
// had no answer: that does not make it the first who ever had it.
func TestClaimCatchesUpAfterLosing(t *testing.T) {
	low, high := "x", "y"
	if slotOf(low) > slotOf(high) {
		low, high = high, low
	}
	// The lease is written until then in vain, and then once without an answer.
	for until := time.Duration(0); until < 3*time.Second; until += 50 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			store := buckettest.NewMemory()
			short := func(c *Config) { c.TTL = minTTL }
			a, _ := join(t, linkTo(store, 10*time.Millisecond), short)
			way := buckettest.NewFaulty(linkTo(store, 10*time.Millisecond), nil)
			b, saw := join(t, way, short)
			third, _ := join(t, linkTo(store, 10*time.Millisecond), short) // knows of no entry
			first, other := a.Claim(""), third.Claim("")
			first.Add(low)
			other.Add(high)
			for _, c := range []*Claim{first, other} {
				if err := c.CatchUp(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			second := b.Claim("")
			second.Add(low)
			second.Add(high)
			got := make(chan error, 1)
			go func() { got <- second.CatchUp(t.Context()) }()
			time.Sleep(time.Second) // b has read the log
			if err := a.append(t.Context(), changed("late")); err != nil {
				t.Fatal(err)
			}
			first.Release()
			time.Sleep(time.Second) // b has the lower name
			began, stored := time.Now(), false
			way.SetHook(func(c buckettest.Call) buckettest.Fault {
				switch {
				case c.Op != buckettest.OpPut || stored:
					return buckettest.Fault{}
				case time.Since(began) < until:
					return buckettest.Fault{Before: buckettest.ErrInjected}
				}
				stored = true
				return buckettest.Fault{After: buckettest.ErrInjected}
			})
			time.Sleep(6 * time.Second)
			other.Release()
			if err := <-got; err != nil {
				t.Fatal(err)
			}
			if keys := saw.keys(); len(keys) != 1 {
				t.Errorf("after faults of %s: the holder before has written an entry, b was given %q", until, keys)
			}
			second.Release()
		})
	}
}
