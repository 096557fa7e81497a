package offload

import (
	"context"
	"iter"
	"slices"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// listing steps through the objects of one class in the order of their keys.
type listing struct {
	e     *Engine
	class media.Class
	pull  func() (object, error, bool)
	stop  func()
	head  *object
	err   error
	// leftOut is what could not be listed so far: see unlisted.
	leftOut []*bucket.UnlistedError
}

func (e *Engine) list(ctx context.Context, class media.Class, below string) *listing {
	l := &listing{e: e, class: class}
	l.pull, l.stop = iter.Pull2(e.objects(ctx, class, below))
	l.advance()
	return l
}

func (l *listing) advance() {
	o, err, ok := l.pull()
	for part, left := l.e.leavesOut(l.class, err); left; part, left = l.e.leavesOut(l.class, err) {
		l.leftOut = append(l.leftOut, part)
		o, err, ok = l.pull()
	}
	switch {
	case !ok:
		l.head = nil
	case err != nil:
		l.head, l.err = nil, err
	default:
		l.head = &o
	}
}

// knows reports whether the listing, which has come to a key, tells of its object.
func (l *listing) knows(key string) bool {
	name := l.e.objectName(key, l.class)
	return !slices.ContainsFunc(l.leftOut, func(part *bucket.UnlistedError) bool { return part.Covers(name) })
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
