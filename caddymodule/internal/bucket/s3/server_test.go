package s3_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/s3"
)

// What an admin gets wrong, on real servers: one message that says what to do.
func TestMisconfigured(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB) s3.Config{
		"versitygw": buckettest.StartVersityGW, "minio": buckettest.StartMinIO,
	} {
		server := start(t)
		for _, c := range []struct {
			name   string
			change func(*s3.Config)
			want   error
			text   string
		}{
			{"secret key", func(c *s3.Config) { c.SecretKey = "wrong-secret" }, bucket.ErrDenied, "secret_key"},
			{"access key", func(c *s3.Config) { c.AccessKey = "nobody" }, bucket.ErrDenied, "access_key"},
			{"bucket", func(c *s3.Config) { c.Bucket = "absent-bucket" }, bucket.ErrNoBucket, "absent-bucket"},
			{"clock ahead", func(c *s3.Config) { s3.SkewClock(c, time.Hour) }, bucket.ErrClock, "NTP"},
			{"clock behind", func(c *s3.Config) { s3.SkewClock(c, -time.Hour) }, bucket.ErrClock, "NTP"},
			{"region", func(c *s3.Config) { c.Region = "eu-north-7" }, bucket.ErrNoBucket, "region"},
		} {
			if name == "minio" && c.name == "region" {
				continue // it takes any, unless told its own
			}
			t.Run(name+"/"+c.name, func(t *testing.T) {
				cfg := server
				c.change(&cfg)
				s := openS3(t, cfg)
				defer s.Close()
				_, probeErr := s.Probe(t.Context(), "offload/")
				_, headErr := s.Head(t.Context(), "a")
				_, getErr := s.Get(t.Context(), "a", bucket.GetOptions{})
				_, abortErr := s.AbortUploads(t.Context(), "", time.Hour)
				var listErr error
				for _, listErr = range s.List(t.Context(), "", "") {
					break
				}
				errs := map[string]error{
					"Probe": probeErr, "Head": headErr, "Get": getErr, "List": listErr, "AbortUploads": abortErr,
					"Delete": s.Delete(t.Context(), "a"), "Delete of two": s.Delete(t.Context(), "a", "b"),
				}
				for what, err := range errs {
					if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
						t.Errorf("%s: %v", what, err)
					}
					if err != nil && (strings.Contains(err.Error(), "secret") && !strings.Contains(err.Error(), "secret_key") || strings.Contains(err.Error(), "testsecret")) {
						t.Errorf("%s tells a secret: %v", what, err)
					}
				}
			})
		}
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	s := openS3(t, s3.Config{Bucket: "photos", Endpoint: "http://" + addr, AccessKey: "a", SecretKey: "b"})
	defer s.Close()
	_, err = buckettest.PutText(t.Context(), s, "a", "x", bucket.PutOptions{})
	buckettest.CheckError(t, err, nil, addr)
	if strings.Count(err.Error(), "http") != 1 || len(err.Error()) > 200 {
		t.Errorf("a long-winded message: %v", err)
	}
}

// Opening does no I/O: a store that is away does not keep a server from
// starting, and what is wrong is told without the secrets.
func TestOpenS3(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_PROFILE": "", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "",
	} {
		t.Setenv(name, value)
	}
	yes := true
	for _, c := range []struct {
		name string
		cfg  s3.Config
		want string // of String, or of the error
	}{
		{"endpoint", s3.Config{Bucket: "b-1", Endpoint: "https://s3.example.com/"}, "s3://b-1 at https://s3.example.com"},
		{"amazon", s3.Config{Bucket: "b-1", Region: "eu-west-1", PathStyle: &yes}, "s3://b-1 at Amazon S3 in eu-west-1"},
		{"no region", s3.Config{Bucket: "b-1"}, "AWS_REGION"},
		{"bucket", s3.Config{Bucket: "b/1", Region: "x"}, "no bucket's name"},
		{"half a key", s3.Config{Bucket: "b-1", Region: "x", SecretKey: "hush"}, "go together"},
		{"token alone", s3.Config{Bucket: "b-1", Region: "x", SessionToken: "hush"}, "session token"},
		{"endpoint without scheme", s3.Config{Bucket: "b-1", Endpoint: "s3.example.com:443"}, "http:// or https://"},
		{"endpoint with password", s3.Config{Bucket: "b-1", Endpoint: "https://u:hush@s3.example.com"}, "do not belong"},
		{"endpoint with query", s3.Config{Bucket: "b-1", Endpoint: "https://s3.example.com?k=hush"}, "?"},
		{"endpoint broken", s3.Config{Bucket: "b-1", Endpoint: "https://hush\x7f"}, "no URL"},
		{"checksum", s3.Config{Bucket: "b-1", Region: "x", Checksum: "sha1"}, "crc32 and md5"},
		{"encryption", s3.Config{Bucket: "b-1", Region: "x", Encryption: "rot13"}, "AES256"},
		{"KMS key alone", s3.Config{Bucket: "b-1", Region: "x", KMSKeyID: "k"}, "aws:kms"},
	} {
		s, err := s3.Open(c.cfg, nil)
		got := fmt.Sprint(err)
		if err == nil {
			got = s.String()
			_ = s.Close()
		}
		if !strings.Contains(got, c.want) || strings.Contains(got, "hush") {
			t.Errorf("%s: got %s", c.name, got)
		}
	}
	// No credentials anywhere is told when they are needed.
	s := openS3(t, s3.Config{Bucket: "b-1", Endpoint: "http://127.0.0.1:1"})
	defer s.Close()
	_, err := buckettest.PutText(t.Context(), s, "a", "x", bucket.PutOptions{})
	buckettest.CheckError(t, err, bucket.ErrDenied, "give access_key")
	if text := fmt.Sprintf("%v %+v", s3.Config{SecretKey: "hush"}, s3.Config{SessionToken: "hush"}); strings.Contains(text, "hush") {
		t.Errorf("printing the configuration tells secrets: %s", text)
	}
}

func TestPresignLimits(t *testing.T) {
	t.Parallel()
	s := openS3(t, s3.Config{Bucket: "photos", Endpoint: "http://127.0.0.1:1", AccessKey: "a", SecretKey: "b"})
	defer s.Close()
	for _, ttl := range []time.Duration{0, -time.Second, 8 * 24 * time.Hour} {
		if _, err := s.PresignGet(t.Context(), "a", ttl); !errors.Is(err, bucket.ErrRefused) {
			t.Errorf("%v: %v", ttl, err)
		}
	}
	if url, err := s.PresignGet(t.Context(), "a b/c+d.jpg", time.Hour); err != nil || !strings.HasPrefix(url, "http://127.0.0.1:1/photos/a%20b/c%2Bd.jpg?") {
		t.Errorf("got %s, %v", url, err)
	}
}
