package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

const (
	// maxCopy is S3's limit for one CopyObject ("Copying objects", S3 user
	// guide). Larger objects are copied in parts of copyPartSize.
	maxCopy      int64 = 5 << 30
	copyPartSize int64 = 512 << 20
)

// Copy implements Store. The content does not leave the store.
func (s *store) Copy(ctx context.Context, from bucket.Info, to string, public bool) (bucket.Info, error) {
	for _, key := range []string{from.Key, to} {
		if err := bucket.CheckKey(key); err != nil {
			return bucket.Info{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return bucket.Info{}, fmt.Errorf("copying %s: %w", from.Key, err)
	}
	copied := s.copyWhole
	if from.Size > s.cfg.copyLimit {
		copied = s.copyParts
	}
	info, err := retryConflict(ctx, func() (bucket.Info, error) { return copied(ctx, from, to, public) })
	if answer := answerOf(err); answer != nil && answer.status == http.StatusPreconditionFailed {
		err = bucket.ErrChanged
	}
	return info, s.wrap(ctx, "copying", from.Key, err)
}

func (s *store) copyWhole(ctx context.Context, from bucket.Info, to string, public bool) (bucket.Info, error) {
	// Metadata and headers go along ("x-amz-metadata-directive: COPY" is the
	// default); encryption, storage class and ACL do not.
	out, err := s.client.CopyObject(ctx, &s3.CopyObjectInput{
		Bucket: &s.cfg.Bucket, Key: &to,
		CopySource:           aws.String(s.copySource(from.Key)),
		CopySourceIfMatch:    quoteETag(from.ETag),
		ServerSideEncryption: types.ServerSideEncryption(s.cfg.Encryption),
		SSEKMSKeyId:          optional(s.cfg.KMSKeyID),
		StorageClass:         types.StorageClass(s.cfg.StorageClass),
		ACL:                  s.acl(&bucket.PutOptions{Public: public}),
	}, func(o *s3.Options) { o.HTTPClient = s.patient })
	if err != nil {
		return bucket.Info{}, err
	}
	if out.CopyObjectResult == nil || aws.ToString(out.CopyObjectResult.ETag) == "" {
		return bucket.Info{}, errors.New("the store does not say what it copied")
	}
	stored, _ := awsmiddleware.GetServerTime(out.ResultMetadata)
	return bucket.Info{Key: to, Size: from.Size, ETag: unquote(out.CopyObjectResult.ETag), Stored: stored.UTC()}, nil
}

// copySource is the value of x-amz-copy-source, percent-encoded as CopyObject
// asks for.
func (s *store) copySource(key string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.WriteString(s.cfg.Bucket)
	b.WriteByte('/')
	for i := range len(key) {
		switch c := key[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~/", c) >= 0:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// copyParts copies an object that is too large for one request. What a copy
// keeps by itself has to be asked for and said again.
func (s *store) copyParts(ctx context.Context, from bucket.Info, to string, public bool) (bucket.Info, error) {
	source, err := s.head(ctx, from.Key)
	if err != nil {
		return bucket.Info{}, err
	}
	if from.ETag != "" && source.ETag != from.ETag {
		return bucket.Info{}, bucket.ErrChanged
	}
	u := &upload{store: s, key: to, opts: &bucket.PutOptions{Info: source, Public: public}, partSize: s.cfg.copyPart}
	if err := u.begin(ctx, source.MD5, ""); err != nil {
		return bucket.Info{}, err
	}
	s.uploads.Store(*u.id, true)
	defer s.uploads.Delete(*u.id)
	info, err := u.copy(ctx, source)
	if err != nil {
		u.abort(ctx)
	}
	return info, err
}

func (u *upload) copy(ctx context.Context, source bucket.Info) (bucket.Info, error) {
	s := u.store
	for offset := int64(0); offset < source.Size; offset += u.partSize {
		last := min(offset+u.partSize, source.Size) - 1
		number := aws.Int32(int32(len(u.done) + 1))
		out, err := s.client.UploadPartCopy(ctx, &s3.UploadPartCopyInput{
			Bucket: &s.cfg.Bucket, Key: &u.key, UploadId: u.id, PartNumber: number,
			CopySource:        aws.String(s.copySource(source.Key)),
			CopySourceIfMatch: quoteETag(source.ETag),
			CopySourceRange:   aws.String(fmt.Sprintf("bytes=%d-%d", offset, last)),
		}, func(o *s3.Options) { o.HTTPClient = s.patient })
		if err != nil {
			return bucket.Info{}, err
		}
		if out.CopyPartResult == nil {
			return bucket.Info{}, errors.New("the store does not say what it copied")
		}
		u.done = append(u.done, types.CompletedPart{ETag: out.CopyPartResult.ETag, PartNumber: number})
	}
	return u.complete(ctx, source.Size, source.MD5)
}
