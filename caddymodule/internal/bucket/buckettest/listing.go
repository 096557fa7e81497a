package buckettest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// Contract: "in ascending order of the bytes of their keys".
func testListOrder(t *testing.T, ctx context.Context, s bucket.Store) {
	want := []string{
		"a!b", "a-b", "a-b.jpg", "a.jpg", "a/b", "a/b-1/c", "a/b/c", "a0", "aa/x", "b/z",
		"A/x", "B", "é/x", "ё", "\U0001F600", "z", "0",
	}
	// One of them cannot be beside the others in a directory.
	want = slices.DeleteFunc(want, func(key string) bool { return key == "a/b" })
	for i, key := range want {
		put(t, ctx, s, key, textOf(i))
	}
	slices.Sort(want)
	if got := list(t, ctx, s, "", ""); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	for i, after := range want {
		if got := list(t, ctx, s, "", after); !slices.Equal(got, want[i+1:]) {
			t.Errorf("after %q: got %q", after, got)
		}
		// After a key that does not exist comes the next one.
		if got := list(t, ctx, s, "", after+"\x20"); !slices.Equal(got, keysAfter(want, after+"\x20")) {
			t.Errorf("after %q: got %q", after+" ", got)
		}
	}
}

func keysAfter(keys []string, after string) []string {
	i, found := slices.BinarySearch(keys, after)
	if found {
		i++
	}
	return keys[i:]
}

func testListParts(t *testing.T, ctx context.Context, s bucket.Store) {
	for i, key := range []string{"m/2025/12/a.jpg", "m/2026/01/a.jpg", "m/2026/01/b c.jpg", "m/2026/02/a.jpg", "m2/x", "n", ".h/x"} {
		put(t, ctx, s, key, textOf(i))
	}
	for _, c := range []struct {
		prefix, after string
		want          []string
	}{
		{"m/", "", []string{"m/2025/12/a.jpg", "m/2026/01/a.jpg", "m/2026/01/b c.jpg", "m/2026/02/a.jpg"}},
		{"m", "m/2026/01/b c.jpg", []string{"m/2026/02/a.jpg", "m2/x"}},
		{"m/2026/0", "m/2026/01/a.jpg", []string{"m/2026/01/b c.jpg", "m/2026/02/a.jpg"}},
		{"m/2026/01/b", "", []string{"m/2026/01/b c.jpg"}},
		{"m/2026/01/a.jpg", "", []string{"m/2026/01/a.jpg"}},
		{"m/2026/01/a.jpg/", "", nil},
		{"m/2026/01/", "m/2026/01/a.jpg", []string{"m/2026/01/b c.jpg"}},
		{"m/2026/01/", "m/2026/01", []string{"m/2026/01/a.jpg", "m/2026/01/b c.jpg"}},
		{"m/2026/", "m/2026/01", []string{"m/2026/01/a.jpg", "m/2026/01/b c.jpg", "m/2026/02/a.jpg"}},
		{"m/2026/", "m/2026/01/zzz", []string{"m/2026/02/a.jpg"}},
		{"m/2026/", "a", []string{"m/2026/01/a.jpg", "m/2026/01/b c.jpg", "m/2026/02/a.jpg"}},
		{"m/2026/", "n", nil},
		{"", "m2", []string{"m2/x", "n"}},
		{"nothing/", "", nil},
		{"n/", "", nil},
		{"/", "", nil},
		{"../", "", nil},
		{"m/../", "", nil},
		{".", "", []string{".h/x"}},
		{"m/..", "", nil},
	} {
		if got := list(t, ctx, s, c.prefix, c.after); !slices.Equal(got, c.want) {
			t.Errorf("prefix %q after %q: got %q, want %q", c.prefix, c.after, got, c.want)
		}
	}
	for info, err := range s.List(ctx, "m/2025", "") {
		if err != nil || info.Size != int64(len(textOf(0))) || info.ETag != (sumOfText(textOf(0))) || info.Stored.IsZero() {
			t.Errorf("an entry is %+v, %v", info, err)
		}
	}
	// A consumer that has enough ends it.
	for _, err := range s.List(ctx, "", "") {
		if err != nil {
			t.Error(err)
		}
		break
	}
}

// Contract: "without holding more than one page in memory": it takes several
// pages to list these.
func testListMany(t *testing.T, ctx context.Context, s bucket.Store) {
	const n = 2500
	want := make([]string, n)
	for i := range want {
		want[i] = fmt.Sprintf("many/%d/%04d.jpg", i%3, i)
	}
	var next atomic.Int64
	errs := inParallel(16, func(int) error {
		for i := next.Add(1) - 1; i < n; i = next.Add(1) - 1 {
			if _, err := tryPut(ctx, s, want[i], "x", bucket.PutOptions{}); err != nil {
				return err
			}
		}
		return nil
	})
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(want)
	if got := list(t, ctx, s, "many/", ""); !slices.Equal(got, want) {
		t.Errorf("listed %d keys, or in another order", len(got))
	}
	if got := list(t, ctx, s, "", want[1200]); !slices.Equal(got, want[1201:]) {
		t.Errorf("listed %d keys after the 1,200th", len(got))
	}
	// All at once, in more than one request of 1,000, with some that are not
	// there and one twice.
	doomed := append(slices.Clone(want), "many/absent", want[0])
	if err := s.Delete(ctx, doomed...); err != nil {
		t.Fatal(err)
	}
	if got := list(t, ctx, s, "", ""); len(got) != 0 {
		t.Errorf("after Delete %d are left", len(got))
	}
}

func testDelete(t *testing.T, ctx context.Context, s bucket.Store) {
	if err := s.Delete(ctx); err != nil {
		t.Errorf("Delete of nothing: %v", err)
	}
	put(t, ctx, s, "a/b/c.jpg", "x")
	put(t, ctx, s, "a/b/d.jpg", "y")
	for range 2 {
		if err := s.Delete(ctx, "a/b/c.jpg"); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.Head(ctx, "a/b/c.jpg")
	wantError(t, "Head after Delete", err, bucket.ErrNotFound)
	wantContent(t, ctx, s, "a/b/d.jpg", "y")
	if err := s.Delete(ctx, "a/b/d.jpg", "a/b/absent"); err != nil {
		t.Fatal(err)
	}
	// Nothing of the names above is left that would be in the way.
	put(t, ctx, s, "a/b", "z")
	wantContent(t, ctx, s, "a/b", "z")
}

// Creators and deleters in one directory do not disturb each other.
func testDeleteMany(t *testing.T, ctx context.Context, s bucket.Store) {
	errs := inParallel(8, func(i int) error {
		key := fmt.Sprintf("d/e/f/%d.jpg", i)
		for n := range 25 {
			_, err := tryPut(ctx, s, key, textOf(n), bucket.PutOptions{})
			// versitygw refuses a Put at times while a Delete removes the emptied
			// directory. Users of a Store try again what was refused.
			for try := 0; errors.Is(err, bucket.ErrRefused) && try < 20; try++ {
				_, err = tryPut(ctx, s, key, textOf(n), bucket.PutOptions{})
			}
			if err != nil {
				return err
			}
			got, _, err := get(ctx, s, key, bucket.GetOptions{})
			if err != nil || got != textOf(n) {
				return fmt.Errorf("%s has %q, %w", key, got, err)
			}
			if err := s.Delete(ctx, key); err != nil {
				return err
			}
		}
		return nil
	})
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if got := list(t, ctx, s, "", ""); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
}

func testAbortUploads(t *testing.T, ctx context.Context, s bucket.Store) {
	put(t, ctx, s, "a", "x")
	if n, err := s.AbortUploads(ctx, "", 0); err != nil || n != 0 {
		t.Errorf("without an unfinished upload: %d, %v", n, err)
	}
	// An upload under way is left alone.
	const size = 40 << 20
	body := &watchedBody{Pattern: Pattern{Seed: 1, Size: size}}
	var reads atomic.Int64
	body.onRead = func() {
		if reads.Add(1)%40 != 0 {
			return
		}
		if n, err := s.AbortUploads(ctx, "", 0); err != nil || n != 0 {
			t.Errorf("during an upload: %d, %v", n, err)
		}
	}
	if _, err := s.Put(ctx, "large", body, size, bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.AbortUploads(ctx, "", time.Hour); err != nil || n != 0 {
		t.Errorf("after an upload: %d, %v", n, err)
	}
	wantContent(t, ctx, s, "a", "x")
}

func sumOfText(s string) string { return MD5(readerOf(s)) }

// testListNames: the names are those of List, as are sizes and times.
func testListNames(t *testing.T, ctx context.Context, s bucket.Store) {
	for i, key := range []string{"a/1", "a/2", "a/b/3", "c"} {
		put(t, ctx, s, key, textOf(i))
	}
	var want []bucket.Info
	for info, err := range s.List(ctx, "a/", "a/1") {
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, info)
	}
	var got []bucket.Info
	for info, err := range s.ListNames(ctx, "a/", "a/1") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, info)
	}
	if !slices.EqualFunc(got, want, func(a, b bucket.Info) bool {
		return a.Key == b.Key && a.Size == b.Size && a.Stored.Equal(b.Stored) && (a.ETag == "" || a.ETag == b.ETag)
	}) || len(got) != 2 {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// testAtMost: an object that is larger than is wanted is not read.
func testAtMost(t *testing.T, ctx context.Context, s bucket.Store) {
	put(t, ctx, s, "a", "1234")
	for atMost, want := range map[int64]error{0: nil, 3: bucket.ErrTooLarge, 4: nil, 5: nil} {
		o, err := s.Get(ctx, "a", bucket.GetOptions{AtMost: atMost})
		if err == nil {
			err = o.Body.Close()
		}
		if !errors.Is(err, want) {
			t.Errorf("at most %d: %v", atMost, err)
		}
	}
}
