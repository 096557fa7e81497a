package offload

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// simStore is a store in memory.
type simStore struct {
	mu      sync.Mutex
	objects map[string]simObject
}

type simObject struct {
	info bucket.Info
	data []byte
}

func etagOf(content string) string {
	sum := md5.Sum([]byte(content))
	return hex.EncodeToString(sum[:])
}

func (s *simStore) content(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.objects[key].data)
}

// below returns the contents of all objects with a prefix, by the rest of their
// names.
func (s *simStore) below(prefix string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]string{}
	for key, o := range s.objects {
		if rest, ok := strings.CutPrefix(key, prefix); ok {
			all[rest] = string(o.data)
		}
	}
	return all
}

// simLink is one node's way to the store: slow, and at times broken.
type simLink struct {
	bucket.Store // for what is not used
	store        *simStore
	mu           sync.Mutex
	random       *rand.Rand
	share        float64 // of calls that fail
	cut          bool
}

var errSim = errors.New("simulated fault")

func (l *simLink) set(share float64, cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.share, l.cut = share, cut
}

// call waits as a network does, and tells whether request or answer are lost.
func (l *simLink) call(ctx context.Context) (before, after error) {
	l.mu.Lock()
	wait := time.Duration(l.random.Int64N(int64(40 * time.Millisecond)))
	fails, lost := l.random.Float64() < l.share, l.random.IntN(2) == 0
	cut := l.cut
	l.mu.Unlock()
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return ctx.Err(), nil
	}
	switch {
	case cut, fails && !lost:
		return errSim, nil
	case fails:
		return nil, errSim
	}
	return nil, nil
}

func (l *simLink) Put(ctx context.Context, key string, body io.ReaderAt, size int64, opts bucket.PutOptions) (bucket.Info, error) {
	data := make([]byte, size)
	if _, err := body.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
		return bucket.Info{}, err
	}
	before, after := l.call(ctx)
	if before != nil {
		return bucket.Info{}, before
	}
	s := l.store
	s.mu.Lock()
	defer s.mu.Unlock()
	old, there := s.objects[key]
	switch {
	case after != nil && opts.IfNoneMatch && there, after != nil && opts.IfMatch != "" && old.info.ETag != opts.IfMatch:
		return bucket.Info{}, after
	case opts.IfNoneMatch && there:
		return bucket.Info{}, bucket.ErrExists
	case opts.IfMatch != "" && old.info.ETag != opts.IfMatch:
		return bucket.Info{}, bucket.ErrChanged
	}
	info := opts.Info
	info.Key, info.Size, info.ETag, info.Stored = key, size, etagOf(string(data)), time.Now()
	s.objects[key] = simObject{info: info, data: data}
	return info, after
}

func (l *simLink) Get(ctx context.Context, key string, opts bucket.GetOptions) (*bucket.Object, error) {
	before, after := l.call(ctx)
	if err := errors.Join(before, after); err != nil {
		return nil, err
	}
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	o, ok := l.store.objects[key]
	if !ok {
		return nil, bucket.ErrNotFound
	}
	if opts.IfMatch != "" && o.info.ETag != opts.IfMatch {
		return nil, bucket.ErrChanged
	}
	return &bucket.Object{Info: o.info, Body: io.NopCloser(bytes.NewReader(o.data))}, nil
}

func (l *simLink) Head(ctx context.Context, key string) (bucket.Info, error) {
	o, err := l.Get(ctx, key, bucket.GetOptions{})
	if err != nil {
		return bucket.Info{}, err
	}
	return o.Info, nil
}

func (l *simLink) Delete(ctx context.Context, keys ...string) error {
	before, after := l.call(ctx)
	if before != nil {
		return before
	}
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	for _, key := range keys {
		delete(l.store.objects, key)
	}
	return after
}

func (l *simLink) List(ctx context.Context, prefix, after string) iter.Seq2[bucket.Info, error] {
	return func(yield func(bucket.Info, error) bool) {
		before, lost := l.call(ctx)
		if err := errors.Join(before, lost); err != nil {
			yield(bucket.Info{}, err)
			return
		}
		l.store.mu.Lock()
		all := maps.Clone(l.store.objects)
		l.store.mu.Unlock()
		for _, key := range slices.Sorted(maps.Keys(all)) {
			if strings.HasPrefix(key, prefix) && key > after && !yield(all[key].info, nil) {
				return
			}
		}
	}
}

func (l *simLink) ListNames(ctx context.Context, prefix, after string) iter.Seq2[bucket.Info, error] {
	return l.List(ctx, prefix, after)
}
