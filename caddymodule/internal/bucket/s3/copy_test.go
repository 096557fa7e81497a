package s3_test

import (
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/s3"
)

// Objects above S3's limit for one request are copied in parts.
func TestCopyParts(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB) s3.Config{
		"versitygw": buckettest.StartVersityGW, "minio": buckettest.StartMinIO,
	} {
		t.Run(name, func(t *testing.T) {
			cfg := buckettest.NewBucket(t, start(t))
			s3.SetCopyLimit(&cfg, 6<<20, 5<<20)
			s := openS3(t, cfg)
			defer s.Close()
			body := buckettest.Pattern{Seed: 3, Size: 11<<20 + 1}
			modified := time.Unix(1_700_000_000, 5).UTC()
			from, err := s.Put(t.Context(), "a+b c.mp4", body, body.Size, bucket.PutOptions{Info: bucket.Info{ContentType: "video/mp4", ModTime: modified}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Copy(t.Context(), from, "copy", false); err != nil {
				t.Fatal(err)
			}
			o, err := s.Get(t.Context(), "copy", bucket.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer o.Body.Close()
			if got := buckettest.MD5(o.Body); got != body.MD5() || o.MD5 != got || o.ContentType != "video/mp4" || !o.ModTime.Equal(modified) {
				t.Errorf("content %s, want %s; described as %+v", got, body.MD5(), o.Info)
			}
		})
	}
}
