package offload

import (
	"context"
	"iter"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// listing steps through the objects of one class in the order of their keys.
type listing struct {
	class  media.Class
	prefix string
	pull   func() (bucket.Info, error, bool)
	stop   func()
	head   *bucket.Info
	err    error
}

func (e *Engine) list(ctx context.Context, class media.Class, below string) *listing {
	l := &listing{class: class, prefix: e.objectName("", class)}
	l.pull, l.stop = iter.Pull2(e.store.List(ctx, l.prefix+below, ""))
	l.advance()
	return l
}

func (l *listing) advance() {
	info, err, ok := l.pull()
	switch {
	case !ok:
		l.head = nil
	case err != nil:
		l.head, l.err = nil, err
	default:
		l.head = &info
	}
}

// key returns the media key of a listed object.
func (l *listing) key(info *bucket.Info) string { return info.Key[len(l.prefix):] }

// next returns the next object with a key below limit ("" for no limit), or nil.
func (l *listing) next(limit string) *bucket.Info {
	if l.head == nil || (limit != "" && l.key(l.head) >= limit) {
		return nil
	}
	info := l.head
	l.advance()
	return info
}

// at returns the object with this key if it is the next, or nil.
func (l *listing) at(key string) *bucket.Info {
	if l.head == nil || l.key(l.head) != key {
		return nil
	}
	info := l.head
	l.advance()
	return info
}
