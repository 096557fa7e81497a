package buckettest

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// racers is the number of writers at once.
const racers = 50

func testCreateOnly(t *testing.T, ctx context.Context, s bucket.Store) {
	create := bucket.PutOptions{IfNoneMatch: true}
	if _, err := tryPut(ctx, s, "a/b", "first", create); err != nil {
		t.Fatal(err)
	}
	_, err := tryPut(ctx, s, "a/b", "second", create)
	wantError(t, "second create-only Put", err, bucket.ErrExists)
	wantContent(t, ctx, s, "a/b", "first")
	if err := s.Delete(ctx, "a/b"); err != nil {
		t.Fatal(err)
	}
	if _, err := tryPut(ctx, s, "a/b", "third", create); err != nil {
		t.Fatalf("create-only Put after a Delete: %v", err)
	}
	wantContent(t, ctx, s, "a/b", "third")
}

func testCreateOnlyLarge(t *testing.T, ctx context.Context, s bucket.Store) {
	const size = 17 << 20
	create := bucket.PutOptions{IfNoneMatch: true}
	if _, err := s.Put(ctx, "large", Pattern{Size: size}, size, create); err != nil {
		t.Fatal(err)
	}
	_, err := s.Put(ctx, "large", Pattern{Seed: 1, Size: size}, size, create)
	wantError(t, "second create-only Put of a large object", err, bucket.ErrExists)
	_, err = s.Put(ctx, "large", Pattern{Seed: 1, Size: size}, size, bucket.PutOptions{IfMatch: "00000000000000000000000000000000"})
	wantError(t, "Put of a large object over another version", err, bucket.ErrChanged)
	if info, err := s.Head(ctx, "large"); err != nil || info.ContentMD5() != (Pattern{Size: size}).MD5() {
		t.Errorf("the first is not there any more: %+v, %v", info, err)
	}
}

// DESIGN 6: "PUT If-None-Match: *": exactly one of many writers wins.
func testCreateOnlyRace(t *testing.T, ctx context.Context, s bucket.Store) {
	for round := range 5 {
		key := "race/" + strconv.Itoa(round)
		won := race(t, inParallel(racers, func(i int) error {
			_, err := tryPut(ctx, s, key, textOf(i), bucket.PutOptions{IfNoneMatch: true})
			return err
		}), bucket.ErrExists)
		wantContent(t, ctx, s, key, textOf(won))
	}
}

func testCompareAndSwap(t *testing.T, ctx context.Context, s bucket.Store) {
	first := put(t, ctx, s, "a", "first")
	second, err := tryPut(ctx, s, "a", "second", bucket.PutOptions{IfMatch: first.ETag})
	if err != nil {
		t.Fatal(err)
	}
	_, err = tryPut(ctx, s, "a", "third", bucket.PutOptions{IfMatch: first.ETag})
	wantError(t, "Put over a stale version", err, bucket.ErrChanged)
	wantContent(t, ctx, s, "a", "second")
	_, err = tryPut(ctx, s, "absent", "x", bucket.PutOptions{IfMatch: first.ETag})
	wantError(t, "Put over an absent version", err, bucket.ErrChanged)
	if err := s.Delete(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	_, err = tryPut(ctx, s, "a", "x", bucket.PutOptions{IfMatch: second.ETag})
	wantError(t, "Put over a deleted version", err, bucket.ErrChanged)
	_, err = s.Head(ctx, "a")
	wantError(t, "Head after a refused Put", err, bucket.ErrNotFound)
}

func testCompareAndSwapRace(t *testing.T, ctx context.Context, s bucket.Store) {
	version := put(t, ctx, s, "a", "start").ETag
	for range 3 {
		won := race(t, inParallel(racers, func(i int) error {
			_, err := tryPut(ctx, s, "a", version+textOf(i), bucket.PutOptions{IfMatch: version})
			return err
		}), bucket.ErrChanged)
		wantContent(t, ctx, s, "a", version+textOf(won))
		info, err := s.Head(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		version = info.ETag
	}
}

// race checks that one writer won and the others lost as they should, and
// returns the winner.
func race(t *testing.T, errs []error, lost error) int {
	t.Helper()
	won := -1
	for i, err := range errs {
		switch {
		case err == nil && won >= 0:
			t.Fatalf("both %d and %d won", won, i)
		case err == nil:
			won = i
		case !errors.Is(err, lost):
			t.Fatalf("writer %d: %v", i, err)
		}
	}
	if won < 0 {
		t.Fatal("nobody won")
	}
	return won
}

func testProbe(t *testing.T, ctx context.Context, s bucket.Store) {
	caps, err := s.Probe(ctx, "offload/")
	if err != nil {
		t.Fatal(err)
	}
	if !caps.Coordinates() || caps.Missing != "" || len(caps.Warnings) != 0 {
		t.Errorf("got %+v", caps)
	}
	if keys := list(t, ctx, s, "", ""); len(keys) != 0 {
		t.Errorf("the probe left %q", keys)
	}
}

// Contract: "Every method refuses a context that is already done".
func testEnded(t *testing.T, ctx context.Context, s bucket.Store) {
	put(t, ctx, s, "a", "x")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, putErr := tryPut(ended, s, "b", "x", bucket.PutOptions{})
	_, copyErr := s.Copy(ended, bucket.Info{Key: "a", Size: 1}, "b", false)
	_, getErr := s.Get(ended, "a", bucket.GetOptions{})
	_, headErr := s.Head(ended, "a")
	_, abortErr := s.AbortUploads(ended, "", time.Hour)
	_, probeErr := s.Probe(ended, "p/")
	var listErr error
	for _, listErr = range s.List(ended, "", "") {
		break
	}
	for what, err := range map[string]error{
		"Put": putErr, "Copy": copyErr, "Get": getErr, "Head": headErr, "Delete": s.Delete(ended, "a"), "Delete of two": s.Delete(ended, "a", "b"),
		"AbortUploads": abortErr, "Probe": probeErr, "List": listErr,
	} {
		wantError(t, what, err, context.Canceled)
	}
	if keys := list(t, ctx, s, "", ""); len(keys) != 1 || keys[0] != "a" {
		t.Errorf("the store has %q", keys)
	}
}

// Contract: "returns soon after it is cancelled".
func testCancelledPut(t *testing.T, ctx context.Context, s bucket.Store) {
	put(t, ctx, s, "a", "old")
	for _, size := range []int64{10 << 20, 50 << 20} {
		ctx, cancel := context.WithCancel(ctx)
		body := &watchedBody{Pattern: Pattern{Size: size}}
		body.onRead = cancel
		_, err := s.Put(ctx, "a", body, size, bucket.PutOptions{})
		wantError(t, "cancelled Put", err, context.Canceled)
	}
	wantContent(t, ctx, s, "a", "old")
}

func testCancelledGet(t *testing.T, ctx context.Context, s bucket.Store) {
	const size = 8 << 20
	if _, err := s.Put(ctx, "a", Pattern{Size: size}, size, bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o, err := s.Get(ctx, "a", bucket.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Body.Close()
	buf := make([]byte, 1000)
	if _, err := o.Body.Read(buf); err != nil {
		t.Fatal(err)
	}
	cancel()
	for err == nil {
		_, err = o.Body.Read(buf)
	}
	wantError(t, "reading after the end of the context", err, context.Canceled)
}

func httpGet(ctx context.Context, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return client.Do(req)
}
