package identity

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// guarded is the store as a node uses it: one that is away is neither written
// nor read, so that nobody believes what it lacks, and one in which this node is a
// guest is not changed. It takes note of what is stored.
//
// (Promise 8: "A bucket that is away, empty or another's is never taken for a new
// one.")
type guarded struct {
	bucket.Store
	guard *Guard
}

// changeable returns nil if the store may be changed.
func (g guarded) changeable(ctx context.Context) error {
	if err := g.guard.usable(ctx); err != nil {
		return err
	}
	return g.guard.MayChange()
}

func (g guarded) Put(ctx context.Context, key string, body io.ReaderAt, size int64, opts bucket.PutOptions) (bucket.Info, error) {
	if err := g.changeable(ctx); err != nil {
		return bucket.Info{}, err
	}
	g.guard.stored.Drop(key)
	return g.noted(g.Store.Put(ctx, key, body, size, opts))
}

func (g guarded) Copy(ctx context.Context, from bucket.Info, to string, public bool) (bucket.Info, error) {
	if err := g.changeable(ctx); err != nil {
		return bucket.Info{}, err
	}
	g.guard.stored.Drop(to)
	return g.noted(g.Store.Copy(ctx, from, to, public))
}

// noted takes note of what was stored.
func (g guarded) noted(info bucket.Info, err error) (bucket.Info, error) {
	if err == nil {
		g.guard.stored.Add(info.Key, info.ETag)
	}
	return info, err
}

func (g guarded) Get(ctx context.Context, key string, opts bucket.GetOptions) (*bucket.Object, error) {
	if err := g.guard.usable(ctx); err != nil {
		return nil, err
	}
	return g.Store.Get(ctx, key, opts)
}

func (g guarded) Head(ctx context.Context, key string) (bucket.Info, error) {
	if err := g.guard.usable(ctx); err != nil {
		return bucket.Info{}, err
	}
	return g.Store.Head(ctx, key)
}

func (g guarded) Delete(ctx context.Context, keys ...string) error {
	if err := g.changeable(ctx); err != nil {
		return err
	}
	g.guard.stored.Drop(keys...)
	return g.Store.Delete(ctx, keys...)
}

func (g guarded) List(ctx context.Context, prefix, after string) iter.Seq2[bucket.Info, error] {
	return g.list(ctx, g.Store.List, prefix, after)
}

func (g guarded) ListNames(ctx context.Context, prefix, after string) iter.Seq2[bucket.Info, error] {
	return g.list(ctx, g.Store.ListNames, prefix, after)
}

func (g guarded) list(ctx context.Context, list func(context.Context, string, string) iter.Seq2[bucket.Info, error], prefix, after string) iter.Seq2[bucket.Info, error] {
	return func(yield func(bucket.Info, error) bool) {
		if err := g.guard.usable(ctx); err != nil {
			yield(bucket.Info{}, err)
			return
		}
		for info, err := range list(ctx, prefix, after) {
			if !yield(info, err) {
				return
			}
		}
	}
}

func (g guarded) PresignGet(ctx context.Context, key string, ttl time.Duration) (string, error) {
	if err := g.guard.usable(ctx); err != nil {
		return "", err
	}
	return g.Store.PresignGet(ctx, key, ttl)
}

func (g guarded) AbortUploads(ctx context.Context, prefix string, age time.Duration) (int, error) {
	if err := g.changeable(ctx); err != nil {
		return 0, err
	}
	return g.Store.AbortUploads(ctx, prefix, age)
}

func (g guarded) Probe(ctx context.Context, prefix string, closed ...string) (bucket.Capabilities, error) {
	if err := g.changeable(ctx); err != nil {
		return bucket.Capabilities{}, err
	}
	return g.Store.Probe(ctx, prefix, closed...)
}
