//go:build integration

package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// endings are the ways in which a server of several stops what it does, and goes on.
var endings = []struct {
	name string
	end  func(ctx context.Context, t *testing.T, n *node)
	// goesOn: it serves all the time.
	goesOn bool
}{
	{name: "kill -9", end: func(_ context.Context, t *testing.T, n *node) { must(t, n.caddy.Kill()) }},
	{name: "SIGTERM", end: func(_ context.Context, t *testing.T, n *node) { must(t, n.caddy.Stop()) }},
	{name: "reload", goesOn: true, end: func(ctx context.Context, t *testing.T, n *node) {
		sites := n.caddy.Sites()
		for i := range 5 {
			n.caddy.SetSites(strings.Replace(sites, "hold 5s", fmt.Sprintf("hold %ds", 6+i), 1))
			must(t, n.caddy.Reload())
			pause(ctx, 200*time.Millisecond) // between two deploys
		}
		n.caddy.SetSites(sites)
		must(t, n.caddy.Reload())
	}},
}

// TestNodesEnd kills, stops and reloads one of three servers at random moments, while
// files of one name are uploaded to all. The others go on, and in the end all disks
// are equal, with a file of its own for each upload that a client was told of.
//
// Promise 2: "No failure of the bucket, the network or the node (kill -9 at any
// point) loses a file that the app has on disk: it is committed after recovery,
// without anyone's help."
func TestNodesEnd(t *testing.T) {
	t.Parallel() // it waits most of the time, for leases to expire
	rounds := length(len(endings), 90)
	ctx := within(t, time.Duration(rounds)*2*time.Minute+2*time.Minute)
	c := newCluster(t, clusterOptions{store: onVersitygw, options: []string{"hold 5s"}})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range rounds {
		ending, victim := endings[round%len(endings)], random.IntN(len(c.nodes))
		t.Run(fmt.Sprintf("%d %s of %s", round, ending.name, c.nodes[victim].name), func(t *testing.T) {
			name := fmt.Sprintf("ends %d.jpg", round)
			n := c.nodes[victim]
			doomed := c.keepUploading(ctx, name, n)
			others := c.keepUploading(ctx, name, append(append([]*node(nil), c.nodes[:victim]...), c.nodes[victim+1:]...)...)
			others.goesOn(t, 2)
			// The moment is what this test is about.
			pause(ctx, time.Duration(random.Int64N(int64(1500*time.Millisecond))))
			ending.end(ctx, t, n)
			if ending.goesOn {
				doomed.goesOn(t, 2)
			}
			doomed.stop()
			phpIdle(t, n.php)
			onDisk := contents(t, n)
			others.goesOn(t, 2)
			if !ending.goesOn {
				must(t, n.caddy.Start())
			}
			others.goesOn(t, 2)
			others.stop()
			others.noWedge(t)
			c.equalWithin(ctx, "after "+ending.name, leaseExpiry)
			c.kept(ctx, t, &doomed.uploadLog)
			c.kept(ctx, t, &others.uploadLog)
			c.keptSomewhere(ctx, t, onDisk)
		})
	}
}
