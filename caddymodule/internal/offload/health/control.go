package health

import (
	"context"
	"errors"
	"io"
	"iter"
	"strings"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// controlStore is the store as it is used for control objects.
type controlStore struct {
	bucket.Store
	reach  *Reach
	prefix string // of control objects
}

// Control returns the store for control objects: calls of it tell how they are.
func (r *Reach) Control() bucket.Store { return controlStore{r.cfg.Store, r, r.cfg.Prefix} }

func (s controlStore) Put(ctx context.Context, key string, body io.ReaderAt, size int64, opts bucket.PutOptions) (bucket.Info, error) {
	done := s.reach.call(true, s.part(key))
	info, err := s.Store.Put(ctx, key, body, size, opts)
	if errors.Is(err, bucket.ErrRefused) && s.makeWay(ctx, key) {
		info, err = s.Store.Put(ctx, key, body, size, opts)
	}
	done(err)
	return info, err
}

// part returns the directory of control objects that a key is in, with its slash; empty if
// it is in none.
func (s controlStore) part(key string) string {
	name, _, in := strings.Cut(strings.TrimPrefix(key, s.prefix), "/")
	if !in {
		return ""
	}
	return s.prefix + name + "/"
}

// Copy makes room as Put does.
func (s controlStore) Copy(ctx context.Context, from bucket.Info, to string, public bool) (bucket.Info, error) {
	info, err := s.Store.Copy(ctx, from, to, public)
	if errors.Is(err, bucket.ErrRefused) && s.makeWay(ctx, to) {
		info, err = s.Store.Copy(ctx, from, to, public)
	}
	return info, err
}

// makeWay deletes an object that has the name of a directory of a control object, or
// those below its own name: a store that keeps files cannot hold it beside them. No node
// writes such objects, and with them there somebody else would have ended all leases, the
// change log, or deletes by way of the trash.
func (s controlStore) makeWay(ctx context.Context, key string) bool {
	if !strings.HasPrefix(key, s.prefix) {
		return false
	}
	for i := len(s.prefix); i < len(key); i++ {
		if key[i] != '/' {
			continue
		}
		if _, err := s.Head(ctx, key[:i]); err == nil {
			return s.Delete(ctx, key[:i]) == nil
		}
	}
	var below []string
	for info, err := range s.Store.ListNames(ctx, key+"/", "") {
		if err != nil || len(below) == maxInTheWay {
			break
		}
		below = append(below, info.Key)
	}
	return len(below) > 0 && s.Delete(ctx, below...) == nil
}

// maxInTheWay bounds what is deleted for one write; the next one goes on.
const maxInTheWay = 1000

func (s controlStore) Get(ctx context.Context, key string, opts bucket.GetOptions) (*bucket.Object, error) {
	done := s.reach.call(false, s.part(key))
	o, err := s.Store.Get(ctx, key, opts)
	done(err)
	return o, err
}

func (s controlStore) ListNames(ctx context.Context, prefix, after string) iter.Seq2[bucket.Info, error] {
	return func(yield func(bucket.Info, error) bool) {
		done, first := s.reach.call(false, s.part(prefix)), true
		for info, err := range s.Store.ListNames(ctx, prefix, after) {
			if first || err != nil {
				done(err)
				first = false
			}
			if !yield(info, err) {
				return
			}
		}
		if first {
			done(nil)
		}
	}
}
