package changelog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// BenchmarkAppend shows group commit under contention: nodes with 16 requests
// each that append without a break, on a store whose requests take no time and
// 10 ms.
//
//	go test -run - -bench . ./caddymodule/internal/changelog
func BenchmarkAppend(b *testing.B) {
	for _, latency := range []time.Duration{0, 10 * time.Millisecond} {
		for _, nodes := range []int{1, 3, 10} {
			b.Run(fmt.Sprintf("latency=%s/nodes=%d", latency, nodes), func(b *testing.B) {
				benchmarkAppend(b, latency, nodes)
			})
		}
	}
}

func benchmarkAppend(b *testing.B, latency time.Duration, nodes int) {
	const requests = 16
	store := buckettest.NewMemory()
	members := make([]*Log, nodes)
	for i := range members {
		members[i], _ = join(b, linkTo(store, latency))
	}
	before := store.Requests()
	var longest, sum time.Duration
	var mu sync.Mutex
	var wg sync.WaitGroup
	b.ResetTimer()
	for i := range nodes * requests {
		wg.Go(func() {
			for n := i; n < b.N; n += nodes * requests {
				began := time.Now()
				if err := members[i%nodes].Append(b.Context(), putOf(fmt.Sprint(n))); err != nil {
					b.Error(err)
				}
				took := time.Since(began)
				mu.Lock()
				longest, sum = max(longest, took), sum+took
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	var entries int64
	for _, n := range members {
		entries += n.Stats().Entries
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
	b.ReportMetric(float64(entries)/b.Elapsed().Seconds(), "entries/s")
	b.ReportMetric(float64(store.Requests()-before)/float64(b.N), "requests/append")
	b.ReportMetric(float64(store.Requests()-before)/float64(entries), "requests/entry")
	b.ReportMetric(float64(sum.Milliseconds())/float64(b.N), "mean-ms")
	b.ReportMetric(float64(longest.Milliseconds()), "longest-ms")
}

// linkTo returns a way to the store of which there and back take so long.
func linkTo(store *buckettest.Memory, latency time.Duration) *buckettest.Link {
	return buckettest.NewLink(store, rand.New(rand.NewPCG(rand.Uint64(), 5)), buckettest.Way{Latency: latency / 2})
}

// BenchmarkCatchUp reads a log of 1,000 entries.
func BenchmarkCatchUp(b *testing.B) {
	for _, latency := range []time.Duration{0, 10 * time.Millisecond} {
		b.Run(fmt.Sprintf("latency=%s", latency), func(b *testing.B) {
			store := buckettest.NewMemory()
			readers := make([]*Log, b.N)
			for i := range readers {
				readers[i], _ = join(b, linkTo(store, latency))
			}
			writer, _ := join(b, linkTo(store, 0))
			for i := range 1000 {
				if err := writer.Append(context.Background(), putOf(fmt.Sprint(i))); err != nil {
					b.Fatal(err)
				}
			}
			before := store.Requests()
			b.ResetTimer()
			for _, n := range readers {
				if err := n.CatchUp(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(store.Requests()-before)/float64(b.N), "requests")
		})
	}
}

// Two requests in each of ten nodes that write as fast as they can: nobody is
// left behind. Virtual time: no other load disturbs it.
func TestAppendIsFair(t *testing.T) {
	for _, nodes := range []int{1, 2, 3, 10} {
		synctest.Test(t, func(t *testing.T) {
			store := buckettest.NewMemory()
			var longest time.Duration
			var appends int
			var mu sync.Mutex
			var wg sync.WaitGroup
			began := time.Now()
			for range nodes {
				n, _ := join(t, linkTo(store, 10*time.Millisecond))
				for range 2 {
					wg.Go(func() {
						for time.Since(began) < 10*time.Second {
							asked := time.Now()
							if err := n.Append(context.Background(), putOf("a")); err != nil {
								t.Error(err)
							}
							mu.Lock()
							longest = max(longest, time.Since(asked))
							appends++
							mu.Unlock()
						}
					})
				}
			}
			wg.Wait()
			t.Logf("%d nodes: %d appends/s, longest %s", nodes, appends/10, longest)
			if longest > 3*time.Second {
				t.Errorf("%d nodes: an append took %s", nodes, longest)
			}
		})
	}
}
