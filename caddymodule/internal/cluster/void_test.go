package cluster

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// A node whose machine stands still in the middle of a write, while the others
// go on and trim the log: its entry lands below the log's beginning, where
// nobody reads it, so it has to be written again.
func TestEntryBelowTheLog(t *testing.T) {
	store := newMemStore()
	short := func(c *Config) { c.keepEntries, c.keepAge = 5, -time.Hour }
	b, sawB := join(t, linkTo(store, 0), short)
	var mu sync.Mutex
	var slept time.Duration
	clock := systemClock()
	faulty := bucket.NewFaulty(linkTo(store, 0), nil)
	a, sawA := join(t, faulty, short, func(c *Config) {
		c.clock = func() instant {
			mu.Lock()
			defer mu.Unlock()
			now := clock()
			return instant{mono: now.mono, wall: now.wall.Add(slept)}
		}
	})
	if err := a.Append(t.Context(), putOf("before")); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	faulty.SetHook(func(c bucket.Call) bucket.Fault {
		if c.Op != bucket.OpPut {
			return bucket.Fault{}
		}
		once.Do(func() {
			for i := range 20 {
				if err := b.Append(t.Context(), putOf(fmt.Sprint("other", i))); err != nil {
					t.Error(err)
				}
			}
			if err := b.log.trim(t.Context()); err != nil {
				t.Error(err)
			}
			mu.Lock()
			slept = time.Hour
			mu.Unlock()
		})
		return bucket.Fault{}
	})
	if err := a.Append(t.Context(), putOf("mine")); err != nil {
		t.Fatal(err)
	}
	if err := b.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := sawB.keys(); !slices.Equal(got, []string{"before", "mine"}) {
		t.Errorf("the other node was given %q", got)
	}
	if sawA.lost != 1 {
		t.Errorf("it was told %d times that entries were missed", sawA.lost)
	}
	if len(store.objects) != 6 {
		t.Errorf("%d objects are left", len(store.objects))
	}
}

// A node that was away for long reads old entries while another trims them: an
// entry that is gone is not the end of the log, though the one before was still
// there a moment ago.
func TestTrimmedWhileRead(t *testing.T) {
	for gone := uint64(2); gone < 30; gone += 3 {
		store := newMemStore()
		short := func(c *Config) { c.keepEntries, c.keepAge = 5, -time.Hour }
		b, _ := join(t, linkTo(store, 0), short)
		var slept time.Duration
		clock := systemClock()
		faulty := bucket.NewFaulty(linkTo(store, 0), nil)
		a, saw := join(t, faulty, short, func(c *Config) {
			c.clock = func() instant {
				now := clock()
				return instant{mono: now.mono, wall: now.wall.Add(slept)}
			}
		})
		for i := range 40 {
			if err := b.Append(t.Context(), putOf(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		slept = 48 * time.Hour
		faulty.SetHook(func(c bucket.Call) bucket.Fault {
			if c.Op == bucket.OpGet && c.Key == a.log.entryKey(gone) {
				if err := b.log.trim(t.Context()); err != nil {
					t.Error(err)
				}
			}
			return bucket.Fault{}
		})
		if err := a.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if at := a.Stats().Position; at != 40 {
			t.Errorf("trimmed when entry %d was read: it has caught up to %d of 40", gone, at)
		}
		if saw.lost != 1 {
			t.Errorf("trimmed when entry %d was read: it was given %q, and told %d times that entries were missed", gone, saw.keys(), saw.lost)
		}
		if err := a.Append(t.Context(), putOf("mine")); err != nil {
			t.Fatal(err)
		}
		if _, there := store.objects[a.log.entryKey(41)]; !there {
			t.Errorf("trimmed when entry %d was read: the next append is not at the end", gone)
		}
	}
}
