package buckettest_test

import (
	"log/slog"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/dir"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestContractFaulty(t *testing.T) {
	t.Parallel()
	buckettest.Run(t, func(t *testing.T) bucket.Store { return buckettest.NewFaulty(openDir(t), nil) })
}

func openDir(t *testing.T) bucket.Store {
	t.Helper()
	store, err := dir.Open(filepath.Join(t.TempDir(), "bucket"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestContractMemory(t *testing.T) {
	t.Parallel()
	buckettest.Run(t, func(*testing.T) bucket.Store { return buckettest.NewMemory() })
}
