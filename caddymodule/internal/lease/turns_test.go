package lease

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// claimOf returns a claim of a name, made ahead.
func claimOf(t *testing.T, n *node, client, name string) *Claim {
	c := n.Claim(client)
	t.Cleanup(c.Release)
	c.Add(name)
	return c
}

// waits is how long a claim waits for its names.
func waits(t *testing.T, c *Claim) time.Duration {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.CatchUp(ctx); err != nil || !c.Held() {
		t.Fatalf("%v, held: %v", err, c.Held())
	}
	return time.Since(began)
}

// A request that is not all there keeps its name from none that is: not from one of
// its node, and no longer than a turn from another node's, however many there are of
// them. When it is all there, it has the name again, after what was written
// meanwhile.
func TestClaimAheadKeepsNoName(t *testing.T) {
	for _, place := range []string{"alone", "same node", "other node"} {
		t.Run(place, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := buckettest.NewMemory()
				a, saw := join(t, linkTo(store, 10*time.Millisecond))
				b, _ := join(t, linkTo(store, 10*time.Millisecond))
				switch place {
				case "alone":
					a = alone(0)
					b = a
				case "same node":
					b = a
				}
				var slow []*Claim
				for i := range 10 {
					slow = append(slow, claimOf(t, a, fmt.Sprint(i), "image"))
				}
				time.Sleep(time.Second)
				honest := claimOf(t, b, "", "image")
				limit := 100 * time.Millisecond
				if place == "other node" {
					limit = 2 * turn
				}
				if took := waits(t, honest); took > limit {
					t.Errorf("it waited for %s", took)
				}
				if place == "other node" {
					if err := b.append(t.Context(), changed("image.jpg")); err != nil {
						t.Fatal(err)
					}
				}
				honest.Release()
				time.Sleep(10 * time.Second)
				waits(t, slow[9])
				if place == "other node" && fmt.Sprint(saw.keys()) != "[image.jpg]" {
					t.Errorf("it was given %q", saw.keys())
				}
				if slow[9].Interrupted() {
					t.Error("it had been promised nothing")
				}
			})
		})
	}
}

// Turn lets a claim follow one that is at work, and has the name for no longer than
// any claim ahead.
func TestTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(0)
		work := claimOf(t, n, "", "x")
		waits(t, work)
		next, last := claimOf(t, n, "", "x"), claimOf(t, n, "", "x")
		got := make(chan string, 2)
		for name, c := range map[string]*Claim{"next": next, "last": last} {
			go func() {
				if err := c.Turn(t.Context()); err != nil {
					t.Error(err)
				}
				got <- name
			}()
			synctest.Wait()
		}
		time.Sleep(time.Hour)
		if len(got) > 0 {
			t.Error("one did not wait")
		}
		work.Release()
		synctest.Wait()
		first := <-got
		began := time.Now()
		if second := <-got; second == first || time.Since(began) > turn {
			t.Errorf("%s after %s, after %s", second, first, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		waits(t, claimOf(t, n, "", "x"))
		if err := next.Turn(ctx); err == nil {
			t.Error("it has a name that is at work")
		}
	})
}

// A claim that rests, though it was promised its names, knows whether others had
// them before it has them again.
func TestInterrupted(t *testing.T) {
	for _, other := range []string{"nobody", "same node", "other node"} {
		t.Run(other, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := buckettest.NewMemory()
				a, _ := join(t, linkTo(store, 10*time.Millisecond))
				b, _ := join(t, linkTo(store, 10*time.Millisecond))
				slow := claimOf(t, a, "", "x")
				waits(t, slow)
				slow.Rest()
				if slow.Held() {
					t.Error("it has the name while it rests")
				}
				time.Sleep(10 * time.Second)
				switch other {
				case "same node":
					c := claimOf(t, a, "", "x")
					waits(t, c)
					c.Release()
				case "other node":
					c := claimOf(t, b, "", "x")
					waits(t, c)
					c.Release()
				}
				waits(t, slow)
				if got := slow.Interrupted(); got != (other != "nobody") {
					t.Errorf("interrupted: %v", got)
				}
			})
		})
	}
}

// However many requests one client sends, another's waits for a few of them only;
// and all have their turn.
func TestClaimsPerClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perClient, work = 3, 100 * time.Millisecond
		n := alone(perClient)
		var all sync.WaitGroup
		served := 0
		for range 200 {
			all.Go(func() {
				c := n.Claim("crowd")
				defer c.Release()
				c.Add("x")
				if err := c.Wait(t.Context()); err != nil {
					t.Error(err)
				}
				time.Sleep(work)
				served++
			})
		}
		synctest.Wait()
		honest := claimOf(t, n, "honest", "x")
		if took := waits(t, honest); took > perClient*work {
			t.Errorf("it waited for %s", took)
		}
		gaveUp := n.Claim("crowd")
		gaveUp.Add("x")
		ctx, cancel := context.WithTimeout(t.Context(), work)
		defer cancel()
		if err := gaveUp.Wait(ctx); err == nil {
			t.Error("one came before all others")
		}
		gaveUp.Release()
		honest.Release()
		all.Wait()
		if served != 200 {
			t.Errorf("%d were served", served)
		}
		if shares := len(n.shares); shares > 0 {
			t.Errorf("%d clients are remembered", shares)
		}
	})
}

// A client's claims ahead that find no room come when they are due.
func TestClaimsAheadPerClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(1)
		work := claimOf(t, n, "client", "x")
		waits(t, work)
		late := claimOf(t, n, "client", "y")
		if late.Held() {
			t.Error("there was room")
		}
		done := make(chan struct{})
		go func() {
			waits(t, late)
			close(done)
		}()
		synctest.Wait()
		work.Release()
		<-done
	})
}

// What waits for room hears that its node is closed.
func TestCloseWhileWaitingForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(1)
		waits(t, claimOf(t, n, "client", "x"))
		late := claimOf(t, n, "client", "y")
		got := make(chan error, 1)
		go func() { got <- late.Wait(context.Background()) }()
		synctest.Wait()
		if err := n.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-got; err == nil {
			t.Error("it has a name of a closed node")
		}
	})
}

// However many requests arrive at a time, only some of them ask the store before
// they are all there; the others do then.
func TestManyClaimsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 10 * maxAhead
		n, _ := join(t, linkTo(buckettest.NewMemory(), 10*time.Millisecond))
		var all []*Claim
		for i := range many {
			all = append(all, claimOf(t, n, fmt.Sprint(i), fmt.Sprint("name ", i)))
		}
		synctest.Wait()
		if got := len(n.slots); got < maxAhead*9/10 || n.working() > maxAhead {
			t.Errorf("%d slots are sought by %d goroutines", got, n.working())
		}
		if err := all[many-1].Turn(t.Context()); err != nil || all[many-1].Held() {
			t.Errorf("one that there is no room for waited for its turn: %v", err)
		}
		for _, c := range all {
			waits(t, c)
			c.Release()
		}
		time.Sleep(time.Minute)
		if n.ahead != 0 || n.working() != 0 {
			t.Errorf("%d claims ahead and %d goroutines are left", n.ahead, n.working())
		}
	})
}

// working is how many slots have a goroutine.
func (n *node) working() (count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.slots {
		if s.working {
			count++
		}
	}
	return count
}
