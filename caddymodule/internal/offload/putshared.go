package offload

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/cluster"
)

// settleShared writes to the change log if others may not know, then notes that
// the bucket holds the file as it is.
func (e *Engine) settleShared(s snapshot, x *sight, etag string, tell bool) (again bool) {
	now := x.entry(etag)
	now.over = x.over
	if !unchanged(e, s, x.f, now) {
		e.changedMeanwhile(s, now, nil)
		return false
	}
	if !e.removeMisplaced(s, now.standing()) {
		return false
	}
	if tell || s.unannounced {
		e.admitted.stored(s.key, etag)
		if err := e.announce([]cluster.Change{now.change(s.key)}, s); err != nil {
			e.retry(s, err)
			return false
		}
	}
	e.settle(s, now, x.f)
	return false
}

// change is an entry as it stands in the change log.
func (x entry) change(key string) cluster.Change {
	return cluster.Change{
		Op: cluster.Put, Key: key, Class: x.class,
		Size: x.size, ModTime: time.Unix(0, x.modTime), ETag: x.etag,
	}
}

// smallPut is the size in bytes up to which a file is stored so soon that an entry
// of the change log may wait for it.
const smallPut = 1 << 20

// putShared stores the file, if there is no object or only the very one with
// the ETag over.
func (e *Engine) putShared(s snapshot, x *sight, over string) (again bool) {
	expected := func() {}
	if x.info.Size() <= smallPut {
		expected = e.team.node.Expect(s.key)
	}
	x.found = e.inspect(s.key, x.f, x.entry(""))
	stored, err := e.storeFile(s, x.f, x.info, x.entry(""), condition{over: over, create: over == ""})
	expected()
	now := x.entry(stored.ETag)
	if mayHaveStored(err) {
		e.markUnannounced(s)
	}
	switch {
	case errors.Is(err, bucket.ErrExists), errors.Is(err, bucket.ErrChanged):
		return true
	case !unchanged(e, s, x.f, now):
		e.changedMeanwhile(s, now, err)
		return false
	case errors.Is(err, bucket.ErrRefused):
		e.refuse(s, err)
		return false
	case errors.Is(err, errUnreadable):
		e.unreadable(s, err)
		return false
	case err != nil:
		e.retry(s, err)
		return false
	}
	if x.info.Size() > largePut {
		there, err := e.head(s.key, x.class)
		if err != nil && !errors.Is(err, bucket.ErrNotFound) {
			e.retry(s, err)
			return false
		}
		if err != nil || there.ETag != stored.ETag {
			return true // another node's came after it
		}
	}
	e.count.committed.Add(1)
	e.count.bytes.Add(uint64(x.info.Size()))
	e.recovered()
	x.over = over
	return e.settleShared(s, x, stored.ETag, true)
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

// untold reports whether what a look finds under a key may be told of by no
// entry of the change log: this node may have stored it itself, or an app of
// this node met what a node had stored that was killed before it told.
func (s snapshot) untold() bool { return s.unannounced || (s.wrote && !s.background && !s.elsewhere) }

// markUnannounced notes that the bucket may have a change that the log does not.
func (e *Engine) markUnannounced(s snapshot) {
	e.queue.mu.Lock()
	defer e.queue.mu.Unlock()
	s.item.unannounced = true
}

// condition says over what an object may be stored.
type condition struct {
	create bool   // only if there is none
	over   string // only over the version with this ETag
}

// meta is stored with the object of an item: where the file may be used and,
// where several nodes write, by whom it was stored.
func (e *Engine) meta(s snapshot, found finding, c condition) map[string]string {
	meta := found.meta(e.cfg.Inspector.Rules)
	if c == (condition{}) {
		return meta
	}
	if s.item.nonce == "" {
		s.item.nonce = rand.Text()
	}
	if meta == nil {
		meta = make(map[string]string, 2)
	}
	meta[metaNode], meta[metaNonce] = e.team.self(), s.item.nonce
	return meta
}

// stored reports whether an object was stored by a Put of the item, be it one
// whose answer was lost.
func (s snapshot) stored(info bucket.Info) bool {
	return s.item.nonce != "" && info.Meta[metaNonce] == s.item.nonce
}

func (e *Engine) putContext(size int64) (context.Context, context.CancelFunc) {
	return context.WithTimeout(e.ctx, putTimeout+time.Duration(size/putRate)*time.Second)
}
