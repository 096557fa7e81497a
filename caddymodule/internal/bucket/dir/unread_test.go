package dir_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/dir"
)

// plantSparse puts a file of a size, which takes no space, into a bucket's directory.
func plantSparse(t *testing.T, path string, size int64) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o644), os.Truncate(path, size)); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, long, long); err != nil {
		t.Fatal(err)
	}
}

// A listing does not wait until a huge file has been read, and who asks for it is told
// that it is being read.
func TestListsHugeFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "bucket")
	s, err := dir.Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range s.List(t.Context(), "", "") { // makes the directory
	}
	plantSparse(t, filepath.Join(path, "media", "huge.jpg"), 200<<30)
	began := time.Now()
	var listed []bucket.Info
	for info, err := range s.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, info)
	}
	if len(listed) != 1 || listed[0].Size != 200<<30 || listed[0].ContentMD5() != "" || time.Since(began) > 20*time.Second {
		t.Errorf("listed %+v after %s", listed, time.Since(began))
	}
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := s.Head(ctx, "media/huge.jpg"); !errors.Is(err, bucket.ErrUnread) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("looking at it: %v", err)
		}
		cancel()
	}
}

// What took longer to read than its reader would wait is known some time later.
func TestReadsOn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "bucket")
	s, err := dir.Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	dir.SetHashAtOnce(s, 1<<20)
	for range s.List(t.Context(), "", "") {
	}
	const size = 512 << 20
	plantSparse(t, filepath.Join(path, "media", "large.jpg"), size)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := s.Head(ctx, "media/large.jpg"); !errors.Is(err, bucket.ErrUnread) {
		t.Fatalf("looking at it: %v", err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) { // nothing signals it
		info, err := s.Head(t.Context(), "media/large.jpg")
		if err == nil && info.Size == size && info.ContentMD5() != "" {
			break
		}
		if !errors.Is(err, bucket.ErrUnread) || time.Now().After(deadline) {
			t.Fatalf("looking at it: %+v, %v", info, err)
		}
	}
	for info, err := range s.List(t.Context(), "", "") {
		if err != nil || info.ContentMD5() == "" {
			t.Errorf("listed %+v, %v", info, err)
		}
	}
}

// A file that nobody has read has a version all the same, which a listing names and a Put
// goes by: it can be replaced by who knows what is there, and by nobody else.
func TestReplaceUnread(t *testing.T) {
	t.Parallel()
	s, dir := newDir(t)
	for range 2 {
		name := filepath.Join(dir, "huge")
		plantSparse(t, name, 1<<42)
		etag := ""
		for info, err := range s.List(t.Context(), "huge", "") {
			if err != nil {
				t.Fatal(err)
			}
			etag = info.ETag
		}
		if _, err := buckettest.PutText(t.Context(), s, "huge", "mine", bucket.PutOptions{IfMatch: etag + "0"}); !errors.Is(err, bucket.ErrChanged) {
			t.Errorf("over another version: %v", err)
		}
		if _, err := buckettest.PutText(t.Context(), s, "huge", "mine", bucket.PutOptions{IfMatch: etag}); err != nil {
			t.Errorf("over this version: %v", err)
		}
		if _, err := buckettest.PutText(t.Context(), s, "huge", "twice", bucket.PutOptions{IfMatch: etag}); !errors.Is(err, bucket.ErrChanged) {
			t.Errorf("again: %v", err)
		}
	}
}

// A version that somebody replaced by a huge file is known not to be there any more
// without reading that.
func TestHugeFileIsAnotherVersion(t *testing.T) {
	t.Parallel()
	s, path := newDir(t)
	info, err := buckettest.PutText(t.Context(), s, "a.json", "small", bucket.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(path, "a.json"), 200<<30); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // to read it takes minutes
	defer cancel()
	if _, err := buckettest.PutText(ctx, s, "a.json", "next", bucket.PutOptions{IfMatch: info.ETag}); !errors.Is(err, bucket.ErrChanged) {
		t.Errorf("Put over it: %v", err)
	}
}
