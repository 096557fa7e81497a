package s3

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/auth"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// withoutCredentials has a request sent as anyone could: unsigned. (Credentials
// of aws.AnonymousCredentials would do that for a client, not for a request.)
func withoutCredentials(o *s3.Options) { o.AuthSchemeResolver = unsigned{} }

type unsigned struct{}

// ResolveAuthSchemes implements s3.AuthSchemeResolver.
func (unsigned) ResolveAuthSchemes(context.Context, *s3.AuthResolverParameters) ([]*auth.Option, error) {
	return []*auth.Option{{SchemeID: auth.SchemeIDAnonymous}}, nil
}

// anonymousWarnings is what an admin should know of what the store lets anyone
// do: write, or read below closed.
func (s *store) anonymousWarnings(ctx context.Context, prefix string, closed []string) (warnings []string, err error) {
	if s.takesAnonymous(ctx, prefix) {
		warnings = append(warnings,
			"anyone may write to "+s.String()+" without credentials: restrict s3:PutObject in the bucket's policy")
	}
	open, err := s.openPrefixes(ctx, prefix, closed)
	if len(open) > 0 {
		warnings = append(warnings, fmt.Sprintf(
			"anyone may read what is below %s in %s without credentials, and with it private files: let the bucket's policy allow s3:GetObject for public objects alone",
			strings.Join(open, " and "), s))
	}
	return warnings, err
}

// openPrefixes returns those prefixes of closed below which anyone may read. Below
// prefix an object is put for that; below the others, where objects are media,
// one that is there is asked for.
func (s *store) openPrefixes(ctx context.Context, prefix string, closed []string) (open []string, err error) {
	own := prefix + bucket.ProbeName + "read-" + bucket.RandomText()
	if _, err := s.Put(ctx, own, strings.NewReader("probe"), int64(len("probe")), bucket.PutOptions{}); err != nil {
		return nil, err
	}
	defer bucket.CleanUp(ctx, s, own)
	for _, c := range closed {
		key := own
		if c != prefix {
			if key, err = s.first(ctx, c); err != nil {
				return open, err
			}
		}
		if key != "" && s.givesAnonymous(ctx, key) {
			open = append(open, c)
		}
	}
	return open, nil
}

// first is the first key below prefix, "" if there is none.
func (s *store) first(ctx context.Context, prefix string) (string, error) {
	for info, err := range s.List(ctx, prefix, "") {
		return info.Key, err
	}
	return "", nil
}

// givesAnonymous reports whether the store gives an object to who has no
// credentials. If it does not answer, that is not known.
func (s *store) givesAnonymous(ctx context.Context, key string) bool {
	firstByte := "bytes=0-0"
	o, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.cfg.Bucket, Key: &key, Range: &firstByte}, withoutCredentials)
	if err != nil {
		return false
	}
	_ = o.Body.Close()
	return true
}

// takesAnonymous reports whether the store takes a write without credentials.
func (s *store) takesAnonymous(ctx context.Context, prefix string) bool {
	key := prefix + bucket.ProbeName + "anonymous-" + bucket.RandomText()
	_, err := s.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &s.cfg.Bucket, Key: &key, Body: strings.NewReader("")},
		withoutCredentials)
	if err != nil {
		return false
	}
	bucket.CleanUp(ctx, s, key)
	return true
}
