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
	// page is what came and fits, unclear what may fit: see unclearKey.
	page, unclear []bucket.Info
	// again is where the next page has to begin, whatever the store says.
	again *string
}

func (l *pager) next(ctx context.Context) ([]bucket.Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out, err := l.store.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: &l.store.cfg.Bucket, Prefix: optional(l.asked), MaxKeys: l.store.cfg.pageSize,
		StartAfter: l.after, ContinuationToken: l.token,
		// Else one key with a control byte in it would make the whole page
		// unreadable as XML.
		EncodingType: types.EncodingTypeUrl,
	})
	if err != nil {
		return nil, err
	}
	began := l.last
	l.page = make([]bucket.Info, 0, len(out.Contents))
	for i := range out.Contents {
		if err := l.take(&out.Contents[i], out.EncodingType); err != nil {
			return nil, err
		}
	}
	if err := l.endPage(ctx, aws.ToBool(out.IsTruncated), l.last != began); err != nil {
		return nil, err
	}
	return l.page, l.advance(out)
}

// unclearKey stands in a key for what XML cannot carry, where a store does not
// encode keys as it is asked to. versitygw 1.6 sends it for control bytes and what is
// no UTF-8; such a key is in the order of what it really is, which nobody knows. But a
// key may also hold this very character.
const unclearKey = "\uFFFD"

// take takes an object of a page.
func (l *pager) take(o *types.Object, encoding types.EncodingType) error {
	key := aws.ToString(o.Key)
	if encoding == types.EncodingTypeUrl {
		decoded, err := url.QueryUnescape(key)
		if err != nil {
			return fmt.Errorf("the store sent a badly encoded key %s", bucket.QuoteKey(key))
		}
		key = decoded
	}
	info := bucket.Info{
		Key: key, Size: aws.ToInt64(o.Size), ETag: unquote(o.ETag), Stored: aws.ToTime(o.LastModified).UTC(),
	}
	if encoding != types.EncodingTypeUrl && strings.Contains(key, unclearKey) {
		l.unclear = append(l.unclear, info)
		return nil
	}
	// A store that repeats or shuffles keys would make the caller delete what
	// it takes for missing.
	if key <= l.last && l.last != "" || !strings.HasPrefix(key, l.asked) {
		return fmt.Errorf("the store's listing is out of order: %s after %s", bucket.QuoteKey(key), bucket.QuoteKey(l.last))
	}
	l.takeUnclear(key)
	l.add(info)
	return nil
}

// takeUnclear takes those of the unclear keys that are in order before a key (""
// for the end): one that is not is none that can be named.
func (l *pager) takeUnclear(before string) {
	for _, info := range l.unclear {
		if info.Key > l.last && (before == "" || info.Key < before) {
			l.add(info)
		} else {
			l.store.sayUnnamed(info.Key)
		}
	}
	l.unclear = nil
}

func (l *pager) add(info bucket.Info) {
	l.last = info.Key
	switch {
	case !strings.HasPrefix(info.Key, l.prefix):
	case bucket.CheckKey(info.Key) != nil:
		l.store.sayUnnamed(info.Key)
	default:
		l.page = append(l.page, info)
	}
}

// sayUnnamed says once that the bucket has keys that no object of this program has.
func (s *store) sayUnnamed(key string) {
	s.unnamed.Do(func() {
		s.log.Warn("the bucket has an object whose key cannot be a file's name, such as one with control characters; it is left alone, as are others like it",
			"object", bucket.QuoteKey(key))
	})
}

// endPage deals with unclear keys at the end of a page. The store goes on after the
// last of them as it has sent it, which may be far behind where it is: only if there
// is an object of that very name is that right.
func (l *pager) endPage(ctx context.Context, truncated, cameOn bool) error {
	if len(l.unclear) == 0 {
		return nil
	}
	last := l.unclear[len(l.unclear)-1].Key
	if truncated {
		_, err := l.store.Head(ctx, last)
		if err != nil && !errors.Is(err, bucket.ErrNotFound) && !errors.Is(err, bucket.ErrRefused) {
			return err
		}
		if err != nil {
			return l.goOnBehind(last, cameOn)
		}
	}
	l.takeUnclear("")
	return nil
}

// goOnBehind has the next page begin after the last key that is clear. If none came,
// all names that begin as the unclear one and go on with a control character are
// stepped over. A whole page of what is no UTF-8 cannot be: that is an error, since
// what is not listed counts as missing.
func (l *pager) goOnBehind(unclear string, cameOn bool) error {
	for _, info := range l.unclear {
		l.store.sayUnnamed(info.Key)
	}
	l.unclear = nil
	at := l.last
	if !cameOn {
		begin, _, _ := strings.Cut(unclear, unclearKey)
		at = begin + "\x1f\U0010FFFF"
		if at <= l.last || l.after != nil && at <= *l.after {
			return fmt.Errorf("the store's listing has too many keys like %s, which it cannot name", bucket.QuoteKey(unclear))
		}
	}
	l.again = &at
	return nil
}

// advance prepares the next page.
func (l *pager) advance(out *s3.ListObjectsV2Output) error {
	if !aws.ToBool(out.IsTruncated) {
		l.ended = true
		return nil
	}
	if l.again != nil {
		l.token, l.after, l.again = nil, l.again, nil
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
