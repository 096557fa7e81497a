package offload

import (
	"context"
	"errors"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// confirm writes to the change log if others may not know, then notes that the bucket
// has the file as it is.
func (e *Engine) confirm(s *work.Task, x *sight, etag string, tell bool) outcome {
	now := x.entry(etag)
	now.Over = x.over
	if !unchanged(e, s, x.f, now) {
		return e.changedMeanwhile(s, now, nil)
	}
	if err := e.removeMisplaced(s, now.Standing()); err != nil {
		return failed(err)
	}
	if tell || s.Unannounced {
		e.names.Stored(s.Key, etag)
		if err := e.announce([]changelog.Change{changeOf(s.Key, now)}, s); err != nil {
			return failed(err)
		}
	}
	return e.committed(s, now, x.f)
}

// changeOf is an entry as it stands in the change log.
func changeOf(key string, x index.Entry) changelog.Change {
	return changelog.Change{
		Op: changelog.Put, Key: key, Class: x.Class,
		Size: x.Size, ModTime: time.Unix(0, x.ModTime), ETag: x.ETag,
	}
}

// smallPut is the size in bytes up to which a file is stored so soon that an entry
// of the change log may wait for it.
const smallPut = 1 << 20

// put stores the file over what c says; changed: the bucket has something else there
// meanwhile.
func (e *Engine) put(s *work.Task, x *sight, c condition) outcome {
	x.found = e.inspect(s.Key, x.f, x.entry(""))
	told := e.expect(s.Key, x.info.Size())
	stored, err := e.storeFile(s, x.f, x.info, x.entry(""), c)
	told()
	now := x.entry(stored.ETag)
	if err == nil {
		e.countStored(s.Key, x)
	}
	if mayHaveStored(err) {
		e.markUnannounced(s)
	}
	switch {
	case errors.Is(err, bucket.ErrExists), errors.Is(err, bucket.ErrChanged):
		return outcome{how: changed}
	case !unchanged(e, s, x.f, now):
		return e.changedMeanwhile(s, now, err)
	case errors.Is(err, bucket.ErrRefused):
		return outcome{how: refused, err: err}
	case errors.Is(err, errUnreadable):
		return outcome{how: unreadable, err: err}
	case err != nil:
		return failed(err)
	}
	if c.holds() && x.info.Size() > largePut {
		there, err := e.head(s.Key, x.class)
		if err != nil && !errors.Is(err, bucket.ErrNotFound) {
			return failed(err)
		}
		if err != nil || there.ETag != stored.ETag {
			return outcome{how: changed} // another node's came after it
		}
	}
	e.count.committed.Add(1)
	e.count.bytes.Add(uint64(x.info.Size()))
	e.health.Took(x.info.Size())
	x.over = c.over
	return e.confirm(s, x, stored.ETag, true)
}

// expect has an entry of the change log wait for a file that will be stored soon,
// until done is called.
func (e *Engine) expect(key string, size int64) (done func()) {
	if !e.shared() || size > smallPut {
		return func() {}
	}
	return e.team.log.Expect(key)
}

// mayHaveStored reports whether a Put that ended with err may have reached the
// bucket: the answer may have been lost.
func mayHaveStored(err error) bool {
	for _, certain := range []error{bucket.ErrExists, bucket.ErrChanged, bucket.ErrRefused, errUnreadable} {
		if errors.Is(err, certain) {
			return false
		}
	}
	return true
}

// markUnannounced notes that the bucket may have a change that the log does not.
func (e *Engine) markUnannounced(s *work.Task) {
	if !e.shared() {
		return
	}
	e.queue.Lock()
	defer e.queue.Unlock()
	s.Item.Unannounced = true
}

// condition says over what an object may be stored.
type condition struct {
	create bool   // only if there is none
	over   string // only over the version with this ETag

	returned bool // see metaReturned
}

// holds reports whether there is one: who writes alone stores over whatever is there.
func (c condition) holds() bool { return c != condition{} }

// meta is stored with the object of an item: where the file may be used and,
// where several nodes write, by whom it was stored.
func (e *Engine) meta(s *work.Task, found index.Finding, c condition) map[string]string {
	meta := found.Meta(e.cfg.Inspector.Rules)
	if !c.holds() {
		return meta
	}
	if meta == nil {
		meta = make(map[string]string, 2)
	}
	meta[metaNode], meta[metaNonce] = e.team.self(), s.Nonce
	if c.returned {
		meta[metaReturned] = time.Now().UTC().Format(time.RFC3339)
	}
	return meta
}

func (e *Engine) putContext(size int64) (context.Context, context.CancelFunc) {
	return context.WithTimeout(e.ctx, putTime(size))
}

// putTime is how long it may take to store an object of a size.
func putTime(size int64) time.Duration {
	seconds := min(size/putRate, int64(longestPut/time.Second))
	return putTimeout + time.Duration(seconds)*time.Second
}

// storedBy reports whether an object was stored by a Put of the item, be it one
// whose answer was lost.
func storedBy(s *work.Task, info bucket.Info) bool {
	return s.Nonce != "" && info.Meta[metaNonce] == s.Nonce
}
