package s3

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// maxEmptyPages bounds pages without a key that say that more follow: some are
// legitimate (S3 steps over deleted keys), an endless run is not.
const maxEmptyPages = 100

// List implements Store.
func (s *store) List(ctx context.Context, prefix, after string) iter.Seq2[bucket.Info, error] {
	return func(yield func(bucket.Info, error) bool) {
		if !bucket.BeginsKeys(prefix) || (after > prefix && !strings.HasPrefix(after, prefix)) {
			return // all that begins with prefix comes before after
		}
		l := &pager{store: s, prefix: prefix, asked: prefix, last: after}
		if _, name := bucket.SplitKey(prefix); name == "." || name == ".." {
			// It begins keys such as ".hidden", but MinIO takes it for a path.
			l.asked = strings.TrimSuffix(prefix, name)
		}
		if after > prefix {
			l.after = &after
		}
		for {
			page, err := l.next(ctx)
			if err != nil {
				yield(bucket.Info{}, s.wrap(ctx, "listing", prefix, err))
				return
			}
			for i := range page {
				if !yield(page[i], nil) {
					return
				}
			}
			if l.ended {
				return
			}
		}
	}
}

// ListNames implements Store.
func (s *store) ListNames(ctx context.Context, prefix, after string) iter.Seq2[bucket.Info, error] {
	return s.List(ctx, prefix, after)
}

// pager reads a listing page by page and trusts none of them.
type pager struct {
	store *store
	// prefix is what is wanted; asked, what the store is asked for.
	prefix, asked string
	// after is where to start; token is where the last page ended.
	after, token *string
	last         string
	empty        int
	ended        bool
}

func (l *pager) next(ctx context.Context) ([]bucket.Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out, err := l.store.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: &l.store.cfg.Bucket, Prefix: optional(l.asked),
		StartAfter: l.after, ContinuationToken: l.token,
		// Else one key with a control byte in it would make the whole page
		// unreadable as XML.
		EncodingType: types.EncodingTypeUrl,
	})
	if err != nil {
		return nil, err
	}
	page := make([]bucket.Info, 0, len(out.Contents))
	for i := range out.Contents {
		info, err := l.entry(&out.Contents[i], out.EncodingType)
		if err != nil {
			return nil, err
		}
		if bucket.CheckKey(info.Key) == nil && strings.HasPrefix(info.Key, l.prefix) {
			page = append(page, info)
		}
	}
	return page, l.advance(out)
}

func (l *pager) entry(o *types.Object, encoding types.EncodingType) (bucket.Info, error) {
	key := aws.ToString(o.Key)
	if encoding == types.EncodingTypeUrl {
		decoded, err := url.QueryUnescape(key)
		if err != nil {
			return bucket.Info{}, fmt.Errorf("the store sent a badly encoded key %s", bucket.QuoteKey(key))
		}
		key = decoded
	}
	// A store that repeats or shuffles keys would make the caller delete what
	// it takes for missing.
	if key <= l.last && l.last != "" || !strings.HasPrefix(key, l.asked) {
		return bucket.Info{}, fmt.Errorf("the store's listing is out of order: %s after %s", bucket.QuoteKey(key), bucket.QuoteKey(l.last))
	}
	l.last = key
	return bucket.Info{
		Key: key, Size: aws.ToInt64(o.Size), ETag: unquote(o.ETag), Stored: aws.ToTime(o.LastModified).UTC(),
	}, nil
}

// advance prepares the next page.
func (l *pager) advance(out *s3.ListObjectsV2Output) error {
	if !aws.ToBool(out.IsTruncated) {
		l.ended = true
		return nil
	}
	if len(out.Contents) > 0 {
		l.empty = 0
	} else if l.empty++; l.empty > maxEmptyPages {
		return errors.New("the store sends one empty page after another")
	}
	l.token = out.NextContinuationToken
	if aws.ToString(l.token) == "" {
		if len(out.Contents) == 0 {
			return errors.New("the store says that more keys follow, but not where")
		}
		l.token, l.after = nil, aws.String(l.last)
	}
	return nil
}
