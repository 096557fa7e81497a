package offload

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
)

// TestChanges: who remembers what Public said may go on saying so until Changes
// grows, whatever happens to the index meanwhile.
func TestChanges(t *testing.T) {
	const size, keys = 2, 4 // some are forgotten to make room
	for _, shared := range []bool{false, true} {
		random := rand.New(rand.NewPCG(1, 1))
		e := &Engine{index: index.New(size, func(string) {})}
		if shared {
			e.index.Share()
		}
		type answer struct {
			etag    string
			changes uint64
		}
		remembered := map[string]answer{}
		for step := range 20_000 {
			key := fmt.Sprint(random.IntN(keys))
			x := index.Entry{State: index.State(1 + random.IntN(int(index.Removed))), Class: media.Class(random.IntN(3)), ETag: fmt.Sprint(random.IntN(3))}
			op := random.IntN(7)
			switch op {
			case 0:
				e.index.Set(key, x)
			case 1:
				e.index.Learn(key, x)
			case 2:
				e.index.Forget(key)
			case 3:
				e.index.Evict(key)
			case 4:
				e.index.Soil(key)
			default: // time for answers to be remembered
			}
			dropped := op == 2 || op == 3 // not only to make room
			if a, ok := remembered[key]; ok && dropped && a.changes == e.Changes() {
				t.Fatalf("step %d: operation %d dropped %s, which may go on to be %q", step, op, key, a.etag)
			}
			for i := range keys {
				key := fmt.Sprint(i)
				x, known := e.index.Peek(key)
				public := x.Stored() && x.Class == media.Public
				if a, ok := remembered[key]; ok && known && a.changes == e.Changes() && (!public || a.etag != x.ETag) {
					t.Fatalf("step %d: operation %d made another thing of %s: was %q, is %+v", step, op, key, a.etag, x)
				}
				if known && public {
					remembered[key] = answer{x.ETag, e.Changes()}
				}
			}
		}
	}
}
