package buckettest

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// Contract: "If body yields fewer than size bytes nothing is stored."
func testShortBody(t *testing.T, ctx context.Context, s bucket.Store) {
	put(t, ctx, s, "a", "old")
	for _, size := range []int64{4, 1 << 20, 20 << 20} {
		for _, sum := range [][]byte{nil, make([]byte, 16)} {
			_, err := s.Put(ctx, "a", bytes.NewReader([]byte("new")), size, bucket.PutOptions{MD5: sum})
			wantError(t, "short body", err, bucket.ErrRefused)
		}
	}
	wantContent(t, ctx, s, "a", "old")
}

// Contract: "a body that has another [MD5] is ErrRefused."
func testWrongMD5(t *testing.T, ctx context.Context, s bucket.Store) {
	put(t, ctx, s, "a", "old")
	for _, size := range []int64{3, 20 << 20} {
		_, err := s.Put(ctx, "a", Pattern{Size: size}, size, bucket.PutOptions{MD5: make([]byte, 16)})
		wantError(t, "wrong MD5", err, bucket.ErrRefused)
	}
	wantContent(t, ctx, s, "a", "old")
}

// Contract: "The store verifies the content by checksum before the object
// becomes visible". A file that the app rewrites while it is read is stored
// as it was in one reading, or not at all.
func testChangingBody(t *testing.T, ctx context.Context, s bucket.Store) {
	for _, size := range []int64{100_000, 20 << 20} {
		info, err := s.Put(ctx, "a", &changingBody{size: size}, size, bucket.PutOptions{})
		if err != nil {
			wantError(t, "changing body", err, bucket.ErrRefused)
			continue
		}
		o, err := s.Get(ctx, "a", bucket.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if sum := MD5(o.Body); sum != info.ContentMD5() {
			t.Errorf("stored content has MD5 %s, the store says %s", sum, info.ContentMD5())
		}
		_ = o.Body.Close()
	}
}

// changingBody has other bytes each time it is read.
type changingBody struct {
	size  int64
	reads atomic.Uint64
}

func testUnreadableBody(t *testing.T, ctx context.Context, s bucket.Store) {
	put(t, ctx, s, "a", "old")
	broken := errors.New("input/output error")
	for _, size := range []int64{100_000, 20 << 20} {
		_, err := s.Put(ctx, "a", brokenBody{Pattern{Size: size}, broken}, size, bucket.PutOptions{})
		wantError(t, "unreadable body", err, broken)
	}
	wantContent(t, ctx, s, "a", "old")
}

// brokenBody fails in its second half.
type brokenBody struct {
	Pattern
	err error
}

// Contract: "body is read one or more times, possibly from several goroutines,
// only while the call runs."
func testBodyIsLent(t *testing.T, ctx context.Context, s bucket.Store) {
	for _, size := range []int64{5 << 20, 40 << 20} {
		ctx, cancel := context.WithCancel(ctx)
		var reads atomic.Int64
		body := &watchedBody{Pattern: Pattern{Size: size}}
		body.onRead = func() {
			if reads.Add(1) == 30 {
				cancel()
			}
		}
		_, _ = s.Put(ctx, "a", body, size, bucket.PutOptions{MD5: nil})
		body.returned.Store(true)
		cancel()
		if body.late.Load() != 0 {
			t.Errorf("%d bytes: the body was read after Put had returned", size)
		}
		if n := body.reading.Load(); n != 0 {
			t.Errorf("%d bytes: the body is being read after Put has returned", size)
		}
	}
}

type watchedBody struct {
	Pattern
	onRead        func()
	returned      atomic.Bool
	reading, late atomic.Int64
}

// Contract: "a reader never sees a part of it".
func testWholeOrNothing(t *testing.T, ctx context.Context, s bucket.Store) {
	const size = 1 << 20
	store := func(seed uint64) error {
		_, err := s.Put(ctx, "a", Pattern{Seed: seed, Size: size}, size, bucket.PutOptions{})
		return err
	}
	if err := store(0); err != nil {
		t.Fatal(err)
	}
	sums := map[string]bool{}
	for seed := range uint64(10) {
		sums[Pattern{Seed: seed, Size: size}.MD5()] = true
	}
	errs := inParallel(4, func(i int) error {
		for n := range uint64(10) {
			if i < 2 {
				if err := store(n); err != nil {
					return err
				}
				continue
			}
			o, err := s.Get(ctx, "a", bucket.GetOptions{})
			if err != nil {
				return err
			}
			sum := MD5(o.Body)
			_ = o.Body.Close()
			if !sums[sum] || sum != o.ContentMD5() {
				return errors.New("read content " + sum + " that was never stored, or not as this version: " + o.ContentMD5())
			}
		}
		return nil
	})
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}
