package changelog

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/clock/clocktest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/control"
)

// newClock returns a clock of which Set makes a machine that was suspended.
func newClock() *clocktest.Clock { return clocktest.New(time.Now(), 1, 0) }

func use(clock *clocktest.Clock) func(*Config) {
	return func(c *Config) { c.Testing.Clock = clock.Now }
}

// beforePut is a hook that calls f before the first Put.
func beforePut(f func()) buckettest.Hook {
	var once sync.Once
	return func(c buckettest.Call) buckettest.Fault {
		if c.Op == buckettest.OpPut {
			once.Do(f)
		}
		return buckettest.Fault{}
	}
}

// A node whose machine stands still in the middle of a write, while the others
// go on and trim the log: its entry lands below the log's beginning, where
// nobody reads it, so it has to be written again.
func TestEntryBelowTheLog(t *testing.T) {
	store := buckettest.NewMemory()
	short := func(c *Config) { c.Testing.KeepEntries, c.Testing.KeepAge = 5, -time.Hour }
	b, sawB := join(t, linkTo(store, 0), short)
	clock := newClock()
	faulty := buckettest.NewFaulty(linkTo(store, 0), nil)
	a, sawA := join(t, faulty, short, use(clock))
	if err := a.Append(t.Context(), putOf("before")); err != nil {
		t.Fatal(err)
	}
	faulty.SetHook(beforePut(func() {
		for i := range 20 {
			if err := b.Append(t.Context(), putOf(fmt.Sprint("other", i))); err != nil {
				t.Error(err)
			}
		}
		if err := b.Trim(t.Context()); err != nil {
			t.Error(err)
		}
		clock.Set(time.Hour)
	}))
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
	if len(store.Contents("")) != 6 {
		t.Errorf("%d objects are left", len(store.Contents("")))
	}
}

// The same with the first entry of all, which has none before it, by which the
// others know where the log goes on; also if nothing else was trimmed.
func TestFirstEntryBelowTheLog(t *testing.T) {
	for _, keep := range []uint64{5, 20} {
		synctest.Test(t, func(t *testing.T) {
			store := buckettest.NewMemory()
			short := func(c *Config) { c.Testing.KeepEntries, c.Testing.KeepAge = keep, -time.Hour }
			b, sawB := join(t, linkTo(store, 0), short)
			clock := newClock()
			faulty := buckettest.NewFaulty(linkTo(store, 0), nil)
			a, _ := join(t, faulty, short, use(clock))
			faulty.SetHook(beforePut(func() {
				for i := range 21 {
					if err := b.Append(t.Context(), putOf(fmt.Sprint("other", i))); err != nil {
						t.Error(err)
					}
				}
				time.Sleep(2 * time.Second) // times in the store are of whole seconds
				if err := b.Trim(t.Context()); err != nil {
					t.Error(err)
				}
				clock.Set(time.Hour)
			}))
			if err := a.Append(t.Context(), putOf("mine")); err != nil {
				t.Fatal(err)
			}
			if err := b.CatchUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := sawB.keys(); !slices.Equal(got, []string{"mine"}) {
				t.Errorf("%d kept: the other node was given %q", keep, got)
			}
			if left := uint64(len(store.Contents(""))); left != keep+1 {
				t.Errorf("%d kept: %d objects are left", keep, left)
			}
		})
	}
}

// Until its writer removes it there, a node that has read nothing yet must not take
// it for the log's beginning.
func TestFirstEntryIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := buckettest.NewMemory()
		clock := newClock()
		idle, saw := join(t, linkTo(store, 0), use(clock))
		b, _ := join(t, linkTo(store, 0), func(c *Config) { c.Testing.KeepEntries, c.Testing.KeepAge = 5, -time.Hour })
		for i := range 20 {
			if err := b.Append(t.Context(), putOf(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Trim(t.Context()); err != nil {
			t.Fatal(err)
		}
		change := putOf("below")
		data, err := encodeChange(&change)
		if err != nil {
			t.Fatal(err)
		}
		entry, err := encodeEntry(control.NewNonce(), control.NewNonce(), []json.RawMessage{data})
		if err != nil {
			t.Fatal(err)
		}
		set(store, b.entryKey(1), string(entry))
		clock.Set(time.Hour)
		if err := idle.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := saw.keys(); len(got) > 0 || saw.lost != 1 || idle.Stats().Position != 20 {
			t.Errorf("it was given %q, told %d times that entries were missed, and is at %d", got, saw.lost, idle.Stats().Position)
		}
	})
}

// An answer that came late is no reason to write the first entry again, whatever
// was written since.
func TestFirstEntryOfTheLog(t *testing.T) {
	for others := range 3 {
		store := buckettest.NewMemory()
		b, sawB := join(t, linkTo(store, 0))
		clock := newClock()
		l := &lateAnswers{Store: linkTo(store, 0), late: func() {
			if err := b.CatchUp(t.Context()); err != nil {
				t.Error(err)
			}
			for i := range others {
				if err := b.Append(t.Context(), putOf(fmt.Sprint("other", i))); err != nil {
					t.Error(err)
				}
			}
			clock.Set(time.Hour)
		}}
		a, _ := join(t, l, use(clock))
		if err := a.Append(t.Context(), putOf("mine")); err != nil {
			t.Fatal(err)
		}
		if err := b.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := sawB.keys(); !slices.Equal(got, []string{"mine"}) || len(store.Contents("")) != 1+others {
			t.Errorf("after %d others: given %q, %d objects", others, got, len(store.Contents("")))
		}
	}
}

// lateAnswers is a store whose answer to the first Put comes after late.
type lateAnswers struct {
	bucket.Store
	once sync.Once
	late func()
}

func (s *lateAnswers) Put(ctx context.Context, key string, body io.ReaderAt, size int64, opts bucket.PutOptions) (bucket.Info, error) {
	info, err := s.Store.Put(ctx, key, body, size, opts)
	s.once.Do(s.late)
	return info, err
}

// A node that was away for long reads old entries while another trims them: an
// entry that is gone is not the end of the log, though the one before was still
// there a moment ago.
func TestTrimmedWhileRead(t *testing.T) {
	for gone := uint64(2); gone < 30; gone += 3 {
		store := buckettest.NewMemory()
		short := func(c *Config) { c.Testing.KeepEntries, c.Testing.KeepAge = 5, -time.Hour }
		b, _ := join(t, linkTo(store, 0), short)
		clock := newClock()
		faulty := buckettest.NewFaulty(linkTo(store, 0), nil)
		a, saw := join(t, faulty, short, use(clock))
		for i := range 40 {
			if err := b.Append(t.Context(), putOf(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		clock.Set(48 * time.Hour)
		faulty.SetHook(func(c buckettest.Call) buckettest.Fault {
			if c.Op == buckettest.OpGet && c.Key == a.entryKey(gone) {
				if err := b.Trim(t.Context()); err != nil {
					t.Error(err)
				}
			}
			return buckettest.Fault{}
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
		if _, there := store.Contents("")[a.entryKey(41)]; !there {
			t.Errorf("trimmed when entry %d was read: the next append is not at the end", gone)
		}
	}
}
