package caddymodule

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/dir"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/s3"
)

// BucketConfig says which bucket, and how to reach it. Placeholders such as
// `{env.SECRET}` and `{file./run/secrets/key}` in any value are replaced when
// the config is loaded.
type BucketConfig struct {
	// The bucket and a prefix for all names in it: `s3://bucket/prefix`, or
	// `file:///directory` for a directory. Required.
	URL string `json:"url,omitempty"`

	// The URL of the S3 service. Default: empty, Amazon S3.
	Endpoint string `json:"endpoint,omitempty"`

	// The region. Default: empty, as the AWS tools find it.
	Region string `json:"region,omitempty"`

	// Whether the bucket's name is in the path of URLs (`true`) or in the host
	// name (`false`). Default: in the path if there is an endpoint that is not
	// Amazon's.
	PathStyle *bool `json:"path_style,omitempty"`

	// The access key. Default: empty, as the AWS tools find it (environment,
	// shared files, instance role).
	AccessKey string `json:"access_key,omitempty"`

	// The secret that belongs to the access key. Default: empty.
	SecretKey string `json:"secret_key,omitempty"`

	// The session token that belongs to temporary keys. Default: empty.
	SessionToken string `json:"session_token,omitempty"`

	// Encryption by the store: `AES256`, `aws:kms` or `aws:kms:dsse`. Default: empty, as the
	// bucket is set up.
	SSE string `json:"sse,omitempty"`

	// The id of the KMS key for `aws:kms`. Default: empty, the account's.
	KMSKey string `json:"kms_key,omitempty"`

	// The storage class, for example `STANDARD_IA`. Default: empty, the
	// bucket's.
	StorageClass string `json:"storage_class,omitempty"`

	// The ACL of public objects, for example `public-read`. Default: empty,
	// none: the bucket's policy says what is public.
	ACL string `json:"acl,omitempty"`

	// How uploads are verified by the store: `crc32` or `md5`. Default: empty,
	// `crc32` for Amazon S3 and `md5` for all others.
	Checksum string `json:"checksum,omitempty"`

	// What the names of public objects begin with, below the URL's prefix.
	// Default: `media/`.
	PublicPrefix string `json:"public_prefix,omitempty"`

	// What the names of private objects begin with. Default: `private/`.
	PrivatePrefix string `json:"private_prefix,omitempty"`

	// What the names of this module's own objects begin with. Default:
	// `offload/`.
	ControlPrefix string `json:"control_prefix,omitempty"`
}

// strings returns the string options by their names.
func (b *BucketConfig) strings() map[string]*string {
	return map[string]*string{
		"url": &b.URL, "endpoint": &b.Endpoint, "region": &b.Region,
		"access_key": &b.AccessKey, "secret_key": &b.SecretKey, "session_token": &b.SessionToken,
		"sse": &b.SSE, "kms_key": &b.KMSKey, "storage_class": &b.StorageClass, "acl": &b.ACL,
		"checksum":      &b.Checksum,
		"public_prefix": &b.PublicPrefix, "private_prefix": &b.PrivatePrefix, "control_prefix": &b.ControlPrefix,
	}
}

// resolve returns b with its placeholders replaced and its prefixes complete.
func (b *BucketConfig) resolve() (BucketConfig, error) {
	r := *b
	for name, value := range r.strings() {
		replaced, err := replacePlaceholders(*value)
		if err != nil {
			return r, fmt.Errorf("bucket: %s: %w", name, err)
		}
		*value = strings.TrimSpace(replaced) // files end with a line break
	}
	for prefix, def := range map[*string]string{&r.PublicPrefix: "media/", &r.PrivatePrefix: "private/", &r.ControlPrefix: "offload/"} {
		setDefault(prefix, def)
		*prefix = strings.Trim(*prefix, "/") + "/"
	}
	return r, nil
}

// check refuses what a directory cannot do. The store checks the rest.
func (b *BucketConfig) check(serve string) error {
	if !strings.HasPrefix(b.URL, "file:") {
		return nil
	}
	if serve == servePresign {
		return errors.New("serve presign needs a bucket on s3://: a directory has no URLs that expire; use proxy or redirect")
	}
	common := map[string]bool{"url": true, "public_prefix": true, "private_prefix": true, "control_prefix": true}
	options := b.strings()
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if !common[name] && *options[name] != "" {
			return fmt.Errorf("bucket: %s is for s3:// only, not for a directory: take it out", name)
		}
	}
	if b.PathStyle != nil {
		return errors.New("bucket: path_style is for s3:// only, not for a directory: take it out")
	}
	return nil
}

// open returns the store and the prefix that the URL gives to all names.
func (b *BucketConfig) open(logger *slog.Logger) (bucket.Store, string, error) {
	at, err := bucket.ParseURL(b.URL)
	if err != nil {
		return nil, "", fmt.Errorf("opening the bucket: %w", err)
	}
	if at.Dir != "" {
		store, err := dir.Open(at.Dir, logger)
		return store, "", err
	}
	store, err := s3.Open(s3.Config{
		Bucket:       at.Bucket,
		Endpoint:     b.Endpoint,
		Region:       b.Region,
		PathStyle:    b.PathStyle,
		AccessKey:    b.AccessKey,
		SecretKey:    b.SecretKey,
		SessionToken: b.SessionToken,
		Encryption:   b.SSE,
		KMSKeyID:     b.KMSKey,
		StorageClass: b.StorageClass,
		PublicACL:    b.ACL,
		Checksum:     s3.Checksum(b.Checksum),
	}, logger)
	return store, at.Prefix, err
}

// dir is the directory that the bucket is, "" for another kind or a wrong URL.
func (b *BucketConfig) dir() string {
	at, err := bucket.ParseURL(b.URL)
	if err != nil {
		return ""
	}
	return at.Dir
}
