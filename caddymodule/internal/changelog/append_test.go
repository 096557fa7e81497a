package changelog

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// The puts of one request share an entry.
func TestAppendsShareEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := buckettest.NewMemory()
		n, _ := join(t, linkTo(store, 10*time.Millisecond))
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 80 * time.Microsecond)
				if err := n.Append(t.Context(), putOf(fmt.Sprint(i))); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if s := n.Stats(); s.Entries != 1 || s.Appended != 20 {
			t.Errorf("%d changes in %d entries", s.Appended, s.Entries)
		}
	})
}

// An entry waits for the changes that belong to those in it, and for no others.
func TestAppendsWaitForTheirLikes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := buckettest.NewMemory()
		n, _ := join(t, linkTo(store, 100*time.Millisecond))
		for range 20 { // it knows how long a write takes
			if err := n.Append(t.Context(), putOf("before")); err != nil {
				t.Fatal(err)
			}
		}
		for _, test := range []struct {
			name    string
			second  string
			after   time.Duration
			entries int64
		}{
			{"another size of the picture", "photo-150x150.jpg", 40 * time.Millisecond, 1},
			{"too late", "photo-150x150.jpg", 2 * time.Second, 2},
			{"another picture", "other.jpg", 40 * time.Millisecond, 2},
		} {
			before := n.Stats().Entries
			done := n.Expect(test.second)
			var first sync.WaitGroup
			first.Go(func() {
				if err := n.Append(t.Context(), putOf("photo.jpg")); err != nil {
					t.Error(err)
				}
			})
			time.Sleep(test.after)
			done()
			if err := n.Append(t.Context(), putOf(test.second)); err != nil {
				t.Error(err)
			}
			first.Wait()
			if got := n.Stats().Entries - before; got != test.entries {
				t.Errorf("%s: %d entries, want %d", test.name, got, test.entries)
			}
		}
	})
}

// More than one entry takes is split, and read in order.
func TestAppendSplits(t *testing.T) {
	store := buckettest.NewMemory()
	a, _ := join(t, linkTo(store, 0))
	b, saw := join(t, linkTo(store, 0))
	var changes []Change
	for i := range 2500 {
		changes = append(changes, putOf(fmt.Sprintf("%04d/%s", i, strings.Repeat("x", 200))))
	}
	if err := a.Append(t.Context(), changes...); err != nil {
		t.Fatal(err)
	}
	if err := b.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := saw.keys(); len(got) != 2500 || got[0] != changes[0].Key || got[2499] != changes[2499].Key {
		t.Errorf("%d changes came", len(got))
	}
	for key, content := range store.Contents("") {
		if len(content) > maxEntry {
			t.Errorf("%s has %d bytes", key, len(content))
		}
	}
}

// Where one part fails for good, the others are not written later.
func TestAppendFailsAsAWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := buckettest.NewMemory()
		faulty := buckettest.NewFaulty(linkTo(store, 10*time.Millisecond), nil)
		n, _ := join(t, faulty)
		var once sync.Once
		faulty.SetHook(func(c buckettest.Call) (f buckettest.Fault) {
			once.Do(func() { f.Before = bucket.ErrDenied })
			return f
		})
		changes := make([]Change, maxChanges+1)
		for i := range changes {
			changes[i] = putOf(fmt.Sprint(i))
		}
		if err := n.Append(t.Context(), changes...); !errors.Is(err, bucket.ErrDenied) {
			t.Errorf("got %v", err)
		}
		time.Sleep(time.Second)
		if left := store.Contents(""); len(left) > 0 {
			t.Errorf("written after that: %q", left)
		}
	})
}
