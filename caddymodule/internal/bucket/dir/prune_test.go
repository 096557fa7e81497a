package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// TestPruneLeavesObjects: where a directory was that lost its last object, there
// may be an object of its name by the time it is to be removed.
//
// Promise 2: "No failure of the bucket, the network or the node […] loses a file".
func TestPruneLeavesObjects(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := root.MkdirAll("media/empty/below", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := root.WriteFile("media/x.jpg", []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	pruneParents(root, "media/x.jpg/y.jpg", map[string]bool{})
	pruneParents(root, "media/empty/below/y.jpg", map[string]bool{})
	if _, err := root.Lstat("media/x.jpg"); err != nil {
		t.Errorf("an object was removed as an empty directory: %v", err)
	}
	if _, err := root.Lstat("media/empty"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty directory is left: %v", err)
	}
	if _, err := root.Lstat("media"); err != nil {
		t.Errorf("a directory at the top was removed: %v", err)
	}
}

// TestPutWhereDirectoryGoes: two deletes of the last object in a directory, and a
// Put of an object of the directory's name, at once.
func TestPutWhereDirectoryGoes(t *testing.T) {
	t.Parallel()
	s, err := Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	put := func(key string) error {
		_, err := s.Put(t.Context(), key, strings.NewReader("x"), 1, bucket.PutOptions{})
		return err
	}
	for i := range 200 {
		dir := fmt.Sprintf("media/%d.jpg", i)
		if err := put(dir + "/y.jpg"); err != nil {
			t.Fatal(err)
		}
		var work sync.WaitGroup
		for range 2 {
			work.Go(func() {
				if err := s.Delete(t.Context(), dir+"/y.jpg"); err != nil {
					t.Error(err)
				}
			})
		}
		work.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), bucket.CleanupTime)
			defer cancel()
			for err := put(dir); err != nil; err = put(dir) {
				if !errors.Is(err, bucket.ErrRefused) || ctx.Err() != nil {
					t.Error(err)
					return
				}
			}
		})
		work.Wait()
		if _, err := s.Head(t.Context(), dir); err != nil {
			t.Fatalf("after %d: %v", i, err)
		}
	}
}
