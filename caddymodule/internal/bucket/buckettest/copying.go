package buckettest

import (
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// Copy makes to an object with the content and the description of from.
func testCopy(t *testing.T, ctx context.Context, s bucket.Store) {
	want := bucket.Info{
		ContentType: "image/svg+xml", CacheControl: "public, max-age=60",
		ModTime: time.Date(2019, 2, 3, 4, 5, 6, 123456789, time.UTC), Meta: map[string]string{"node": "a b"},
	}
	put(t, ctx, s, "b/old.svg", "replaced")
	for _, size := range []int64{0, 10, 17 << 20} {
		body := Pattern{Seed: 7, Size: size}
		from, err := s.Put(ctx, "a/one.svg", body, size, bucket.PutOptions{Info: want})
		if err != nil {
			t.Fatal(err)
		}
		copied, err := s.Copy(ctx, from, "b/old.svg", true)
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		head, err := s.Head(ctx, "b/old.svg")
		if err != nil {
			t.Fatal(err)
		}
		if copied.Key != "b/old.svg" || copied.Size != size || copied.ETag != head.ETag {
			t.Errorf("Copy tells %+v, Head %+v", copied, head)
		}
		if head.ContentType != want.ContentType || head.CacheControl != want.CacheControl || !head.ModTime.Equal(want.ModTime) ||
			!maps.Equal(head.Meta, want.Meta) || head.ContentMD5() != body.MD5() {
			t.Errorf("%d bytes: copied %+v, got %+v", size, want, head)
		}
		o, err := s.Get(ctx, "b/old.svg", bucket.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := MD5(o.Body); got != body.MD5() {
			t.Errorf("%d bytes: content differs: %s", size, got)
		}
		_ = o.Body.Close()
	}
}

func testCopyKeys(t *testing.T, ctx context.Context, s bucket.Store) {
	for i, key := range OddKeys {
		from := put(t, ctx, s, "k/"+key, textOf(i))
		if len("copy/k/"+key) > 1024 {
			continue
		}
		if _, err := s.Copy(ctx, from, "copy/k/"+key, false); err != nil {
			t.Errorf("copying %q: %v", key, err)
			continue
		}
		wantContent(t, ctx, s, "copy/k/"+key, textOf(i))
	}
	for _, key := range []string{"", "../a", "a//b", "a\x00b", strings.Repeat("x", 256)} {
		_, err := s.Copy(ctx, bucket.Info{Key: "k/" + OddKeys[0]}, key, false)
		wantError(t, "copying to "+key, err, bucket.ErrRefused)
		_, err = s.Copy(ctx, bucket.Info{Key: key}, "copy/x", false)
		wantError(t, "copying from "+key, err, bucket.ErrRefused)
	}
}

func testCopyVersion(t *testing.T, ctx context.Context, s bucket.Store) {
	old := put(t, ctx, s, "a", "old")
	put(t, ctx, s, "a", "newer")
	_, err := s.Copy(ctx, old, "b", false)
	wantError(t, "copying a version that is gone", err, bucket.ErrChanged)
	_, err = s.Copy(ctx, bucket.Info{Key: "none", Size: 3, ETag: old.ETag}, "b", false)
	wantError(t, "copying what is not there", err, bucket.ErrNotFound)
	if keys := list(t, ctx, s, "b", ""); len(keys) != 0 {
		t.Errorf("copies that failed left %q", keys)
	}
}
