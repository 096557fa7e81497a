package offload

import (
	"context"
	"iter"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// listing steps through the objects of one class in the order of their keys.
type listing struct {
	class media.Class
	pull  func() (object, error, bool)
	stop  func()
	head  *object
	err   error
}

func (e *Engine) list(ctx context.Context, class media.Class, below string) *listing {
	l := &listing{class: class}
	l.pull, l.stop = iter.Pull2(e.objects(ctx, class, below))
	l.advance()
	return l
}

func (l *listing) advance() {
	o, err, ok := l.pull()
	switch {
	case !ok:
		l.head = nil
	case err != nil:
		l.head, l.err = nil, err
	default:
		l.head = &o
	}
}

// next returns the next object with a key below limit ("" for no limit), or nil.
func (l *listing) next(limit string) *object {
	if l.head == nil || (limit != "" && l.head.key >= limit) {
		return nil
	}
	o := l.head
	l.advance()
	return o
}

// at returns the object with this key if it is the next, or nil.
func (l *listing) at(key string) *bucket.Info {
	if l.head == nil || l.head.key != key {
		return nil
	}
	info := &l.head.Info
	l.advance()
	return info
}
