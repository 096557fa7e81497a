package lease

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/dir"
)

// A lease that somebody wrote over with more than any node writes may have been one that
// is held. It counts as taken until its holder, who notices when it renews it, cannot
// have it any more.
//
// Promise: "a name is held by at most one claim, of all nodes, whose Held is true".
func TestOversizedLeaseIsTakenOverLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := buckettest.NewMemory()
		a, _ := join(t, linkTo(store, 10*time.Millisecond))
		b, _ := join(t, linkTo(store, 10*time.Millisecond))
		first := a.Claim("")
		defer first.Release()
		first.Add("x")
		if err := first.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		set(store, a.slots[slotOf("x")].key(), strings.Repeat("x", maxRecord+1))
		second := b.Claim("")
		defer second.Release()
		second.Add("x")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := second.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		if first.Held() || !second.Held() {
			t.Errorf("the first claim has it: %v, the second: %v", first.Held(), second.Held())
		}
		if s := b.Stats(); s.Takeovers != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// Also where it is so large that nobody would wait for it to be read: nothing is read.
func TestHugeLeaseIsTakenOver(t *testing.T) {
	t.Parallel()
	at := filepath.Join(t.TempDir(), "bucket")
	store, err := dir.Open(at, nil)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := join(t, store, func(c *Config) { c.TTL = minTTL })
	huge := filepath.Join(at, (&slot{leaser: n.Leaser, number: slotOf("x")}).key())
	if err := errors.Join(os.MkdirAll(filepath.Dir(huge), 0o755), os.WriteFile(huge, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, 1<<42); err != nil {
		t.Skipf("no sparse files: %v", err)
	}
	c := n.Claim("")
	defer c.Release()
	c.Add("x")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := c.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if info, err := store.Head(ctx, "offload/lease/"+filepath.Base(huge)); err != nil || info.Size > maxRecord {
		t.Errorf("%+v, %v", info, err)
	}
}
