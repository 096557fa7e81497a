package offload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/trash"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// A committed file is written over if its object is another one. Where a node of the
// site replaced it, that is what an overwrite means, and nothing is kept: the node has
// put its name on the object, and told of this very version in the change log; to a node
// that was away for longer than the log reaches back, the name must do. Anything else is an object that somebody put there who has no say in what a site's disks have:
// a sync from elsewhere, an older tool, an intruder; or a node for which the bucket had
// come back with another version, which need not be newer than this disk's. The file
// follows, as the bucket's object is the truth for all nodes; its content is kept aside
// first.
//
// Both can be forged by who may write anything in the bucket and knows the form. Nothing
// that the nodes share, but the bucket, could tell the difference.
//
// (Promise 2: "Nothing is lost.")

// maxReplaced bounds the versions of one name that are kept aside for this. The first
// ones stay: what was acknowledged came before what replaced it.
const maxReplaced = 10

// tellIn is how long a node may take between storing a file and telling of it, and what
// two clocks may differ by in that.
const tellIn = 10 * time.Second

// tells reports whether a version is known to be newer than what was there: the change
// log names it, or may have, and it says that a node stored it for its app.
func tells(s *work.Task, info bucket.Info) bool {
	return s.Told != "" && s.Told == info.ETag && info.Meta[metaNode] != "" && info.Meta[metaReturned] == ""
}

// wasReturned reports whether a node has just put an object back: not before the bucket
// was put back to an older state itself, as far as clocks can tell.
func wasReturned(info bucket.Info) bool {
	when, err := time.Parse(time.RFC3339, info.Meta[metaReturned])
	return err == nil && time.Since(when).Abs() < clockSlack
}

// isStrangers reports whether an object, seen in place of the version that this disk held
// last, is of none of the site's servers: no node has told of it, and none is about to.
// Then what the app does with its file goes for the object as well. Of who has not held a
// version in this process' time, see [Engine.seeUnknown].
func (e *Engine) isStrangers(s *work.Task, info bucket.Info) (bool, error) {
	if !e.index.HoldsAny(s.Key) || s.Why.MayBeLost() || tells(s, info) || justStored(info) {
		return false, nil
	}
	told, err := e.toldMeanwhile(s)
	return !told && err == nil, err
}

// justStored reports whether the node that stored an object may be about to tell of it.
func justStored(info bucket.Info) bool {
	return info.Meta[metaNode] != "" && time.Since(info.Stored).Abs() < tellIn
}

// putOverStrangers stores a file that the app wrote over an object that somebody had put
// in place of what was here before, whose content is kept aside first.
func (e *Engine) putOverStrangers(s *work.Task, x *sight) outcome {
	is, err := e.isStrangers(s, x.stored)
	switch {
	case err != nil:
		return failed(err)
	case is:
		return e.putKeeping(s, x)
	case e.queue.HeardOf(s):
		return lookAgain(0)
	}
	return e.keepBoth(s, x)
}

// mayBeStrangers reports whether an object below a directory that is gone, seen in place of
// the version that this disk held last, may be of none of the site's servers: then
// [Engine.heardOf] tells, once the change log was read.
func (e *Engine) mayBeStrangers(o object) (bool, error) {
	if known, _ := e.index.Get(o.key); !e.index.HoldsAny(o.key) || known.State == index.Announced {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(e.ctx, callTimeout)
	defer cancel()
	info, err := e.store.Head(ctx, o.Info.Key)
	if errors.Is(err, bucket.ErrNotFound) {
		return false, nil
	}
	return err == nil && !justStored(info), err
}

// heardOf reports whether another node has told of a key what is not dealt with.
func (e *Engine) heardOf(key string) bool {
	e.queue.Lock()
	defer e.queue.Unlock()
	it := e.queue.At(key)
	return it != nil && it.Heard != 0
}

// catchUp reads all of the change log.
func (e *Engine) catchUp() error {
	ctx, cancel := context.WithTimeout(e.ctx, callTimeout)
	defer cancel()
	return e.team.log.CatchUp(ctx)
}

// sayStrangers counts the objects of strangers that are about to be deleted with files,
// and has the log tell of them: they are in the trash, also where nothing else goes there.
// errs are of those that are not.
func (e *Engine) sayStrangers(all []departing, errs []error) {
	n, first := 0, ""
	for i, d := range all {
		if d.reason == trash.Replaced && errs[i] == nil {
			n, first = n+1, cmp.Or(first, d.key)
		}
	}
	if n == 0 {
		return
	}
	e.count.conflicts.Add(uint64(n))
	e.log().Warn("files were deleted whose objects had been replaced by such as no server of the site's told of; those are in the trash",
		keyObjects, n, "first", first)
}

// toldMeanwhile reports whether the change log tells of a key by now.
func (e *Engine) toldMeanwhile(s *work.Task) (bool, error) {
	if err := e.catchUp(); err != nil {
		return false, err
	}
	return e.queue.HeardOf(s), nil
}

// bringKeeping brings an object of which no node has told as newer in place of a clean
// file, whose content is kept aside first.
func (e *Engine) bringKeeping(s *work.Task, x *sight) outcome {
	if e.shared() {
		switch told, err := e.toldMeanwhile(s); {
		case err != nil:
			return failed(err)
		case told:
			return lookAgain(0)
		}
		if justStored(x.stored) && x.object != verdict.ReturnedObject {
			return lookAgainAtBoth(time.Second)
		}
	}
	name, err := e.keepReplaced(s.Key, x)
	if err != nil {
		return failed(fmt.Errorf("keeping the content of %s: %w", s.Key, err))
	}
	if !unchanged(e, s, x.f, x.entry("")) {
		return outcome{how: changed}
	}
	o := e.bring(s, x, s.Untold())
	switch {
	case o.how != done:
	case x.object == verdict.ReturnedObject && name != "":
		e.count.conflicts.Add(1)
		e.log().Warn("another server has put its version of a file back into the bucket; it keeps the name, this server's is kept aside",
			keyKey, s.Key, "kept_as", name)
	case name == "":
		e.log().Warn("an object was replaced by one that no server of the site's told of; what was there is kept nowhere, as so many versions of it are",
			keyKey, s.Key, "versions", maxReplaced)
	default:
		e.count.conflicts.Add(1)
		e.log().Warn("an object was replaced by one that no server of the site's told of; what was there is kept aside", keyKey, s.Key, "kept_as", name)
	}
	return o
}

// keepReplaced stores a file's content aside, unless that is there already, and returns
// its name; "" if as many versions are there as are kept.
func (e *Engine) keepReplaced(key string, x *sight) (name string, err error) {
	sum, err := x.md5()
	if err != nil {
		return "", err
	}
	name = conflictName(e.cfg.ControlPrefix, key, sum)
	ctx, cancel := context.WithTimeout(e.ctx, callTimeout)
	defer cancel()
	versions := 0
	for other, err := range e.store.List(ctx, path.Dir(name)+"/", "") {
		switch {
		case err != nil:
			return "", err
		case other.Key == name && other.Size == x.info.Size():
			return name, nil
		case path.Dir(other.Key) == path.Dir(name):
			versions++
		}
	}
	if versions >= maxReplaced {
		return "", nil
	}
	return e.storeSeen(key, x)
}
