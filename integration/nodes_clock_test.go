//go:build integration

package integration

import (
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/env"
)

// TestNodesClocks has three servers whose clocks are an hour apart upload files
// of one name at once, and be killed. It is for a soak, since a program whose
// clock can be set takes minutes to build: all of it is built anew. In an
// ordinary run the tests of internal/lease and internal/offload show what it
// rests on: that no time of one server is ever compared with another's.
func TestNodesClocks(t *testing.T) {
	if !soak {
		t.Log("only in a soak")
		return
	}
	ctx := within(t, 20*time.Minute)
	builder := env.Builder{Race: true, Clock: true}
	binary := must1(builder.Build())(t)
	c := newCluster(t, clusterOptions{store: onVersitygw, options: []string{"hold 5s"}, caddy: func(n int) (string, []string) {
		return binary, []string{env.ClockAhead((n - 2) * 3600)}
	}})
	for i, n := range c.nodes {
		uploads := c.keepUploading(ctx, "clock.jpg", c.nodes...)
		uploads.goesOn(t, 50)
		must(t, n.caddy.Kill())
		others := c.keepUploading(ctx, "clock.jpg", c.nodes[(i+1)%3], c.nodes[(i+2)%3])
		others.goesOn(t, 50)
		uploads.stop()
		phpIdle(t, n.php)
		must(t, n.caddy.Start())
		others.goesOn(t, 50)
		others.stop()
		others.noWedge(t)
		c.equalWithin(ctx, "after the kill", leaseExpiry)
		c.kept(ctx, t, &uploads.uploadLog)
		c.kept(ctx, t, &others.uploadLog)
	}
	// Edits and deletes reach all.
	first, second := c.login(ctx, c.nodes[0].direct), c.login(ctx, c.nodes[2].direct)
	for id := range c.attachedFiles(ctx, t) {
		must(t, first.Crop(ctx, id, 10, 10, 200, 150))
		must(t, second.DeleteREST(ctx, id))
	}
	c.equalWithin(ctx, "after the deletes", 2*time.Second)
}
