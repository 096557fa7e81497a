package s3

import (
	"context"
	"encoding/hex"
	"io"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

const (
	minPartSize = 8 << 20
	// maxParts is S3's limit ("Amazon S3 multipart upload limits").
	maxParts = 10_000
	// partsAtOnce are sent in parallel for one object. They are read straight
	// from the body, so they cost connections, not memory.
	partsAtOnce = 4
)

// partSizeFor returns the size of all parts but the last: a whole number of
// MiB, and no more than maxParts of them.
func partSizeFor(size int64) int64 {
	const mib = 1 << 20
	least := (size + maxParts - 1) / maxParts
	return max(minPartSize, (least+mib-1)/mib*mib)
}

// upload is one multipart upload.
type upload struct {
	store    *store
	key      string
	body     *guardedBody
	opts     *bucket.PutOptions
	id       *string
	partSize int64
	// parts are the checksums of the parts, taken in the same pass as that of
	// the whole: so the store, which verifies the parts, verifies the whole.
	parts []sums
	whole sums
	done  []types.CompletedPart
}

// putParts stores a large object. The object becomes visible when the store
// has all parts; a failure throws them away.
func (s *store) putParts(ctx context.Context, key string, body *guardedBody, opts *bucket.PutOptions) (bucket.Info, error) {
	if opts.IfNoneMatch {
		// The condition is checked when all parts have been sent and paid for.
		if _, err := s.Head(ctx, key); err == nil {
			return bucket.Info{}, bucket.ErrExists
		}
	}
	u := &upload{store: s, key: key, body: body, opts: opts, partSize: partSizeFor(body.size)}
	if err := u.sum(ctx); err != nil {
		return bucket.Info{}, err
	}
	checksum := types.ChecksumAlgorithm("")
	if s.cfg.Checksum == ChecksumCRC32 {
		checksum = types.ChecksumAlgorithmCrc32
	}
	if err := u.begin(ctx, hex.EncodeToString(u.whole.md5), checksum); err != nil {
		return bucket.Info{}, err
	}
	s.uploads.Store(*u.id, true)
	defer s.uploads.Delete(*u.id)
	info, err := u.run(ctx)
	if err != nil {
		u.abort(ctx)
	}
	return info, err
}

func (u *upload) sum(ctx context.Context) error {
	whole := newSummer()
	for offset := int64(0); offset < u.body.size; offset += u.partSize {
		part := newSummer()
		size := min(u.partSize, u.body.size-offset)
		if err := readThrough(ctx, io.MultiWriter(whole, part), u.body, offset, size); err != nil {
			return err
		}
		u.parts = append(u.parts, part.sums())
	}
	u.whole = whole.sums()
	u.done = make([]types.CompletedPart, len(u.parts))
	return checkAnnounced(u.whole.md5, u.opts.MD5)
}

// begin begins the upload of content with this MD5 ("" unknown), whose parts
// will have checksums of this kind besides.
func (u *upload) begin(ctx context.Context, md5 string, checksum types.ChecksumAlgorithm) error {
	s, opts := u.store, u.opts
	out, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &s.cfg.Bucket, Key: &u.key,
		ContentType:          optional(opts.ContentType),
		CacheControl:         optional(opts.CacheControl),
		Metadata:             metadataOf(opts, md5),
		ServerSideEncryption: types.ServerSideEncryption(s.cfg.Encryption),
		SSEKMSKeyId:          optional(s.cfg.KMSKeyID),
		StorageClass:         types.StorageClass(s.cfg.StorageClass),
		ACL:                  s.acl(opts),
		ChecksumAlgorithm:    checksum,
	})
	if err != nil {
		return err
	}
	u.id = aws.String(aws.ToString(out.UploadId))
	return nil
}

func (u *upload) run(ctx context.Context) (bucket.Info, error) {
	if err := u.sendAll(ctx); err != nil {
		return bucket.Info{}, err
	}
	return u.complete(ctx, u.body.size, hex.EncodeToString(u.whole.md5))
}

// complete makes the object of the parts that are done.
func (u *upload) complete(ctx context.Context, size int64, md5 string) (bucket.Info, error) {
	s := u.store
	in := &s3.CompleteMultipartUploadInput{
		Bucket: &s.cfg.Bucket, Key: &u.key, UploadId: u.id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: u.done},
		IfMatch:         quoteETag(u.opts.IfMatch),
	}
	if u.opts.IfNoneMatch {
		in.IfNoneMatch = aws.String("*")
	}
	out, err := s.client.CompleteMultipartUpload(ctx, in, func(o *s3.Options) { o.HTTPClient = s.patient })
	if err != nil {
		return bucket.Info{}, err
	}
	stored, _ := awsmiddleware.GetServerTime(out.ResultMetadata)
	return storedInfo(u.key, size, unquote(out.ETag), stored, u.opts, md5), nil
}

// sendAll sends the parts, several at once, and returns when none is under way.
func (u *upload) sendAll(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(partsAtOnce, len(u.parts)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(u.parts) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := u.send(ctx, i); err != nil {
					cancel(err) // the first one counts
				}
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

func (u *upload) send(ctx context.Context, i int) error {
	offset := int64(i) * u.partSize
	size := min(u.partSize, u.body.size-offset)
	in := &s3.UploadPartInput{
		Bucket: &u.store.cfg.Bucket, Key: &u.key, UploadId: u.id,
		PartNumber:    aws.Int32(int32(i + 1)),
		Body:          io.NewSectionReader(u.body, offset, size),
		ContentLength: &size,
	}
	in.ContentMD5, in.ChecksumCRC32 = u.store.headers(u.parts[i])
	out, err := u.store.client.UploadPart(ctx, in)
	if err != nil {
		return err
	}
	u.done[i] = types.CompletedPart{ETag: out.ETag, PartNumber: in.PartNumber, ChecksumCRC32: in.ChecksumCRC32}
	return nil
}

// abort throws the parts away, also after ctx has ended. If that fails they
// wait for AbortUploads.
func (u *upload) abort(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bucket.CleanupTime)
	defer cancel()
	_, err := u.store.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
		Bucket: &u.store.cfg.Bucket, Key: &u.key, UploadId: u.id,
	})
	if err != nil {
		u.store.log.Debug("aborting an upload", "object_key", u.key, "error", innermost(err))
	}
}
