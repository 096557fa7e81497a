package s3_test

import (
	"log/slog"
	"testing"

	"go.uber.org/goleak"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/s3"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestContractVersityGW(t *testing.T) {
	t.Parallel()
	server := buckettest.StartVersityGW(t)
	buckettest.Run(t, func(t *testing.T) bucket.Store { return openS3(t, buckettest.NewBucket(t, server)) })
}

func TestContractMinIO(t *testing.T) {
	t.Parallel()
	server := buckettest.StartMinIO(t)
	buckettest.Run(t, func(t *testing.T) bucket.Store { return openS3(t, buckettest.NewBucket(t, server)) })
}

func openS3(t *testing.T, cfg s3.Config) bucket.Store {
	t.Helper()
	store, err := s3.Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return store
}
