package bucket_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

func TestMain(m *testing.M) {
	if child := os.Getenv(childEnv); child != "" {
		runChild(child)
		return
	}
	goleak.VerifyTestMain(m)
}

func TestContractDir(t *testing.T) {
	t.Parallel()
	buckettest.Run(t, openDir)
}

func TestContractFaulty(t *testing.T) {
	t.Parallel()
	buckettest.Run(t, func(t *testing.T) bucket.Store { return bucket.NewFaulty(openDir(t), nil) })
}

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

func openDir(t *testing.T) bucket.Store {
	t.Helper()
	store, err := bucket.OpenDir(filepath.Join(t.TempDir(), "bucket"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func openS3(t *testing.T, cfg bucket.S3Config) bucket.Store {
	t.Helper()
	store, err := bucket.OpenS3(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return store
}
