package offload

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/cluster"
)

// settle writes to the change log if others may not know, then notes that the bucket
// has the file as it is.
func (e *Engine) settle(s snapshot, x *sight, etag string, tell bool) {
	now := x.entry(etag)
	now.over = x.over
	if !unchanged(e, s, x.f, now) {
		e.changedMeanwhile(s, now, nil)
		return
	}
	if !e.removeMisplaced(s, now.standing()) {
		return
	}
	if tell || s.unannounced {
		e.admitted.stored(s.key, etag)
		if err := e.announce([]cluster.Change{now.change(s.key)}, s); err != nil {
			e.retry(s, err)
			return
		}
	}
	e.committed(s, now, x.f)
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

// put stores the file over what c says. It reports whether the bucket has something
// else there meanwhile; otherwise the item is dealt with.
func (e *Engine) put(s snapshot, x *sight, c condition) (again bool) {
	x.found = e.inspect(s.key, x.f, x.entry(""))
	told := e.expect(s.key, x.info.Size())
	stored, err := e.storeFile(s, x.f, x.info, x.entry(""), c)
	told()
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
	if c.holds() && x.info.Size() > largePut {
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
	e.tookFile()
	x.over = c.over
	e.settle(s, x, stored.ETag, true)
	return false
}

// expect has an entry of the change log wait for a file that will be stored soon,
// until done is called.
func (e *Engine) expect(key string, size int64) (done func()) {
	if !e.shared() || size > smallPut {
		return func() {}
	}
	return e.team.node.Expect(key)
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
	if !e.shared() {
		return
	}
	e.queue.mu.Lock()
	defer e.queue.mu.Unlock()
	s.item.unannounced = true
}

// condition says over what an object may be stored.
type condition struct {
	create bool   // only if there is none
	over   string // only over the version with this ETag
}

// holds reports whether there is one: who writes alone stores over whatever is there.
func (c condition) holds() bool { return c != condition{} }

// meta is stored with the object of an item: where the file may be used and,
// where several nodes write, by whom it was stored.
func (e *Engine) meta(s snapshot, found finding, c condition) map[string]string {
	meta := found.meta(e.cfg.Inspector.Rules)
	if !c.holds() {
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
	seconds := min(size/putRate, int64(longestPut/time.Second))
	return context.WithTimeout(e.ctx, putTimeout+time.Duration(seconds)*time.Second)
}
