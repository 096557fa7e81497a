package dir_test

import (
	"sync"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/dir"
)

// Directories that go while a listing is under way are no error of it.
func TestListWhileDirectoriesGo(t *testing.T) {
	t.Parallel()
	s, err := dir.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var writing sync.WaitGroup
	done := make(chan struct{})
	writing.Go(func() {
		defer close(done)
		for range 150 {
			if _, err := buckettest.PutText(t.Context(), s, "a/b/c/d.jpg", "x", bucket.PutOptions{}); err != nil {
				t.Error(err)
			}
			if err := s.Delete(t.Context(), "a/b/c/d.jpg"); err != nil {
				t.Error(err)
			}
		}
	})
	for listing := true; listing; {
		select {
		case <-done:
			listing = false
		default:
		}
		for _, err := range s.List(t.Context(), "", "") {
			if err != nil {
				t.Error(err)
				listing = false
			}
		}
	}
	writing.Wait()
}
