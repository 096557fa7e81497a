package buckettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/background"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// Link is one node's way to a Memory: requests and answers take time, get
// lost, arrive long after the caller has gone, or stand still.
type Link struct {
	*Memory
	random *rand.Rand

	mu   sync.Mutex
	way  Way
	late time.Time // when all that is slow has arrived
}

// Way is how a Link is. The zero value takes no time and loses nothing.
type Way struct {
	// Latency is how long a request takes to the store, and its answer back: half as
	// much at least and half as much again at most.
	Latency time.Duration
	// Grain is what these times are multiples of.
	Grain time.Duration
	// Lost is the share of requests, and of answers, that are lost.
	Lost float64
	// Slow is the share of requests of which they or their answers arrive late,
	// Slowest how late at most.
	Slow    float64
	Slowest time.Duration
	// Cut: no request arrives.
	Cut bool
	// Paused: the node stands still until this is closed; nil: it runs.
	Paused chan struct{}
}

// NewLink returns a way to a store; random decides what happens on it.
func NewLink(store *Memory, random *rand.Rand, way Way) *Link {
	return &Link{Memory: store, random: random, way: way}
}

// fate is what happens to a call.
type fate struct {
	there, back         time.Duration
	lostThere, lostBack bool
}

func (l *Link) fate() fate {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.way.Latency == 0 {
		return fate{}
	}
	f := fate{there: l.takes(), back: l.takes()}
	if l.random.Float64() < l.way.Slow {
		slow := &f.there
		if l.random.IntN(2) == 0 {
			slow = &f.back
		}
		*slow += time.Duration(l.random.Int64N(int64(l.way.Slowest)))
		if arrives := time.Now().Add(*slow); arrives.After(l.late) {
			l.late = arrives
		}
	}
	f.lostThere = l.way.Cut || l.random.Float64() < l.way.Lost
	f.lostBack = l.random.Float64() < l.way.Lost
	return f
}

// takes returns how long a request or its answer takes. It is never no time at all:
// no clock would go on.
func (l *Link) takes() time.Duration {
	d := l.way.Latency/2 + time.Duration(l.random.Int64N(int64(l.way.Latency)))
	return d.Truncate(l.way.Grain) + time.Microsecond
}

// Stand waits while the node is paused.
func (l *Link) Stand() {
	l.mu.Lock()
	paused := l.way.Paused
	l.mu.Unlock()
	if paused != nil {
		<-paused
	}
}

// Set changes the way.
func (l *Link) Set(change func(*Way)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.way)
}

// Late is when all that was slow until now has arrived.
func (l *Link) Late() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.late
}

// call carries a request out: once sent, it takes effect whether the caller
// still waits or not.
func (l *Link) call(ctx context.Context, effect func()) error {
	l.Stand()
	if err := ctx.Err(); err != nil {
		return err
	}
	err := l.fate().carry(ctx, effect)
	l.Stand()
	return err
}

func (f fate) carry(ctx context.Context, effect func()) error {
	sent := time.Now()
	if !background.Pause(ctx.Done(), f.there) {
		if !f.lostThere {
			time.AfterFunc(f.there-time.Since(sent), effect)
		}
		return ctx.Err()
	}
	if f.lostThere {
		return ErrInjected
	}
	effect()
	if !background.Pause(ctx.Done(), f.back) {
		return ctx.Err()
	}
	if f.lostBack {
		return ErrInjected
	}
	return nil
}

// Put implements Store.
func (l *Link) Put(ctx context.Context, key string, body io.ReaderAt, size int64, opts bucket.PutOptions) (bucket.Info, error) {
	content := make([]byte, size)
	n, err := body.ReadAt(content, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return bucket.Info{}, err
	}
	return answered(ctx, l, "storing "+key, func(ctx context.Context) (bucket.Info, error) {
		return l.Memory.Put(ctx, key, bytes.NewReader(content[:n]), size, opts)
	})
}

// answered carries a request out and returns its answer, if that arrives.
func answered[T any](ctx context.Context, l *Link, doing string, request func(context.Context) (T, error)) (T, error) {
	var answer, none T
	var refused error
	err := l.call(ctx, func() { answer, refused = request(context.WithoutCancel(ctx)) })
	if err != nil {
		return none, fmt.Errorf("%s: %w", doing, err)
	}
	return answer, refused
}

// Copy implements Store.
func (l *Link) Copy(ctx context.Context, from bucket.Info, to string, public bool) (bucket.Info, error) {
	return answered(ctx, l, "copying "+from.Key, func(ctx context.Context) (bucket.Info, error) {
		return l.Memory.Copy(ctx, from, to, public)
	})
}

// Get implements Store.
func (l *Link) Get(ctx context.Context, key string, opts bucket.GetOptions) (*bucket.Object, error) {
	return answered(ctx, l, "reading "+key, func(ctx context.Context) (*bucket.Object, error) {
		return l.Memory.Get(ctx, key, opts)
	})
}

// Head implements Store.
func (l *Link) Head(ctx context.Context, key string) (bucket.Info, error) {
	return answered(ctx, l, "looking at "+key, func(ctx context.Context) (bucket.Info, error) {
		return l.Memory.Head(ctx, key)
	})
}

// Delete implements Store.
func (l *Link) Delete(ctx context.Context, keys ...string) error {
	keys = slices.Clone(keys)
	_, err := answered(ctx, l, "removing "+bucket.CountKeys(keys), func(ctx context.Context) (struct{}, error) {
		return struct{}{}, l.Memory.Delete(ctx, keys...)
	})
	return err
}

// List implements Store.
func (l *Link) List(ctx context.Context, prefix, after string) iter.Seq2[bucket.Info, error] {
	return inPages(func(after string) ([]bucket.Info, error) {
		return answered(ctx, l, "listing "+prefix, func(ctx context.Context) ([]bucket.Info, error) {
			return l.page(ctx, prefix, after)
		})
	}, after)
}

// ListNames implements Store.
func (l *Link) ListNames(ctx context.Context, prefix, after string) iter.Seq2[bucket.Info, error] {
	return l.List(ctx, prefix, after)
}

// Probe implements Store.
func (l *Link) Probe(ctx context.Context, prefix string, _ ...string) (bucket.Capabilities, error) {
	return bucket.Probe(ctx, l, prefix)
}
