package s3

import (
	"context"
	"crypto/md5" // what Content-MD5 and ETags are by definition, not for secrecy
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

const (
	// singlePutSize is up to where an object is sent in one request.
	singlePutSize = 16 << 20
	// conflictTries bounds how often a Put is repeated that certainly stored
	// nothing because of another at the same time.
	conflictTries = 4
)

// Put implements Store.
func (s *store) Put(ctx context.Context, key string, body io.ReaderAt, size int64, opts bucket.PutOptions) (bucket.Info, error) {
	if err := bucket.CheckPut(key, size, &opts); err != nil {
		return bucket.Info{}, err
	}
	if err := ctx.Err(); err != nil {
		return bucket.Info{}, fmt.Errorf("storing %s: %w", key, err)
	}
	guarded := &guardedBody{body: body, size: size}
	defer guarded.release()
	put := s.putWhole
	if size > singlePutSize {
		put = s.putParts
	}
	info, err := retryConflict(ctx, func() (bucket.Info, error) { return put(ctx, key, guarded, &opts) })
	if err == nil {
		return info, nil
	}
	if fault := guarded.fault(); fault != nil {
		return bucket.Info{}, fmt.Errorf("storing %s: reading its content: %w", key, fault)
	}
	if condition := putCondition(err, &opts); condition != nil {
		err = condition
	}
	return bucket.Info{}, s.wrap(ctx, "storing", key, err)
}

func retryConflict(ctx context.Context, put func() (bucket.Info, error)) (bucket.Info, error) {
	for try := 1; ; try++ {
		info, err := put()
		if try == conflictTries || !isConflict(err) {
			return info, err
		}
		select {
		case <-time.After(time.Duration(rand.Int64N(int64(50*time.Millisecond) << try))):
		case <-ctx.Done():
			return info, err
		}
	}
}

func (s *store) putWhole(ctx context.Context, key string, body *guardedBody, opts *bucket.PutOptions) (bucket.Info, error) {
	sums, err := s.sumsOf(ctx, body, opts)
	if err != nil {
		return bucket.Info{}, err
	}
	md5 := hex.EncodeToString(sums.md5)
	in := &s3.PutObjectInput{
		Bucket: &s.cfg.Bucket, Key: &key,
		Body:                 io.NewSectionReader(body, 0, body.size),
		ContentLength:        &body.size,
		ContentType:          optional(opts.ContentType),
		CacheControl:         optional(opts.CacheControl),
		Metadata:             metadataOf(opts, md5),
		IfMatch:              quoteETag(opts.IfMatch),
		ServerSideEncryption: types.ServerSideEncryption(s.cfg.Encryption),
		SSEKMSKeyId:          optional(s.cfg.KMSKeyID),
		StorageClass:         types.StorageClass(s.cfg.StorageClass),
		ACL:                  s.acl(opts),
	}
	if opts.IfNoneMatch {
		in.IfNoneMatch = aws.String("*")
	}
	in.ContentMD5, in.ChecksumCRC32 = s.headers(sums)
	out, err := s.client.PutObject(ctx, in)
	if err != nil {
		return bucket.Info{}, err
	}
	stored, _ := awsmiddleware.GetServerTime(out.ResultMetadata)
	return storedInfo(key, body.size, unquote(out.ETag), stored, opts, md5), nil
}

// sums are the checksums of a body or a part of one.
type sums struct {
	md5   []byte
	crc32 uint32
}

// sumsOf reads the body through, unless the caller has saved it that.
func (s *store) sumsOf(ctx context.Context, body *guardedBody, opts *bucket.PutOptions) (sums, error) {
	if len(opts.MD5) != 0 && s.cfg.Checksum == ChecksumMD5 {
		return sums{md5: opts.MD5}, nil
	}
	whole := newSummer()
	if err := readThrough(ctx, whole, body, 0, body.size); err != nil {
		return sums{}, err
	}
	found := whole.sums()
	return found, checkAnnounced(found.md5, opts.MD5)
}

func checkAnnounced(found, announced []byte) error {
	if len(announced) != 0 && string(found) != string(announced) {
		return fmt.Errorf("%w: the body's MD5 is %x, not %x as announced", bucket.ErrRefused, found, announced)
	}
	return nil
}

// summer computes all checksums in one pass.
type summer struct {
	io.Writer
	md5 interface{ Sum([]byte) []byte }
	crc interface{ Sum32() uint32 }
}

func newSummer() *summer {
	m, c := md5.New(), crc32.NewIEEE()
	return &summer{Writer: io.MultiWriter(m, c), md5: m, crc: c}
}

func (s *summer) sums() sums { return sums{md5: s.md5.Sum(nil), crc32: s.crc.Sum32()} }

// readThrough writes a part of the body to dst.
func readThrough(ctx context.Context, dst io.Writer, body *guardedBody, offset, size int64) error {
	n, err := bucket.CopyExactly(ctx, dst, io.NewSectionReader(body, offset, size), size)
	if err == nil && n < size {
		err = bucket.ShortBody(offset+n, body.size)
	}
	return err
}

// headers returns the checksum headers of a request as the store wants them.
func (s *store) headers(sum sums) (contentMD5, crc *string) {
	if s.cfg.Checksum == ChecksumCRC32 {
		return nil, aws.String(base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum.crc32)))
	}
	return aws.String(base64.StdEncoding.EncodeToString(sum.md5)), nil
}

func (s *store) acl(opts *bucket.PutOptions) types.ObjectCannedACL {
	if !opts.Public {
		return ""
	}
	return types.ObjectCannedACL(s.cfg.PublicACL)
}

// metadataOf is the metadata of an object whose content has this MD5, "" if that
// is not known.
func metadataOf(opts *bucket.PutOptions, md5 string) map[string]string {
	meta := make(map[string]string, len(opts.Meta)+2)
	maps.Copy(meta, opts.Meta)
	if md5 != "" {
		meta[bucket.MetaMD5] = md5
	}
	if t := bucket.StorableTime(opts.ModTime); !t.IsZero() {
		meta[bucket.MetaModTime] = bucket.FormatUnix(t)
	}
	return meta
}

// storedInfo describes what was just stored.
func storedInfo(key string, size int64, etag string, stored time.Time, opts *bucket.PutOptions, md5 string) bucket.Info {
	if stored.IsZero() {
		stored = time.Now()
	}
	return bucket.Info{
		Key: key, Size: size, ETag: etag, Stored: stored.UTC(),
		ContentType: opts.ContentType, CacheControl: opts.CacheControl,
		ModTime: bucket.StorableTime(opts.ModTime), MD5: md5, Meta: maps.Clone(opts.Meta),
	}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// quoteETag writes an ETag as a header has it (RFC 9110, 8.8.3).
func quoteETag(etag string) *string {
	if etag == "" {
		return nil
	}
	return aws.String(`"` + etag + `"`)
}

func unquote(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }
