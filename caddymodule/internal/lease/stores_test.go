package lease

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/s3"
)

// Real stores, with and without one in seven answers lost after the work was
// done: every acknowledged change is in the log once, all nodes see the same
// order, and no name is held twice.
func TestStores(t *testing.T) {
	t.Parallel()
	stores := map[string]func(*testing.T) bucket.Store{
		"dir": func(t *testing.T) bucket.Store { return openDir(t) },
		"versitygw": func(t *testing.T) bucket.Store {
			return openS3(t, buckettest.NewBucket(t, buckettest.StartVersityGW(t)))
		},
		"minio": func(t *testing.T) bucket.Store {
			return openS3(t, buckettest.NewBucket(t, buckettest.StartMinIO(t)))
		},
	}
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := open(t)
			for _, lost := range []float64{0, 1.0 / 7} {
				faulty := buckettest.NewFaulty(store, losing(lost))
				prefix := fmt.Sprintf("offload-%.0f/", lost*7)
				t.Run(prefix, func(t *testing.T) { testStore(t, faulty, prefix) })
			}
		})
	}
}

func openS3(t *testing.T, cfg s3.Config) bucket.Store {
	t.Helper()
	store, err := s3.Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// losing loses a share of the answers.
func losing(share float64) buckettest.Hook {
	return func(buckettest.Call) buckettest.Fault {
		if rand.Float64() < share {
			return buckettest.Fault{After: buckettest.ErrInjected}
		}
		return buckettest.Fault{}
	}
}

func testStore(t *testing.T, store bucket.Store, prefix string) {
	const nodes, requests, rounds = 3, 3, 6
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var members []*node
	var records []*seen
	for range nodes {
		n, s := join(t, store, func(c *Config) { c.Prefix = prefix })
		members, records = append(members, n), append(records, s)
	}
	var mu sync.Mutex
	var order []string // of the changes, in the order of the claims
	inside := 0
	var wg sync.WaitGroup
	for i := range nodes * requests {
		wg.Go(func() {
			n := members[i%nodes]
			for round := range rounds {
				c := n.Claim("")
				c.Add("image")
				if err := c.Wait(ctx); err != nil {
					t.Error(err)
				}
				key := fmt.Sprintf("%d-%d.jpg", i, round)
				mu.Lock()
				if inside++; inside > 1 {
					t.Error("the name is held twice")
				}
				order = append(order, key)
				mu.Unlock()
				if err := n.append(ctx, changed(key)); err != nil {
					t.Error(err)
				}
				mu.Lock()
				inside--
				mu.Unlock()
				c.Release()
			}
		})
	}
	wg.Wait()
	for i, n := range members {
		if err := n.log.CatchUp(ctx); err != nil {
			t.Fatal(err)
		}
		got := records[i].keys()
		at := 0
		for _, key := range order {
			var writer int
			if _, err := fmt.Sscanf(key, "%d-", &writer); err != nil {
				t.Fatal(err)
			}
			if writer%nodes == i {
				continue
			}
			if at >= len(got) || got[at] != key {
				t.Fatalf("node %d was given %q, the order was %q", i, got, order)
			}
			at++
		}
		if at != len(got) || records[i].lost != 0 {
			t.Errorf("node %d was given %q, the order was %q", i, got, order)
		}
	}
}
