package offload

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// ownsName reports whether a file that meets another under its name is the one that the
// name belongs to: a request of this node brought it, holds the name's lease, and had
// caught up with the change log before its app chose the name. What is there then is a
// file whose delete is withheld on this disk, or of an upload that was never finished.
func (e *Engine) ownsName(s *work.Task, x *sight) bool {
	known, ok := e.index.Get(s.Key)
	return s.InRequest && !s.Elsewhere && !x.asGuest && x.file == verdict.StrangeFile && x.object == verdict.OtherObject && x.under == x.class &&
		!(ok && known.Object()) && (e.isUnfinished(x) || e.withheld.Covers(s.Key, x.stored.Stored)) &&
		e.names.Own(s.Key)
}

// isUnfinished reports whether an object that nobody was told of is that of an upload
// that was never finished: its node was killed or stood still between storing and writing
// to the log, and lost the lease.
func (e *Engine) isUnfinished(x *sight) bool {
	// What has been there for long is no such remainder.
	return !e.isOwn(x.stored) && x.stored.Stored.After(time.Now().Add(-clockSlack))
}

// takeName stores the file in place of what is under its name, whose content is kept
// aside.
//
// The node of an unfinished upload may yet go on. So the change log decides between the two: this node
// writes first that the other version goes. Either the other node's entry stands
// before that, and has been read then; or that node reads this entry before its
// own is written, and tells its client a collision.
func (e *Engine) takeName(s *work.Task, x *sight) outcome {
	if err := e.tellTaking(s.Key, x.stored.ETag); err != nil {
		return failed(fmt.Errorf("taking the name of %s: %w", s.Key, err))
	}
	if e.queue.HeardOf(s) {
		return lookAgain(0) // it was finished
	}
	aside, err := e.copyAside(s.Key, x.under, x.stored)
	switch {
	case errors.Is(err, bucket.ErrNotFound), errors.Is(err, bucket.ErrChanged):
		return outcome{how: changed}
	case err != nil:
		return failed(fmt.Errorf("keeping what was under the name of %s: %w", s.Key, err))
	}
	withheld := e.withheld.Covers(s.Key, x.stored.Stored)
	o := e.put(s, x, condition{over: x.stored.ETag})
	switch {
	case o.how != done:
	case withheld:
		e.log().Info("an upload took the name of a file whose delete is withheld; that one's content is kept aside",
			keyKey, s.Key, "kept_as", aside)
	default:
		e.count.conflicts.Add(1)
		e.log().Warn("an upload that was never finished had left a file under the name of another; its content is kept aside",
			keyKey, s.Key, "kept_as", aside)
	}
	return o
}

// tellTaking writes to the change log that a version is about to be replaced.
func (e *Engine) tellTaking(key, etag string) error {
	ctx, cancel := context.WithTimeout(e.ctx, callTimeout)
	defer cancel()
	return e.team.log.Append(ctx, changelog.Change{Op: changelog.Delete, Key: key, ETag: etag})
}

// copyAside stores the content of an object aside, before another is stored over
// it. What is not as its store says is no copy: then it is not written over.
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
	return e.storeAside(key, f, copied, hex.EncodeToString(sum.Sum(nil)))
}

// lostName notes that the file of an item does not get its name.
func (e *Engine) lostName(s *work.Task) {
	e.queue.Lock()
	gen := s.Item.Soiled
	e.queue.Unlock()
	e.names.Lost(s.Key, gen)
}
