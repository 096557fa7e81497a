package buckettest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

func testSizes(t *testing.T, ctx context.Context, s bucket.Store) {
	for _, size := range []int64{0, 1, 50_000, 16 << 20, 16<<20 + 1, 100_000_000} {
		body := Pattern{Seed: uint64(size), Size: size}
		key := "sizes/file.bin"
		stored, err := s.Put(ctx, key, body, size, bucket.PutOptions{Info: bucket.Info{ContentType: "application/x-test"}})
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		sum := body.MD5()
		if stored.Key != key || stored.Size != size || stored.ETag == "" || stored.ContentMD5() != sum {
			t.Errorf("%d bytes: Put tells %+v, want MD5 %s", size, stored, sum)
		}
		if age := time.Since(stored.Stored).Abs(); age > time.Hour {
			t.Errorf("%d bytes: stored at %v", size, stored.Stored)
		}
		o, err := s.Get(ctx, key, bucket.GetOptions{})
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if got := MD5(o.Body); got != sum {
			t.Errorf("%d bytes: content differs: %s", size, got)
		}
		_ = o.Body.Close()
		head, err := s.Head(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range []bucket.Info{o.Info, head} {
			if info.Size != size || info.ETag != stored.ETag || info.ContentMD5() != sum || info.ContentType != "application/x-test" {
				t.Errorf("%d bytes: Get or Head tell %+v", size, info)
			}
		}
	}
}

func testDescribes(t *testing.T, ctx context.Context, s bucket.Store) {
	modified := time.Date(2019, 2, 3, 4, 5, 6, 123456789, time.UTC)
	for _, want := range []bucket.Info{
		{ContentType: "image/svg+xml", CacheControl: "public, max-age=31536000, immutable", ModTime: modified, Meta: map[string]string{"node": "a b", "n-1": "x=y;z"}},
		{ContentType: "image/jpeg", ModTime: time.Unix(-1, 500_000_000).UTC()},
		{ContentType: "text/plain; charset=utf-8", ModTime: time.Unix(1_700_000_000, 0).UTC()},
	} {
		// Each replaces all that was said of the one before.
		if _, err := tryPut(ctx, s, "a.svg", "<svg/>", bucket.PutOptions{Info: want}); err != nil {
			t.Fatal(err)
		}
		_, got, err := get(ctx, s, "a.svg", bucket.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		head, err := s.Head(ctx, "a.svg")
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range []bucket.Info{got, head} {
			if info.ContentType != want.ContentType || info.CacheControl != want.CacheControl ||
				!info.ModTime.Equal(want.ModTime) || !maps.Equal(info.Meta, want.Meta) {
				t.Errorf("stored %+v, got %+v", want, info)
			}
		}
	}
	// A time that nobody can write down keeps no file out.
	if _, err := tryPut(ctx, s, "b", "b", bucket.PutOptions{Info: bucket.Info{ModTime: time.Unix(1<<55, 0)}}); err != nil {
		t.Fatal(err)
	}
	if info, err := s.Head(ctx, "b"); err != nil || !info.ModTime.IsZero() {
		t.Errorf("a time beyond the year 9999 gave %v, %v", info.ModTime, err)
	}
}

// OddKeys are keys that every store holds, and that show where one encodes or
// folds them. (NFC and NFD of one name are in different directories: some
// file systems refuse the second of them.)
var OddKeys = []string{
	"a b/c  d.jpg", "plus+sign.jpg", "percent%.jpg", "a%2Fb.jpg", "%2e%2e.jpg", "quote'\".jpg", "<angle>&amp;.jpg",
	"semi;colon,comma.jpg", "question?mark#hash.jpg", "equals=and&.jpg", "tilde~(paren)!*@$:|^{}[].jpg", "back\\slash.jpg",
	"nfc/caf\u00e9.jpg", "nfd/cafe\u0301.jpg", "emoji \U0001F600.png", "日本語/写真.jpg", "trailing. ", " leading",
	".hidden/.htaccess", "...", "a/...b", "Case.JPG", "dir.json/x", "dir.json.d/x", "dir", "dir.d", "long/" + strings.Repeat("n", 255), strings.Repeat("d", 255) + "/x",
	"wide/" + strings.Repeat("é", 127) + "x", strings.Repeat(strings.Repeat("p", 127)+"/", 7) + strings.Repeat("q", 126),
	"~" + strings.Repeat("0", 64), "~" + strings.Repeat("0", 64) + ".json/x",
}

func testKeys(t *testing.T, ctx context.Context, s bucket.Store) {
	prefix := "k/"
	want := map[string]bool{}
	for i, key := range OddKeys {
		if len(prefix)+len(key) > 1024 {
			t.Fatalf("key %d is too long", i)
		}
		put(t, ctx, s, prefix+key, textOf(i))
		want[prefix+key] = true
	}
	for i, key := range OddKeys {
		wantContent(t, ctx, s, prefix+key, textOf(i))
		if info, err := s.Head(ctx, prefix+key); err != nil || info.Key != prefix+key {
			t.Errorf("Head(%q) = %q, %v", key, info.Key, err)
		}
	}
	for _, key := range list(t, ctx, s, "", "") {
		if !want[key] {
			t.Errorf("List has %q, which was not stored or was listed twice", key)
		}
		delete(want, key)
	}
	for key := range want {
		t.Errorf("List lacks %q", key)
	}
	keys := make([]string, len(OddKeys))
	for i := range keys {
		keys[i] = prefix + OddKeys[i]
	}
	if err := s.Delete(ctx, keys...); err != nil {
		t.Fatal(err)
	}
	if left := list(t, ctx, s, "", ""); len(left) != 0 {
		t.Errorf("after Delete: %q", left)
	}
}

func testRefusedKeys(t *testing.T, ctx context.Context, s bucket.Store) {
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "a/.", "a/..", "../a", "a/../b", "./a", "a\x00b", "a\nb", "a\x1b", "a\x7f",
		"a\xff", "\xc3", "a\uFFFE", strings.Repeat("a", 256), strings.Repeat("a/", 600) + "a",
	} {
		_, putErr := tryPut(ctx, s, key, "x", bucket.PutOptions{})
		_, getErr := s.Get(ctx, key, bucket.GetOptions{})
		_, headErr := s.Head(ctx, key)
		_, presignErr := s.PresignGet(ctx, key, time.Minute)
		if presignErr != nil && errors.Is(presignErr, bucket.ErrUnsupported) {
			presignErr = bucket.ErrRefused
		}
		for what, err := range map[string]error{
			"Put": putErr, "Get": getErr, "Head": headErr, "Delete": s.Delete(ctx, "fine", key), "PresignGet": presignErr,
		} {
			wantError(t, what+" of key "+key, err, bucket.ErrRefused)
		}
	}
	if keys := list(t, ctx, s, "", ""); len(keys) != 0 {
		t.Errorf("the store has %q", keys)
	}
}

func testRefusedOptions(t *testing.T, ctx context.Context, s bucket.Store) {
	for name, opts := range map[string]bucket.PutOptions{
		"header in content type":   {Info: bucket.Info{ContentType: "a/b\r\nX: y"}},
		"header in cache control":  {Info: bucket.Info{CacheControl: "a\nb"}},
		"unicode in cache control": {Info: bucket.Info{CacheControl: "é"}},
		"metadata name":            {Info: bucket.Info{Meta: map[string]string{"A b": "x"}}},
		"reserved metadata":        {Info: bucket.Info{Meta: map[string]string{"mtime": "x"}}},
		"metadata value":           {Info: bucket.Info{Meta: map[string]string{"a": "x\ny"}}},
		"much metadata":            {Info: bucket.Info{Meta: map[string]string{"a": strings.Repeat("x", 1024)}}},
		"both conditions":          {IfNoneMatch: true, IfMatch: "x"},
		"length of MD5":            {MD5: []byte("short")},
		"header in ETag":           {IfMatch: "a\"\r\nb"},
	} {
		_, err := tryPut(ctx, s, "a", "x", opts)
		wantError(t, name, err, bucket.ErrRefused)
	}
	_, err := s.Put(ctx, "a", bytes.NewReader(nil), -1, bucket.PutOptions{})
	wantError(t, "negative size", err, bucket.ErrRefused)
}

func testRanges(t *testing.T, ctx context.Context, s bucket.Store) {
	put(t, ctx, s, "digits", "0123456789")
	put(t, ctx, s, "empty", "")
	for _, c := range []struct {
		key            string
		offset, length int64
		want           string
		err            error
	}{
		{"digits", 0, 0, "0123456789", nil},
		{"digits", 0, 1, "0", nil},
		{"digits", 0, 10, "0123456789", nil},
		{"digits", 0, 11, "0123456789", nil},
		{"digits", 3, 0, "3456789", nil},
		{"digits", 3, 4, "3456", nil},
		{"digits", 9, 1, "9", nil},
		{"digits", 9, math.MaxInt64, "9", nil},
		{"digits", 5, math.MaxInt64, "56789", nil},
		{"digits", 10, 0, "", bucket.ErrRange},
		{"digits", 10, 1, "", bucket.ErrRange},
		{"digits", math.MaxInt64, 1, "", bucket.ErrRange},
		{"digits", -1, 1, "", bucket.ErrRange},
		{"digits", 1, -1, "", bucket.ErrRange},
		{"empty", 0, 0, "", nil},
		{"empty", 0, 1, "", bucket.ErrRange},
		{"empty", 1, 0, "", bucket.ErrRange},
	} {
		got, info, err := get(ctx, s, c.key, bucket.GetOptions{Offset: c.offset, Length: c.length})
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s from %d, %d bytes: got %q, %v, want %q, %v", c.key, c.offset, c.length, got, err, c.want, c.err)
		}
		if err == nil && c.key == "digits" && info.Size != 10 {
			t.Errorf("%s from %d, %d bytes: the whole object's size is given as %d", c.key, c.offset, c.length, info.Size)
		}
	}
}

func testReadsVersion(t *testing.T, ctx context.Context, s bucket.Store) {
	first := put(t, ctx, s, "a", "first")
	if _, _, err := get(ctx, s, "a", bucket.GetOptions{IfMatch: first.ETag}); err != nil {
		t.Fatal(err)
	}
	second := put(t, ctx, s, "a", "second")
	_, _, err := get(ctx, s, "a", bucket.GetOptions{IfMatch: first.ETag})
	wantError(t, "reading a replaced version", err, bucket.ErrChanged)
	part, _, err := get(ctx, s, "a", bucket.GetOptions{IfMatch: second.ETag, Offset: 1, Length: 2})
	if err != nil || part != "ec" {
		t.Errorf("part of the version: %q, %v", part, err)
	}
}

func (b *changingBody) ReadAt(p []byte, off int64) (int, error) {
	return Pattern{Seed: b.reads.Add(1), Size: b.size}.ReadAt(p, off)
}

func (b brokenBody) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > b.Size/2 {
		return 0, b.err
	}
	return b.Pattern.ReadAt(p, off)
}

func (b *watchedBody) ReadAt(p []byte, off int64) (int, error) {
	b.reading.Add(1)
	defer b.reading.Add(-1)
	if b.returned.Load() {
		b.late.Add(1)
	}
	b.onRead()
	return b.Pattern.ReadAt(p, off)
}

// Contract: "Read-after-write: what Put or Delete returned nil for, every
// later Head, Get and List on any client of the same store shows."
func testReadAfterWrite(t *testing.T, ctx context.Context, s bucket.Store) {
	errs := inParallel(8, func(i int) error {
		prefix := string(rune('a'+i)) + "/x/"
		for n := range 15 {
			key := prefix + string(rune('a'+n))
			if _, err := tryPut(ctx, s, key, textOf(n), bucket.PutOptions{}); err != nil {
				return err
			}
			if _, err := s.Head(ctx, key); err != nil {
				return err
			}
			if got := count(ctx, s, prefix); got != 1 {
				return errors.New(key + " is not listed once after Put")
			}
			if err := s.Delete(ctx, key); err != nil {
				return err
			}
			if _, err := s.Head(ctx, key); !errors.Is(err, bucket.ErrNotFound) {
				return errors.New(key + " is there after Delete")
			}
			if got := count(ctx, s, prefix); got != 0 {
				return errors.New(key + " is listed after Delete")
			}
		}
		return nil
	})
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

func count(ctx context.Context, s bucket.Store, prefix string) int {
	n := 0
	for _, err := range s.List(ctx, prefix, "") {
		if err != nil {
			return -1
		}
		n++
	}
	return n
}

func testAbsent(t *testing.T, ctx context.Context, s bucket.Store) {
	put(t, ctx, s, "a/b/c", "x")
	for _, key := range []string{"nothing", "a", "a/b", "a/b/c/d", "a/b/cc"} {
		_, err := s.Get(ctx, key, bucket.GetOptions{})
		wantError(t, "Get "+key, err, bucket.ErrNotFound)
		_, err = s.Head(ctx, key)
		wantError(t, "Head "+key, err, bucket.ErrNotFound)
		if err := s.Delete(ctx, key); err != nil {
			t.Errorf("Delete %s: %v", key, err)
		}
	}
	wantContent(t, ctx, s, "a/b/c", "x")
}

func testPresignGet(t *testing.T, ctx context.Context, s bucket.Store) {
	put(t, ctx, s, "a b+c.txt", "signed")
	url, err := s.PresignGet(ctx, "a b+c.txt", time.Minute)
	if errors.Is(err, bucket.ErrUnsupported) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	resp, err := httpGet(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "signed" {
		t.Errorf("the URL gives %d %q, %v", resp.StatusCode, body, err)
	}
}
