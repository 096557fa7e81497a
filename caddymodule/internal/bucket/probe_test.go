package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

var errTest = errors.New("as told")

// lax is a store with a fault that real stores have (facts of 2024 to 2026).
type lax struct {
	bucket.Store
	change func(string, *bucket.PutOptions) error
	get    func(*bucket.Object)
}

func (l lax) Put(ctx context.Context, key string, body io.ReaderAt, size int64, opts bucket.PutOptions) (bucket.Info, error) {
	if l.change != nil {
		if err := l.change(key, &opts); err != nil {
			return bucket.Info{}, err
		}
	}
	return l.Store.Put(ctx, key, body, size, opts)
}

func (l lax) Get(ctx context.Context, key string, opts bucket.GetOptions) (*bucket.Object, error) {
	o, err := l.Store.Get(ctx, key, opts)
	if err == nil && l.get != nil {
		l.get(o)
	}
	return o, err
}

// DESIGN 6: "A store is probed at start, not trusted by name."
func TestProbeFindsFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change               func(string, *bucket.PutOptions) error
		get                  func(*bucket.Object)
		create, swap, failed bool
		text                 string
	}{
		"sound":               {create: true, swap: true},
		"ignores create-only": {change: func(_ string, o *bucket.PutOptions) error { o.IfNoneMatch = false; return nil }, swap: true, text: "If-None-Match"},
		"refuses create-only": {change: func(_ string, o *bucket.PutOptions) error {
			if o.IfNoneMatch {
				return bucket.ErrUnsupported
			}
			return nil
		}, swap: true, text: "If-None-Match"},
		"ignores swap": {change: func(_ string, o *bucket.PutOptions) error { o.IfMatch = ""; return nil }, create: true, text: "If-Match"},
		"refuses swap": {change: func(_ string, o *bucket.PutOptions) error {
			if o.IfMatch != "" {
				return bucket.ErrUnsupported
			}
			return nil
		}, create: true, text: "If-Match"},
		"not atomic": {change: func(key string, o *bucket.PutOptions) error {
			// Those that look at the same time all find nothing.
			o.IfNoneMatch = o.IfNoneMatch && !strings.HasSuffix(key, "/race")
			return nil
		}, swap: true, text: "at once 16 won"},
		"frames bodies": {get: func(o *bucket.Object) {
			o.Body = struct {
				io.Reader
				io.Closer
			}{io.MultiReader(strings.NewReader("5;chunk-signature\r\n"), o.Body), o.Body}
		}, failed: true, text: "checksum"},
	} {
		inner := buckettest.NewMemory()
		caps, err := bucket.Probe(t.Context(), lax{inner, c.change, c.get}, "offload/")
		if (err != nil) != c.failed || !c.failed && (caps.CreateOnly != c.create || caps.CompareAndSwap != c.swap || caps.Coordinates() != (c.create && c.swap)) {
			t.Errorf("%s: got %+v, %v", name, caps, err)
		}
		if text := fmt.Sprint(caps.Missing, err); !strings.Contains(text, c.text) {
			t.Errorf("%s: got %s", name, text)
		}
		for info := range inner.List(t.Context(), "", "") {
			t.Errorf("%s: the probe left %s", name, info.Key)
		}
		_ = inner.Close()
	}
}

// What the probe wrote is removed also when it fails.
func TestProbeCleansUp(t *testing.T) {
	t.Parallel()
	for n := range 25 {
		for _, fault := range []buckettest.Fault{{Before: errTest}, {After: errTest}} {
			inner := buckettest.NewMemory()
			f := buckettest.NewFaulty(inner, buckettest.OnCall(buckettest.OpPut, n+1, fault))
			// An answer that would have been a refusal cannot be lost.
			if _, err := bucket.Probe(t.Context(), f, "p/"); !errors.Is(err, errTest) && (fault.Before != nil || err != nil) {
				t.Errorf("Put %d: %v", n+1, err)
			}
			for info := range inner.List(t.Context(), "", "") {
				t.Errorf("Put %d: the probe left %s", n+1, info.Key)
			}
			_ = inner.Close()
		}
	}
}
