package s3_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/s3"
)

// Whoever can write to the bucket cannot stop listings, nor hide other objects, by
// keys that no file has, wherever in a page they come.
//
// Contract: "in ascending order of the bytes of their keys".
func TestListsWithKeysThatCannotBeNamed(t *testing.T) {
	t.Parallel()
	good := []string{
		"media/a b.jpg", "media/a!", "media/a-b.jpg", "media/a/x.jpg", "media/b.jpg", "media/g%01", "media/h+i.jpg",
		"media/u-\uFFFD.jpg", "media/u-\uFFFD/1.jpg", "media/v.jpg", "private/a.jpg",
	}
	hostile := []string{
		"media/\x01", "media/\x02", "media/\x03/a", "media/a\x01", "media/a\x01b/c.jpg", "media/a\x1f/q", "media/b\nc.jpg", "media/b.jpg\x01",
		"media/u-\x01.jpg", "media/z\xff.jpg", "media/\x7f", "media/v.jpg\x01x", "media/w\x01",
	}
	for name, start := range map[string]func(testing.TB) s3.Config{"versitygw": buckettest.StartVersityGW, "minio": buckettest.StartMinIO} {
		cfg := start(t)
		client := buckettest.Client(cfg)
		put := func(key string) error {
			_, err := client.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: &cfg.Bucket, Key: aws.String(key), Body: strings.NewReader("x")})
			return err
		}
		for _, key := range good {
			if err := put(key); err != nil {
				t.Fatal(err)
			}
		}
		planted := 0
		for _, key := range hostile {
			if put(key) == nil { // some a server refuses
				planted++
			}
		}
		if planted < 10 {
			t.Fatalf("%s took only %d hostile keys", name, planted)
		}
		for _, size := range []int32{2, 3, 4, 7, 1000} {
			t.Run(fmt.Sprintf("%s/pages of %d", name, size), func(t *testing.T) {
				paged := cfg
				s3.SetPageSize(&paged, size)
				var log strings.Builder
				s, err := s3.Open(paged, slog.New(slog.NewTextHandler(&log, nil)))
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				var keys []string
				for info, err := range s.List(t.Context(), "", "") {
					if err != nil {
						t.Fatal(err)
					}
					keys = append(keys, info.Key)
				}
				if !slices.IsSorted(keys) {
					t.Errorf("not in order: %q", keys)
				}
				for _, key := range good {
					if !slices.Contains(keys, key) {
						t.Errorf("%q is not listed", key)
					}
				}
				// One that is no object, but in order, does no harm.
				if n := len(keys) - len(good); n > 4 {
					t.Errorf("%d more: %q", n, keys)
				}
				if n := strings.Count(log.String(), "left alone"); n != 1 {
					t.Errorf("%d lines in the log", n)
				}
			})
		}
	}
}
