package lease

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// A node whose reads of the change log end where an entry could not be written hears by
// the lease that the log goes on behind that.
//
// Promise: "when Claim.CatchUp returns nil, the node has read what those wrote to the
// change log who had the names before", or was told that it has to compare everything.
func TestLeaseTellsThatTheLogGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := buckettest.NewMemory()
		unwritable := func(c buckettest.Call) buckettest.Fault {
			if c.Op == buckettest.OpPut && strings.HasSuffix(c.Key, "log/00000000000000000001") {
				return buckettest.Fault{Before: fmt.Errorf("%w: %w", bucket.ErrDenied, bucket.ErrOfObject)}
			}
			return buckettest.Fault{}
		}
		a, _ := join(t, buckettest.NewFaulty(linkTo(store, 10*time.Millisecond), unwritable))
		b, saw := join(t, buckettest.NewFaulty(linkTo(store, 10*time.Millisecond), unwritable))
		first := a.Claim("")
		first.Add("x")
		if err := first.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := a.append(t.Context(), changed("x.jpg")); err != nil {
			t.Fatal(err)
		}
		first.Release()
		time.Sleep(time.Second) // it is given back
		second := b.Claim("")
		defer second.Release()
		second.Add("x")
		if err := second.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if saw.lost == 0 && !slices.Contains(saw.keys(), "x.jpg") {
			t.Errorf("it was given %q; %s", saw.keys(), b.log)
		}
	})
}
