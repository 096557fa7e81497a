package changelog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

var (
	errDeniedHere = fmt.Errorf("%w: %w", bucket.ErrDenied, bucket.ErrOfObject)
	errRefusing   = fmt.Errorf("%w: there are objects below it", bucket.ErrRefused)
	errIO         = errors.New("input/output error")
)

// failing returns a hook with an error for the given operations on entries for which
// it is, and for no others.
func failing(with error, is func(key string) bool, ops ...buckettest.Op) buckettest.Hook {
	return func(c buckettest.Call) buckettest.Fault {
		if slices.Contains(ops, c.Op) && is(c.Key) {
			return buckettest.Fault{Before: with}
		}
		return buckettest.Fault{}
	}
}

func entryIs(number uint64) func(string) bool {
	return func(key string) bool { return key == "offload/log/"+entryName(number) }
}

func anyEntry(key string) bool { return strings.HasPrefix(key, "offload/log/") }

// duo is two nodes, each with faults of its own, that have agreed on entry 1.
type duo struct {
	t          *testing.T
	store      *buckettest.Memory
	a, b       *Log
	sawA, sawB *seen
	wayA, wayB *buckettest.Faulty
}

func newDuo(t *testing.T) *duo {
	store := buckettest.NewMemory()
	d := &duo{t: t, store: store, wayA: buckettest.NewFaulty(linkTo(store, 0), nil), wayB: buckettest.NewFaulty(linkTo(store, 0), nil)}
	d.a, d.sawA = join(t, d.wayA)
	d.b, d.sawB = join(t, d.wayB)
	d.append(d.a, "first")
	d.catchUp(d.b)
	return d
}

func (d *duo) append(l *Log, key string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	if err := l.Append(ctx, putOf(key)); err != nil {
		d.t.Fatalf("appending %s: %v\n%s", key, err, l)
	}
}

func (d *duo) catchUp(l *Log) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	if err := l.CatchUp(ctx); err != nil {
		d.t.Fatalf("%v\n%s", err, l)
	}
}

// heard checks that a node was given a key's change, or has to compare everything since
// that was written.
func (d *duo) heard(l *Log, saw *seen, key string, lostBefore int) {
	d.t.Helper()
	d.catchUp(l)
	if !slices.Contains(saw.keys(), key) && saw.lost == lostBefore {
		d.t.Errorf("%s was not heard of: %q, lost %d\n%s", key, saw.keys(), saw.lost, l)
	}
}

// One entry that a node cannot read ends nothing: it is passed over, and because it may
// have told of anything, disk and bucket are compared.
//
// Promise 6: "Overwrites and deletes reach the other disks within about a second."
func TestUnreadableEntryIsPassedOver(t *testing.T) {
	for _, with := range []error{errDeniedHere, errIO} {
		synctest.Test(t, func(t *testing.T) {
			d := newDuo(t)
			d.wayB.SetHook(failing(with, entryIs(2), buckettest.OpGet, buckettest.OpPut))
			d.append(d.a, "unreadable")
			d.append(d.a, "after")
			d.catchUp(d.b)
			if got := d.sawB.keys(); d.sawB.lost != 1 || !slices.Equal(got, []string{"first", "after"}) {
				t.Errorf("%v: given %q, told %d times that entries were missed", with, got, d.sawB.lost)
			}
			d.append(d.b, "mine")
			d.heard(d.a, d.sawA, "mine", 0)
			if s := d.b.Stats(); s.Position != 4 || s.Skipped != 1 {
				t.Errorf("%v: %+v", with, s)
			}
		})
	}
}

// Answers that are lost, be it a few in a row, are no reason to pass an entry over.
func TestLostAnswersPassNothingOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDuo(t)
		d.append(d.a, "a1")
		d.wayB.SetHook(func(c buckettest.Call) buckettest.Fault {
			if entryIs(2)(c.Key) && c.Op == buckettest.OpGet && c.ForKey <= lostTries-1 {
				return buckettest.Fault{After: errIO}
			}
			return buckettest.Fault{}
		})
		d.catchUp(d.b)
		if got := d.sawB.keys(); d.sawB.lost != 0 || !slices.Equal(got, []string{"first", "a1"}) {
			t.Errorf("given %q, told %d times that entries were missed", got, d.sawB.lost)
		}
	})
}

// A node that is about to write where an entry stands that it can neither read nor write
// passes over it, too.
func TestUnreadableEntryIsWrittenBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDuo(t)
		d.append(d.a, "unreadable")
		d.wayB.SetHook(failing(errDeniedHere, entryIs(2), buckettest.OpGet, buckettest.OpPut))
		d.append(d.b, "mine")
		d.heard(d.a, d.sawA, "mine", 0)
		if d.sawB.lost != 1 || d.b.Stats().Position != 3 {
			t.Errorf("told %d times that entries were missed; %s", d.sawB.lost, d.b)
		}
	})
}

// Where no entry can be written its number is stepped over, and all nodes agree, whether
// they see it as the writer does or not.
//
// Promise 6: "Overwrites and deletes reach the other disks within about a second."
func TestUnwritableEntryIsSteppedOver(t *testing.T) {
	both := []buckettest.Op{buckettest.OpGet, buckettest.OpPut}
	put := both[1:]
	for _, test := range []struct {
		name string
		hook buckettest.Hook
		ofB  bool // it is so for the other node as well
	}{
		{"denied to all", failing(errDeniedHere, entryIs(2), both...), true},
		{"written by none", failing(errDeniedHere, entryIs(2), put...), true},
		{"a directory", failing(errRefusing, entryIs(2), put...), true},
		{"denied to one", failing(errDeniedHere, entryIs(2), both...), false},
		{"not written by one", failing(errDeniedHere, entryIs(2), put...), false},
		{"three in a row", failing(errDeniedHere, func(key string) bool {
			return entryIs(2)(key) || entryIs(3)(key) || entryIs(4)(key)
		}, both...), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDuo(t)
				d.wayA.SetHook(test.hook)
				if test.ofB {
					d.wayB.SetHook(test.hook)
				}
				d.append(d.a, "a1")
				d.append(d.b, "b1")
				d.heard(d.a, d.sawA, "b1", 0)
				d.heard(d.b, d.sawB, "a1", 0)
				lostA, lostB := d.sawA.lost, d.sawB.lost
				d.append(d.a, "a2")
				d.append(d.b, "b2")
				d.catchUp(d.a)
				d.catchUp(d.b)
				if !slices.Contains(d.sawA.keys(), "b2") || !slices.Contains(d.sawB.keys(), "a2") || d.sawA.lost != lostA || d.sawB.lost != lostB {
					t.Errorf("then they do not go on: a heard of %q, b of %q\n%s\n%s", d.sawA.keys(), d.sawB.keys(), d.a, d.b)
				}
				if at, of := d.a.Stats().Position, d.b.Stats().Position; at != of {
					t.Errorf("at the end a is at %d, b at %d", at, of)
				}
			})
		})
	}
}

// What can be written at a stepped over number later is heard of late, and not never.
func TestSteppedOverNumberIsWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDuo(t)
		d.wayA.SetHook(failing(errDeniedHere, entryIs(2), buckettest.OpGet, buckettest.OpPut))
		d.append(d.a, "a1")
		d.catchUp(d.a)
		d.append(d.b, "late") // at 2: b knows nothing of an entry 3
		d.wayA.SetHook(nil)
		for range 2 {
			d.catchUp(d.a)
			if got := d.sawA.keys(); !slices.Equal(got, []string{"late"}) || d.sawA.lost > 0 {
				t.Errorf("heard of %q, lost %d", got, d.sawA.lost)
			}
		}
		before := d.wayA.Calls(buckettest.OpGet)
		d.catchUp(d.a)
		if got := d.wayA.Calls(buckettest.OpGet) - before; got != 1 {
			t.Errorf("then a look takes %d requests", got)
		}
	})
}

// A number is not watched for ever.
func TestSteppedOverNumberIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDuo(t)
		d.wayA.SetHook(failing(errDeniedHere, entryIs(2), buckettest.OpPut))
		d.append(d.a, "a1")
		time.Sleep(watchFor + time.Second)
		d.catchUp(d.a)
		before := d.wayA.Calls(buckettest.OpGet)
		d.catchUp(d.a)
		if got := d.wayA.Calls(buckettest.OpGet) - before; got != 1 {
			t.Errorf("a look takes %d requests", got)
		}
	})
}

// What cannot be listed below the log is none of its entries, or one that is there.
func TestUnlistedBelowTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := buckettest.NewMemory()
		set(store, "offload/log/"+entryName(2)+"/x", "evil")
		set(store, "offload/log/stray", "evil")
		for _, left := range []string{"offload/log/" + entryName(2) + "/", "offload/log/stray"} {
			part := &bucket.UnlistedError{Key: left, Err: errDeniedHere}
			l, _ := join(t, buckettest.NewFaulty(linkTo(store, 0), buckettest.Always(buckettest.Fault{Unlisted: part}, buckettest.OpList)))
			if err := l.Append(t.Context(), putOf("a")); err != nil {
				t.Errorf("%s: %v", left, err)
			}
		}
		all := &bucket.UnlistedError{Key: "offload/log/", Err: errDeniedHere}
		l, err := New(Config{Store: buckettest.NewFaulty(linkTo(store, 0), buckettest.Always(buckettest.Fault{Unlisted: all}, buckettest.OpList)),
			Prefix: "offload/", Apply: func([]Change) {}, Lost: func() {}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Join(t.Context(), 0); !errors.Is(err, bucket.ErrDenied) {
			t.Errorf("the whole log: %v", err)
		}
	})
}

// A log of which nothing can be read or written is no matter of single entries: nothing
// is passed over.
func TestDeniedLogIsNotPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDuo(t)
		d.append(d.a, "a1")
		d.wayB.SetHook(failing(errDeniedHere, anyEntry, buckettest.OpGet, buckettest.OpPut))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := d.b.CatchUp(ctx); !errors.Is(err, bucket.ErrDenied) {
			t.Errorf("catching up: %v", err)
		}
		if d.sawB.lost != 0 || d.b.Stats().Position != 1 {
			t.Errorf("told %d times that entries were missed; %s", d.sawB.lost, d.b)
		}
		d.wayB.SetHook(failing(errDeniedHere, anyEntry, buckettest.OpPut))
		d.catchUp(d.b)
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := d.b.Append(ctx, putOf("mine")); !errors.Is(err, bucket.ErrDenied) {
			t.Errorf("appending: %v", err)
		}
		if at := d.b.Stats().Position; at != 2 {
			t.Errorf("it is at %d", at)
		}
		d.wayB.SetHook(nil)
		d.append(d.b, "mine")
		d.catchUp(d.a)
		if got := d.sawA.keys(); !slices.Equal(got, []string{"mine"}) || d.sawA.lost != 0 {
			t.Errorf("the other heard of %q and was told %d times that entries were missed", got, d.sawA.lost)
		}
	})
}
