package offload

import (
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// owners are the running requests that were told that the names they bring are
// free to be given.
type owners struct {
	mu  sync.Mutex
	all map[*Request]struct{}
}

func (o *owners) add(r *Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.all == nil {
		o.all = make(map[*Request]struct{})
	}
	o.all[r] = struct{}{}
}

func (o *owners) remove(r *Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.all, r)
}

// own reports whether one of the requests still holds the lease of a key's name.
func (o *owners) own(key string) bool {
	stem := media.NameStem(key)
	o.mu.Lock()
	defer o.mu.Unlock()
	for r := range o.all {
		if r.holds(stem) {
			return true
		}
	}
	return false
}

func (r *Request) holds(stem string) bool {
	n := &r.names
	n.mu.Lock()
	defer n.mu.Unlock()
	_, ok := n.stems[stem]
	return ok && !n.ended && n.claim != nil && n.claim.Held()
}

// ownsName reports whether a file that meets a stranger under its name is the
// one that the name belongs to: a request of this node brought it, holds the
// name's lease, and had caught up with the change log before its app chose the
// name. What is there then is of an upload that was never finished: its node was
// killed or stood still between storing and writing to the log, and lost the
// lease. Nobody was told of it.
func (e *Engine) ownsName(s snapshot, x *sight) bool {
	known, ok := e.index.get(s.key)
	return s.inRequest && !s.elsewhere && x.file == strangeFile && x.object == otherObject && x.under == x.class &&
		!(ok && known.object()) && !e.isOwn(x.stored) &&
		// What has been there for long is no such remainder.
		x.stored.Stored.After(time.Now().Add(-clockSlack)) &&
		e.owners.own(s.key)
}

// takeName stores the file in place of what an unfinished upload left under its
// name, whose content is kept aside.
func (e *Engine) takeName(s snapshot, x *sight) (again bool) {
	aside, err := e.copyAside(s.key, x.under, x.stored)
	switch {
	case errors.Is(err, bucket.ErrNotFound), errors.Is(err, bucket.ErrChanged):
		return true
	case err != nil:
		e.retry(s, fmt.Errorf("keeping what was under the name of %s: %w", s.key, err))
		return false
	}
	if e.putShared(s, x, x.stored.ETag) {
		return true
	}
	e.count.conflicts.Add(1)
	e.log().Warn("an upload that was never finished had left a file under the name of another; its content is kept aside",
		keyKey, s.key, "kept_as", aside)
	return false
}

// copyAside stores the content of an object aside.
func (e *Engine) copyAside(key string, class media.Class, info bucket.Info) (name string, err error) {
	ctx, cancel := e.putContext(info.Size)
	defer cancel()
	o, err := e.store.Get(ctx, e.objectName(key, class), bucket.GetOptions{IfMatch: info.ETag})
	if err != nil {
		return "", err
	}
	defer o.Body.Close()
	f, err := os.CreateTemp("", "media-offload-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	sum := md5.New()
	if _, err := io.Copy(io.MultiWriter(f, sum), o.Body); err != nil {
		return "", err
	}
	if err := verify(o.Info, sum); err != nil {
		return "", err
	}
	copied, err := f.Stat()
	if err != nil {
		return "", err
	}
	return e.storeAside(key, f, copied)
}
