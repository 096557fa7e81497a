package s3

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

const (
	// maxDeletes is S3's limit for one DeleteObjects request.
	maxDeletes = 1000
	// maxUploadPages bounds one AbortUploads; the next goes on.
	maxUploadPages = 1000
)

// Delete implements Store.
func (s *store) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := bucket.CheckKey(key); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("deleting %s: %w", bucket.CountKeys(keys), err)
	}
	if len(keys) == 1 {
		_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.cfg.Bucket, Key: &keys[0]})
		if answer := answerOf(err); answer != nil && answer.hasCode("NoSuchKey") {
			return nil
		}
		return s.wrap(ctx, "deleting", keys[0], err)
	}
	for batch := range slices.Chunk(keys, maxDeletes) {
		if err := s.deleteBatch(ctx, batch); err != nil {
			return s.wrap(ctx, "deleting", bucket.CountKeys(keys), err)
		}
	}
	return nil
}

func (s *store) deleteBatch(ctx context.Context, keys []string) error {
	ids := make([]types.ObjectIdentifier, len(keys))
	for i := range keys {
		ids[i].Key = &keys[i]
	}
	out, err := s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
		Bucket: &s.cfg.Bucket, Delete: &types.Delete{Objects: ids, Quiet: aws.Bool(true)},
	}, s.deleteChecksum)
	if err != nil {
		return err
	}
	return s.deleteFailures(out.Errors)
}

// deleteChecksum sends Content-MD5, which S3 demands for this request, instead
// of the SDK's CRC32, which some stores do not know.
func (s *store) deleteChecksum(o *s3.Options) {
	if s.cfg.Checksum == ChecksumCRC32 {
		return
	}
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		if _, err := stack.Initialize.Remove("AWSChecksum:SetupInputContext"); err != nil {
			return err
		}
		return smithyhttp.AddContentChecksumMiddleware(stack)
	})
}

// deleteFailures turns the errors of single keys into one, of the first one's
// kind.
func (s *store) deleteFailures(failures []types.Error) error {
	failures = slices.DeleteFunc(failures, func(f types.Error) bool { return aws.ToString(f.Code) == "NoSuchKey" })
	if len(failures) == 0 {
		return nil
	}
	const shown = 3
	errs := make([]error, 0, shown)
	for _, f := range failures[:min(shown, len(failures))] {
		answer := answerOf(&smithy.GenericAPIError{Code: aws.ToString(f.Code), Message: aws.ToString(f.Message)})
		errs = append(errs, fmt.Errorf("%s: %w", bucket.QuoteKey(aws.ToString(f.Key)), s.explain("deleting", answer)))
	}
	if len(failures) > shown {
		errs = append(errs, fmt.Errorf("and %d more", len(failures)-shown))
	}
	return errors.Join(errs...)
}

// AbortUploads implements Store. Uploads of other processes are told from
// abandoned ones by their age alone. MinIO lists only the uploads of one exact
// key, so that this finds none there; it drops them itself after a day.
func (s *store) AbortUploads(ctx context.Context, prefix string, age time.Duration) (int, error) {
	before := time.Now().Add(-age)
	in := &s3.ListMultipartUploadsInput{Bucket: &s.cfg.Bucket, Prefix: optional(prefix)}
	aborted := 0
	for range maxUploadPages {
		if err := ctx.Err(); err != nil {
			return aborted, err
		}
		out, err := s.client.ListMultipartUploads(ctx, in)
		if err != nil {
			return aborted, s.wrap(ctx, "listing unfinished uploads below", prefix, err)
		}
		for i := range out.Uploads {
			done, err := s.abortOld(ctx, &out.Uploads[i], before)
			if err != nil {
				return aborted, err
			}
			if done {
				aborted++
			}
		}
		if !aws.ToBool(out.IsTruncated) || aws.ToString(out.NextKeyMarker) == "" {
			return aborted, nil
		}
		in.KeyMarker, in.UploadIdMarker = out.NextKeyMarker, out.NextUploadIdMarker
	}
	return aborted, nil
}

func (s *store) abortOld(ctx context.Context, u *types.MultipartUpload, before time.Time) (bool, error) {
	id := aws.ToString(u.UploadId)
	if _, ours := s.uploads.Load(id); ours || aws.ToTime(u.Initiated).After(before) {
		return false, nil
	}
	_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
		Bucket: &s.cfg.Bucket, Key: u.Key, UploadId: u.UploadId,
	})
	if answer := answerOf(err); answer != nil && answer.hasCode("NoSuchUpload") {
		return false, nil // finished or aborted since
	}
	return err == nil, s.wrap(ctx, "aborting an upload of", aws.ToString(u.Key), err)
}
