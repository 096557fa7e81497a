package offload

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// deleteDir deletes what the bucket holds below a directory that is gone,
// except files that are there (again).
func (e *Engine) deleteDir(s *work.Task) outcome {
	if len(e.followed([]*work.Task{s})) == 0 {
		return outcome{how: waits}
	}
	if roots := e.rootsNow(); !roots.holds(s) {
		s.OtherRoot = roots[s.Root] != nil
		return outcome{}
	}
	if !e.passOn(s) {
		e.noteBucketOnly(s.Root, path.Dir(s.Rel))
		return outcome{}
	}
	withheld, err := e.withholdsBelow(s)
	if err == nil && !withheld {
		err = e.deleteAllBelow(s)
	}
	if err != nil {
		return failed(fmt.Errorf("deleting what was below %s: %w", s.Key, err))
	}
	return outcome{}
}

// withholdsBelow withholds the deletes of what was on this disk below a directory that
// went outside a request, if that is too much, and reports whether it did.
func (e *Engine) withholdsBelow(s *work.Task) (bool, error) {
	if s.Meant() {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(e.ctx, listTimeout)
	defer cancel()
	var gone []foreign
	for _, class := range []media.Class{media.Public, media.Private} {
		for o, err := range e.missingBelow(ctx, s.Root, s.Key, class) {
			if err != nil {
				return false, err
			}
			if e.withheld.has(o.key) {
				continue
			}
			was, err := e.wasOnDisk(o.key, o.Info)
			if err != nil {
				return false, err
			}
			if was {
				gone = append(gone, o.foreign)
			}
		}
	}
	return e.withholds(gone), nil
}

// deleteAllBelow deletes what the bucket holds below a directory that is gone and was
// on this disk, and tells the other nodes.
func (e *Engine) deleteAllBelow(s *work.Task) error {
	if s.Key == "" {
		return nil // a whole root is never the app's delete
	}
	deleted := 0
	for _, class := range []media.Class{media.Public, media.Private} {
		n, err := e.deleteBelow(s, class)
		if err != nil {
			return err
		}
		deleted += n
	}
	if _, err := e.trees[s.Root].StatDir(s.Rel); err == nil && deleted == 0 && !s.Unannounced {
		return nil // it is there again
	}
	return e.announce([]changelog.Change{{Op: changelog.DeleteBelow, Key: s.Key}}, s)
}

func (e *Engine) deleteBelow(s *work.Task, class media.Class) (deleted int, err error) {
	ctx, cancel := context.WithTimeout(e.ctx, listTimeout)
	defer cancel()
	var found []object
	flush := func() error {
		n, err := e.deleteListed(s, found)
		found = found[:0]
		deleted += n
		return err
	}
	var leftOut error
	for o, err := range e.objects(ctx, class, s.Key+"/") {
		if bucket.IsUnlisted(err) {
			leftOut = err // the rest goes, and this is tried again
			continue
		}
		if err != nil {
			return deleted, err
		}
		if o.root != s.Root {
			continue
		}
		if _, err := e.trees[o.root].Stat(o.rel); err == nil || e.withheld.has(o.key) {
			continue
		}
		if found = append(found, o); len(found) == deleteBatch {
			if err := flush(); err != nil {
				return deleted, err
			}
		}
	}
	return deleted, errors.Join(flush(), leftOut)
}

// deleteListed deletes those of the objects that were on this disk, or in place of such,
// and has the others fetched where several nodes write.
func (e *Engine) deleteListed(s *work.Task, found []object) (deleted int, err error) {
	var names, keys, strangers []string
	var changes []changelog.Change
	for _, o := range found {
		was, err := e.wasOnDisk(o.key, o.Info)
		if err != nil {
			return 0, err
		}
		if !was {
			if !e.shared() {
				continue
			}
			was, err = e.isStrangersBelow(o)
			if err != nil {
				return 0, err
			}
			if !was {
				e.look(o.foreign, verdict.PutElsewhere)
				continue
			}
			strangers = append(strangers, o.Info.Key)
		}
		names, keys = append(names, o.Info.Key), append(keys, o.key)
		changes = append(changes, changelog.Change{Op: changelog.Delete, Key: o.key, ETag: o.ETag})
	}
	if len(names) == 0 {
		return 0, nil
	}
	if err := e.keepStrangers(strangers); err != nil {
		return 0, err
	}
	if err := e.trashFirst(departing{s, keys, names}); err != nil {
		return 0, err
	}
	e.markUnannounced(s) // a second try would not find what the first one deleted
	e.queue.BeginDelete(keys)
	err = e.deleteNames(names)
	e.afterDelete(keys, err)
	if err == nil {
		err = e.announce(changes, s)
	}
	if err != nil {
		return 0, err
	}
	return len(changes), nil
}

// wasOnDisk reports whether a listed object is a version that this disk held.
func (e *Engine) wasOnDisk(key string, info bucket.Info) (bool, error) {
	known, ok := e.index.Get(key)
	switch {
	case e.index.HoldsAny(key):
		return e.index.Holds(key, info.ETag), nil
	case ok && (known.Unheld || known.State == index.Removed || known.State == index.Announced || known.State == index.BucketOnly),
		e.queue.Decides(key):
		return false, nil
	case e.wasHere(info):
		return true, nil
	}
	ctx, cancel := context.WithTimeout(e.ctx, callTimeout)
	defer cancel()
	full, err := e.store.Head(ctx, info.Key)
	if errors.Is(err, bucket.ErrNotFound) {
		return false, nil
	}
	return err == nil && e.wasHere(full), err
}

// afterDelete takes note of what became of keys whose objects were deleted with
// their directory; with an error they may have been.
func (e *Engine) afterDelete(keys []string, err error) {
	for _, key := range keys {
		e.forgetDeleted(key, err)
		if err == nil {
			e.countDeleted(key)
		}
	}
}

// forgetDeleted drops a deleted key from the index, unless a change of it is
// waiting: then that decides. A file that came since the listing may have been
// stored before the object was deleted: it is stored again.
func (e *Engine) forgetDeleted(key string, err error) {
	root, rel, ok := e.site.Locate(key)
	if ok {
		_, statErr := e.trees[root].Stat(rel)
		ok = statErr == nil
	}
	now := time.Now()
	e.queue.Lock()
	defer e.queue.Unlock()
	e.queue.EndDelete(key)
	e.recon.touch(key)
	switch {
	case ok:
		e.queue.Schedule(e.queue.StoreAgain(key, root, rel, now), now)
	case err == nil && e.queue.At(key) == nil:
		e.index.Forget(key)
	}
}
