package naming

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/lease"
)

// nodes are the others, as a test has them.
type nodes struct {
	several bool
	err     error // of what
	of      string
	lost    context.Context // the cause why others are out of reach
	calls   []string
	stems   []string
	brought func(key string) bool
}

func (n *nodes) did(what string) error {
	n.calls = append(n.calls, what)
	if n.of == what {
		return n.err
	}
	return nil
}

func (n *nodes) Several() bool                  { return n.several }
func (n *nodes) AllKnown(context.Context) error { return n.did("known") }
func (n *nodes) CatchUp(context.Context) error  { return n.did("caught up") }

func (n *nodes) During(ctx context.Context) (context.Context, func()) {
	if n.lost == nil {
		return ctx, func() {}
	}
	return n.lost, func() {}
}

func (n *nodes) Bring(_ context.Context, stems []string, resembles func(string) bool) error {
	n.stems, n.brought = stems, resembles
	return n.did("brought")
}

func newBook(others Others) *Book {
	leaser := lease.NewStatic(0)
	return NewBook(Config{Leaser: func() *lease.Leaser { return leaser }, Others: others})
}

// begin begins a request that brings files, up to its app's run.
func begin(t *testing.T, b *Book, since uint64, files ...string) *Names {
	t.Helper()
	n := b.Begin(since)
	t.Cleanup(n.Release)
	for _, file := range files {
		n.Name(file)
	}
	if err := n.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

// A request is ready when it has its names and the disk has what others wrote before; not
// if any of that fails.
//
// Promise 6: "Before PHP runs for an upload, the node has caught up with the change log".
func TestReady(t *testing.T) {
	broken := errors.New("broken")
	all := []string{"known", "caught up", "brought"}
	for _, c := range []struct {
		nodes nodes
		file  string
		want  []string
	}{
		{nodes: nodes{}, want: all[:1]},
		{nodes: nodes{}, file: "a.jpg", want: all[:1]},
		{nodes: nodes{several: true}, want: all},
		{nodes: nodes{several: true}, file: "a.jpg", want: []string{"known", "brought"}}, // its claim catches up
		{nodes: nodes{several: true, err: broken, of: "known"}, want: all[:1]},
		{nodes: nodes{several: true, err: broken, of: "caught up"}, want: all[:2]},
		{nodes: nodes{several: true, err: broken, of: "brought"}, want: all},
	} {
		t.Run(fmt.Sprintf("%t, %s, %q", c.nodes.several, c.nodes.of, c.file), func(t *testing.T) {
			n := newBook(&c.nodes).Begin(1)
			defer n.Release()
			n.Name(c.file)
			if err := n.Ready(t.Context()); !errors.Is(err, c.nodes.err) {
				t.Errorf("%v", err)
			}
			if !slices.Equal(c.nodes.calls, c.want) {
				t.Errorf("%q, want %q", c.nodes.calls, c.want)
			}
			if c.file != "" && c.nodes.several && (len(c.nodes.stems) != 1 || !c.nodes.brought("2026/a-1.jpg") || c.nodes.brought("b.jpg")) {
				t.Errorf("stems %q", c.nodes.stems)
			}
		})
	}
}

// Who waits hears why others are out of reach, not that a wait was cut short.
func TestReadyOutOfReach(t *testing.T) {
	gone := errors.New("the bucket is gone")
	lost, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	n := newBook(&nodes{several: true, lost: lost, err: lost.Err(), of: "brought"}).Begin(1)
	defer n.Release()
	if err := n.Ready(t.Context()); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
}

// Requests of like names follow one another.
func TestNamesFollowOneAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook(&nodes{})
		first, other := begin(t, b, 1, "a.jpg"), begin(t, b, 1, "b.jpg")
		second := b.Begin(1)
		defer second.Release()
		second.Name("dir/a-1.jpg")
		soon, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := second.Ready(soon); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while the first has it: %v", err)
		}
		first.Release()
		if err := second.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		first.Name("c.jpg") // after its end
		if err := first.Collision(); err != nil || other.Lapsed() || second.Lapsed() {
			t.Errorf("%v, lapsed: %t, %t", err, other.Lapsed(), second.Lapsed())
		}
	})
}

// A request that rests may lose its names, and knows it when it goes on.
func TestRest(t *testing.T) {
	b := newBook(&nodes{})
	n := begin(t, b, 1, "a.jpg")
	if n.Lapsed() || n.Interrupted() || !b.Own("2026/a.jpg") {
		t.Error("it has not got its names")
	}
	n.Rest()
	if !n.Lapsed() || b.Own("2026/a.jpg") {
		t.Error("it has its names yet")
	}
	begin(t, b, 1, "a.jpg").Release()
	if err := n.Ready(t.Context()); err != nil || !n.Interrupted() {
		t.Errorf("%v, interrupted: %t", err, n.Interrupted())
	}
}

// The request that brought a file hears that it lost its name; if none did, all in whose
// time it was written; and of another's claim to a version only who may have lost it.
//
// Promise 2: "Nothing is lost."
func TestCollision(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(b *Book, brought *Names)
		brought int // files of the request that brings x.jpg
		other   int // of one that brings y.jpg, since change 5
	}{
		"brought":                              {func(b *Book, _ *Names) { b.Lost("2026/x.jpg", 9); b.Lost("2026/x.jpg", 10); b.Lost("x-1.jpg", 10) }, 2, 0},
		"of nobody's name, before one of them": {func(b *Book, _ *Names) { b.Lost("z.jpg", 5) }, 1, 0},
		"of nobody's name, since":              {func(b *Book, _ *Names) { b.Lost("z.jpg", 6) }, 1, 1},
		"contested, but its own": {func(b *Book, _ *Names) {
			b.Stored("x.jpg", "v1")
			b.Contested("x.jpg", "v1")
		}, 0, 0},
		"contested while it had lapsed": {func(b *Book, n *Names) {
			b.Stored("x.jpg", "v1")
			b.Contested("x.jpg", "v1")
			n.Rest()
		}, 1, 0},
		"another version": {func(b *Book, n *Names) {
			b.Stored("x.jpg", "v1")
			b.Contested("x.jpg", "v0")
			n.Rest()
		}, 0, 0},
		"many": {func(b *Book, _ *Names) {
			for i := range 20 {
				b.Lost(fmt.Sprintf("%d/x.jpg", i), 9)
			}
		}, 20, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBook(&nodes{})
			brought, other := begin(t, b, 1, "x.jpg"), begin(t, b, 5, "y.jpg")
			c.happens(b, brought)
			for n, want := range map[*Names]int{brought: c.brought, other: c.other} {
				err := n.Collision()
				collision, _ := errors.AsType[*CollisionError](err)
				switch {
				case want == 0 && err == nil:
				case collision == nil || collision.Count != want || len(collision.Keys) != min(want, 10):
					t.Errorf("told %v, want %d", err, want)
				}
			}
		})
	}
}

// What is written is noted on the request that brought it, as long as that lasts.
func TestWrote(t *testing.T) {
	b := newBook(&nodes{})
	n, other := begin(t, b, 1, "x.jpg"), begin(t, b, 1, "y.jpg")
	b.Wrote("2026/x-1.jpg")
	if !n.Wrote() || other.Wrote() {
		t.Errorf("%t, %t", n.Wrote(), other.Wrote())
	}
	other.Release()
	b.Wrote("y.jpg")
	if other.Wrote() || len(b.all) != 1 {
		t.Errorf("%t; %d requests", other.Wrote(), len(b.all))
	}
}

// Who waits for all names is woken when they are known, and to hear why they are not.
func TestKnown(t *testing.T) {
	k := NewKnown()
	for i, f := range []func(){k.Nudge, func() { k.Set(true) }, func() { k.Set(false) }} {
		_, moved := k.All()
		f()
		select {
		case <-moved:
		default:
			t.Errorf("%d: nobody is woken", i)
		}
		if all, _ := k.All(); all != (i == 1) {
			t.Errorf("%d: %t", i, all)
		}
	}
}
