package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/dir"
)

func TestClaimsExclude(t *testing.T) {
	store := openDir(t)
	nodes := []*node{alone(0)}
	a, _ := join(t, store)
	b, _ := join(t, store)
	for _, nodes := range [][]*node{nodes, {a}, {a, b}} {
		var mu sync.Mutex
		var wg sync.WaitGroup
		inside := 0
		for i := range 10 {
			wg.Go(func() {
				c := nodes[i%len(nodes)].Claim("")
				defer c.Release()
				names := []string{"x", "y", "z"}
				for j := range names {
					c.Add(names[(i+j)%3])
				}
				if err := c.Wait(t.Context()); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if inside++; inside != 1 || !c.Held() {
					t.Error("two at once")
				}
				mu.Unlock()
				time.Sleep(time.Millisecond)
				mu.Lock()
				inside--
				mu.Unlock()
			})
		}
		wg.Wait()
	}
}

func TestWaitEndsWithContext(t *testing.T) {
	store := buckettest.NewFaulty(openDir(t), nil)
	n, _ := join(t, store)
	store.SetHook(buckettest.Always(buckettest.Fault{Before: buckettest.ErrInjected}))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c := n.Claim("")
	defer c.Release()
	c.Add("x")
	for what, wait := range map[string]func(context.Context) error{"Wait": c.Wait, "CatchUp": c.CatchUp, "Turn": c.Turn} {
		if err := wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", what, err)
		}
	}
	store.SetHook(nil)
}

// What things cost in requests, in virtual time.
func TestRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := buckettest.NewMemory()
		a, _ := join(t, linkTo(store, 10*time.Millisecond))
		b, _ := join(t, linkTo(store, 10*time.Millisecond))
		settle := func() { time.Sleep(time.Minute); synctest.Wait() }
		count := func(what string, want int, do func()) {
			t.Helper()
			settle()
			before := store.Requests()
			do()
			settle()
			if got := store.Requests() - before; got != want {
				t.Errorf("%s: %d requests, want %d", what, got, want)
			}
		}
		var c *Claim
		claim := func(n *node, names ...string) func() {
			return func() {
				c = n.Claim("")
				for _, name := range names {
					c.Add(name)
				}
				if err := c.Wait(t.Context()); err != nil || !c.Held() {
					t.Error(err)
				}
				c.Release()
			}
		}
		count("claim and release of a slot never used", 1+1, claim(a, "x"))
		count("again by the same node", 1+1, claim(a, "x"))
		count("of three", 3+3, claim(a, "x", "y", "z"))
		count("by another node", 1+1+1+1, claim(b, "x")) // create, read, write, release
	})
}

// Without answers from the store every wait ends with its context, and few requests are
// sent.
func TestStoreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := buckettest.NewFaulty(linkTo(buckettest.NewMemory(), 10*time.Millisecond), nil)
		n, _ := join(t, faulty)
		faulty.SetHook(buckettest.Always(buckettest.Fault{Before: errors.New("connection refused")}))
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				began := time.Now()
				c := n.Claim("")
				defer c.Release()
				c.Add(fmt.Sprint("name", i%10))
				if err := c.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Wait: %v", err)
				}
				if took := time.Since(began); took > time.Minute+time.Millisecond {
					t.Errorf("it took %s", took)
				}
			})
		}
		wg.Wait()
		if calls := faulty.Calls(buckettest.OpGet) + faulty.Calls(buckettest.OpPut); calls > 10*150 {
			t.Errorf("%d requests in a minute without answers", calls)
		}
		faulty.SetHook(nil)
		time.Sleep(time.Minute)
		if n.working() > 0 || n.Stats().Held > 0 {
			t.Errorf("%d goroutines and %d leases are left", n.working(), n.Stats().Held)
		}
	})
}

// Close gives leases back; it is bounded by its context, and afterwards nothing blocks.
func TestClose(t *testing.T) {
	for _, away := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store := buckettest.NewMemory()
			l := linkTo(store, 10*time.Millisecond)
			n, _ := join(t, l)
			c := n.Claim("")
			c.Add("x")
			if err := c.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			l.Set(func(w *buckettest.Way) { w.Cut = away })
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			began := time.Now()
			if err := n.Leaser.Close(ctx); err != nil && !away {
				t.Error(err)
			}
			if took := time.Since(began); took > 3*time.Second+50*time.Millisecond {
				t.Errorf("it took %s", took)
			}
			for slot, lease := range store.Contents("offload/lease/") {
				if free := strings.Contains(lease, `"free"`); free == away {
					t.Errorf("%s is %s", slot, lease)
				}
			}
			if c.Held() {
				t.Error("a claim outlives its node")
			}
			again := n.Claim("")
			again.Add("y")
			for what, wait := range map[string]func(context.Context) error{"Wait": again.Wait, "Turn": again.Turn} {
				if err := wait(t.Context()); !errors.Is(err, ErrClosed) {
					t.Errorf("%s after Close: %v", what, err)
				}
			}
			time.Sleep(time.Second) // a request that was cut short is still under way
		})
	}
}

// Leases that no node wrote: one line in the program's log each, and the work goes on.
func TestHostileLeases(t *testing.T) {
	for _, content := range []string{
		"", "null", "{}", "[]", "\xff\xfe", `{"v":2}`, `{"v":1,"owner":"","nonce":"","state":"held"}`, strings.Repeat("[", 100_000), strings.Repeat("x", 2<<20),
	} {
		synctest.Test(t, func(t *testing.T) {
			store := buckettest.NewMemory()
			var lines strings.Builder
			logged := slog.New(slog.NewTextHandler(&lines, nil))
			n, _ := join(t, linkTo(store, time.Millisecond), func(c *Config) { c.Logger = func() *slog.Logger { return logged } })
			set(store, fmt.Sprintf("offload/lease/%04x", slotOf("x")), content)
			claimSoon(t, n, "x")
			if got := strings.Count(lines.String(), "\n"); got != 1 || len(lines.String()) > 1000 {
				t.Errorf("%.60q: %d lines: %.1000s", content, got, lines.String())
			}
		})
	}
}

// However long a lease says that it lasts, it keeps a name for a while only.
func TestLeaseForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := buckettest.NewMemory()
		n, _ := join(t, linkTo(store, time.Millisecond))
		set(store, fmt.Sprintf("offload/lease/%04x", slotOf("x")),
			`{"v":1,"owner":"0123456789abcdef","nonce":"0123456789abcdef","state":"held","ttl_ms":9223372036854775807}`)
		claimSoon(t, n, "x")
	})
}

// claimSoon claims a name and gives it back.
func claimSoon(t *testing.T, n *node, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*maxTTL)
	defer cancel()
	c := n.Claim("")
	defer c.Release()
	c.Add(name)
	if err := c.Wait(ctx); err != nil {
		t.Error(err)
	}
}

// set stores an object, whatever is there.
func set(store *buckettest.Memory, key, content string) {
	_, _ = buckettest.PutText(context.Background(), store, key, content, bucket.PutOptions{})
}

// A lease of any size keeps a name from nobody.
func TestHugeLease(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bucket")
	store, err := dir.Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	first, _ := join(t, store)
	claimSoon(t, first, "x")
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	leases, err := filepath.Glob(filepath.Join(path, "offload", "lease", "*"))
	if err != nil || len(leases) != 1 {
		t.Fatalf("%q, %v", leases, err)
	}
	if err := os.Truncate(leases[0], 200<<30); err != nil {
		t.Fatal(err)
	}
	second, _ := join(t, store)
	claimSoon(t, second, "x")
}
