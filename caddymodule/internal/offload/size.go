package offload

import (
	"sync/atomic"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
)

// objectCount is about how many objects of media the bucket has: a comparison of
// everything counts them, and what any node stores and deletes is added until the next.
type objectCount struct{ atomic.Int64 }

// now returns the number.
func (c *objectCount) now() int64 { return max(0, c.Load()) }

// correct notes how many a comparison found that began when the number was before. What
// was stored since is counted besides: it lies, mostly, behind where the comparison was.
func (c *objectCount) correct(before int64, found int) { c.Add(int64(found) - before) }

// hasObject reports whether the bucket has an object of a key of which known is what the
// index says.
func (e *Engine) hasObject(key string, known index.Entry) bool {
	return known.Object() || known.State != index.Removed && e.index.HoldsAny(key)
}

// countStored counts the object of a file that was just stored, if it is a new one.
func (e *Engine) countStored(key string, x *sight) {
	known, _ := e.index.Peek(key)
	if x.base == "" && x.stored.ETag == "" && !e.hasObject(key, known) {
		e.size.Add(1)
	}
}

// countHeard counts what another node stored or deleted, of which known is what the index
// said before.
func (e *Engine) countHeard(c *changelog.Change, known index.Entry) {
	switch has := e.hasObject(c.Key, known); {
	case c.Op == changelog.Put && !has:
		e.size.Add(1)
	case c.Op == changelog.Delete && has:
		e.size.Add(-1)
	}
}
