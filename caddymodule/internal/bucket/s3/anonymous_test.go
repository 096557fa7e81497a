package s3_test

import (
	"fmt"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/s3"
)

// TestLetsAnyone: what a bucket's policy allows everybody, and should not, is
// told.
//
// Promise 7: "Private and ignored files, control objects and the app's code are
// never readable through the public URL or the module."
func TestLetsAnyone(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB) s3.Config{
		"versitygw": buckettest.StartVersityGW, "minio": buckettest.StartMinIO,
	} {
		server := start(t)
		for _, c := range []struct {
			name            string
			action, below   string
			withoutPrivate  bool
			want, wantNever string // in the warning; "" for want: there is none
		}{
			{name: "nothing"},
			{name: "read media", action: "s3:GetObject", below: "site/media/*"},
			{name: "read all", action: "s3:GetObject", below: "*", want: "below site/offload/ and site/private/ in s3://"},
			{name: "read all, nothing private yet", action: "s3:GetObject", below: "site/*", withoutPrivate: true, want: "below site/offload/ in s3://"},
			{name: "read private files", action: "s3:GetObject", below: "site/private/*", want: "below site/private/ in s3://", wantNever: "offload/"},
			{name: "write", action: "s3:PutObject", below: "*", want: "s3:PutObject", wantNever: "read"},
		} {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				cfg := buckettest.NewBucket(t, server)
				if c.action != "" {
					policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":[%q],"Resource":["arn:aws:s3:::%s/%s"]}]}`, c.action, cfg.Bucket, c.below)
					if _, err := buckettest.Client(cfg).PutBucketPolicy(t.Context(), &sdk.PutBucketPolicyInput{Bucket: &cfg.Bucket, Policy: &policy}); err != nil {
						t.Fatal(err)
					}
				}
				s := openS3(t, cfg)
				defer s.Close()
				objects := []string{"site/media/a.jpg"}
				if !c.withoutPrivate {
					objects = append(objects, "site/private/b.pdf")
				}
				for _, key := range objects {
					if _, err := buckettest.PutText(t.Context(), s, key, "x", bucket.PutOptions{}); err != nil {
						t.Fatal(err)
					}
				}
				caps, err := s.Probe(t.Context(), "site/offload/", "site/offload/", "site/private/")
				if err != nil {
					t.Fatal(err)
				}
				got := strings.Join(caps.Warnings, "\n")
				if c.want == "" && got != "" || len(caps.Warnings) > 1 || !strings.Contains(got, c.want) ||
					c.wantNever != "" && strings.Contains(got, c.wantNever) {
					t.Errorf("warnings: %q", caps.Warnings)
				}
				for info, err := range s.List(t.Context(), "site/", "") {
					if err != nil || strings.Contains(info.Key, "probe") {
						t.Errorf("left: %s, %v", info.Key, err)
					}
				}
			})
		}
	}
}
