package bucket_test

import (
	"sync"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// Directories that go while a listing is under way are no error of it.
func TestDirListWhileDirectoriesGo(t *testing.T) {
	t.Parallel()
	s, err := bucket.OpenDir(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var writing sync.WaitGroup
	done := make(chan struct{})
	writing.Go(func() {
		defer close(done)
		for range 150 {
			if _, err := putText(t.Context(), s, "a/b/c/d.jpg", "x", bucket.PutOptions{}); err != nil {
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
