package changelog

import (
	"testing"
	"testing/synctest"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// An older state of the bucket is seen although this node has written on from where it
// was before it asks.
func TestContinuesSeesAHole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := buckettest.NewMemory()
		l, _ := join(t, linkTo(store, 0))
		write := func() {
			t.Helper()
			if err := l.Append(t.Context(), putOf("x")); err != nil {
				t.Fatal(err)
			}
		}
		ask := func(what string, number uint64, want bool) {
			t.Helper()
			goesOn, err := l.Continues(t.Context(), number)
			if err != nil || goesOn != want {
				t.Errorf("%s: %t, %v", what, goesOn, err)
			}
		}
		ask("before any entry", 0, true)
		for range 4 {
			write()
		}
		ask("with all entries", 4, true)
		for range 3 {
			write()
		}
		remove := func(numbers ...uint64) {
			for _, n := range numbers {
				if err := store.Delete(t.Context(), l.entryKey(n)); err != nil {
					t.Fatal(err)
				}
			}
		}
		remove(6, 7)
		write()
		ask("behind a hole", l.Stats().Position, false)
		ask("once more", l.Stats().Position, false)
		remove(1, 2, 3, 4, 5)
		ask("trimmed beyond the hole", l.Stats().Position, true)
	})
}
