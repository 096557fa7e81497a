package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// maxPresign is S3's limit for the life of a presigned URL.
const maxPresign = 7 * 24 * time.Hour

// Get implements Store.
func (s *store) Get(ctx context.Context, key string, opts bucket.GetOptions) (*bucket.Object, error) {
	if err := bucket.CheckKey(key); err != nil {
		return nil, err
	}
	object, err := s.get(ctx, key, opts)
	if answer := answerOf(err); answer != nil && opts.IfMatch != "" && answer.status == http.StatusPreconditionFailed {
		err = bucket.ErrChanged
	}
	return object, s.wrap(ctx, "reading", key, err)
}

func (s *store) get(ctx context.Context, key string, opts bucket.GetOptions) (*bucket.Object, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	span, err := rangeHeader(opts)
	if err != nil {
		return nil, err
	}
	out, err := s.client.GetObject(context.WithValue(ctx, objectBody{}, true), &s3.GetObjectInput{
		Bucket: &s.cfg.Bucket, Key: &key, Range: span, IfMatch: quoteETag(opts.IfMatch),
	})
	if err != nil {
		return nil, err
	}
	size, err := objectSize(out, opts)
	if err == nil && opts.AtMost > 0 && size > opts.AtMost {
		err = bucket.ErrTooLarge
	}
	if err != nil {
		_ = out.Body.Close()
		return nil, err
	}
	info := describe(key, size, out.ETag, out.LastModified, out.Metadata)
	info.ContentType, info.CacheControl = aws.ToString(out.ContentType), aws.ToString(out.CacheControl)
	return &bucket.Object{Info: info, Body: &s3Body{body: out.Body, key: key, left: *out.ContentLength}}, nil
}

// rangeHeader returns the Range header (RFC 9110, 14.2) for what is wanted;
// nil for the whole.
func rangeHeader(opts bucket.GetOptions) (*string, error) {
	switch {
	case opts.Offset < 0 || opts.Length < 0:
		return nil, fmt.Errorf("%w: offset %d, length %d", bucket.ErrRange, opts.Offset, opts.Length)
	case opts.Offset == 0 && opts.Length == 0:
		return nil, nil
	case opts.Length == 0 || opts.Offset > math.MaxInt64-opts.Length:
		return aws.String(fmt.Sprintf("bytes=%d-", opts.Offset)), nil
	}
	return aws.String(fmt.Sprintf("bytes=%d-%d", opts.Offset, opts.Offset+opts.Length-1)), nil
}

// objectSize returns the size of the whole object, and an error if the answer
// is not the part that was asked for.
func objectSize(out *s3.GetObjectOutput, opts bucket.GetOptions) (int64, error) {
	if out.ContentLength == nil || *out.ContentLength < 0 {
		return 0, errors.New("the store does not say how long the object is")
	}
	if opts.Offset == 0 && opts.Length == 0 {
		return *out.ContentLength, nil
	}
	first, last, size, ok := parseContentRange(aws.ToString(out.ContentRange))
	if !ok || first != opts.Offset || last-first+1 != *out.ContentLength || last >= size ||
		(opts.Length > 0 && *out.ContentLength > opts.Length) {
		return 0, fmt.Errorf("the store answered a request for a part with another: %.80q", aws.ToString(out.ContentRange))
	}
	return size, nil
}

// parseContentRange reads "bytes 0-99/1234" (RFC 9110, 14.4).
func parseContentRange(s string) (first, last, size int64, ok bool) {
	span, isBytes := strings.CutPrefix(s, "bytes ")
	span, total, hasTotal := strings.Cut(span, "/")
	from, to, hasDash := strings.Cut(span, "-")
	if !isBytes || !hasTotal || !hasDash {
		return 0, 0, 0, false
	}
	var numbers [3]int64
	for i, digits := range []string{from, to, total} {
		n, err := strconv.ParseUint(digits, 10, 62)
		if err != nil {
			return 0, 0, 0, false
		}
		numbers[i] = int64(n)
	}
	return numbers[0], numbers[1], numbers[2], numbers[0] <= numbers[1]
}

// describe reads the parts of an object's description that Get and Head share.
func describe(key string, size int64, etag *string, stored *time.Time, metadata map[string]string) bucket.Info {
	info := bucket.Info{Key: key, Size: size, ETag: unquote(etag), Stored: aws.ToTime(stored).UTC()}
	for name, value := range metadata {
		switch name = strings.ToLower(name); name {
		case bucket.MetaModTime:
			info.ModTime = bucket.ParseUnix(value)
		case bucket.MetaMD5:
			if bucket.IsMD5(value) {
				info.MD5 = value
			}
		default:
			if info.Meta == nil {
				info.Meta = make(map[string]string, len(metadata))
			}
			info.Meta[name] = value
		}
	}
	return info
}

// s3Body checks that a body is as long as announced.
type s3Body struct {
	body io.ReadCloser
	key  string
	left int64
}

func (b *s3Body) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.left -= int64(n)
	switch {
	case b.left < 0:
		return n, fmt.Errorf("reading %s: the body is longer than announced", b.key)
	case errors.Is(err, io.EOF) && b.left > 0:
		return n, fmt.Errorf("reading %s: %w", b.key, io.ErrUnexpectedEOF)
	case err != nil && !errors.Is(err, io.EOF):
		return n, fmt.Errorf("reading %s: %w", b.key, err)
	}
	return n, err
}

func (b *s3Body) Close() error { return b.body.Close() }

// Head implements Store.
func (s *store) Head(ctx context.Context, key string) (bucket.Info, error) {
	if err := bucket.CheckKey(key); err != nil {
		return bucket.Info{}, err
	}
	info, err := s.head(ctx, key)
	return info, s.wrap(ctx, "looking at", key, err)
}

func (s *store) head(ctx context.Context, key string) (bucket.Info, error) {
	if err := ctx.Err(); err != nil {
		return bucket.Info{}, err
	}
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.cfg.Bucket, Key: &key})
	if answer := answerOf(err); answer != nil && answer.status < http.StatusInternalServerError {
		// The answer to a HEAD has no body, so that a missing bucket, or a
		// server that is no store at all, looks like a missing object; and
		// for a missing object local files may be removed.
		return s.headByGet(ctx, key)
	}
	if err != nil {
		return bucket.Info{}, err
	}
	if out.ContentLength == nil {
		return bucket.Info{}, errors.New("the store does not say how long the object is")
	}
	info := describe(key, *out.ContentLength, out.ETag, out.LastModified, out.Metadata)
	info.ContentType, info.CacheControl = aws.ToString(out.ContentType), aws.ToString(out.CacheControl)
	return info, nil
}

func (s *store) headByGet(ctx context.Context, key string) (bucket.Info, error) {
	object, err := s.get(ctx, key, bucket.GetOptions{})
	if err != nil {
		return bucket.Info{}, err
	}
	return object.Info, object.Body.Close()
}

// PresignGet implements Store. It does no I/O unless credentials must be
// fetched.
func (s *store) PresignGet(ctx context.Context, key string, ttl time.Duration) (string, error) {
	if err := bucket.CheckKey(key); err != nil {
		return "", err
	}
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("presigning a URL of %s: %w", key, err)
	}
	if ttl < time.Second || ttl > maxPresign {
		return "", fmt.Errorf("presigning a URL of %s: %w: it can be valid for 1 second to 7 days, not %v", key, bucket.ErrRefused, ttl)
	}
	signed, err := s3.NewPresignClient(s.client, s3.WithPresignExpires(ttl)).
		PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &s.cfg.Bucket, Key: &key})
	if err != nil {
		return "", s.wrap(ctx, "presigning a URL of", key, err)
	}
	return signed.URL, nil
}
