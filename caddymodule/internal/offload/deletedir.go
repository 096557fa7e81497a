package offload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"path"
	"slices"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/deletes"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/health"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/trash"
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
	if err := e.deleteAllBelow(s); err != nil {
		return failed(fmt.Errorf("deleting what was below %s: %w", s.Key, err))
	}
	return outcome{}
}

// deleteAllBelow deletes what the bucket holds below a directory that is gone and was
// on this disk, and tells the other nodes; unless that is too much.
func (e *Engine) deleteAllBelow(s *work.Task) error {
	ctx, cancel := context.WithTimeout(e.ctx, listTimeout)
	defer cancel()
	below := e.allMissingBelow(ctx, s)
	if !s.Meant() {
		listed, withheld, err := e.withholdsBelow(below)
		if err != nil || withheld {
			return err
		}
		below = listed
	}
	if s.Key == "" {
		return nil // a whole root is never the app's delete
	}
	deleted, err := e.deleteBelow(s, below)
	if err != nil {
		return err
	}
	if _, err := e.trees[s.Root].StatDir(s.Rel); err == nil && deleted == 0 && !s.Unannounced {
		return nil // it is there again
	}
	return e.announce([]changelog.Change{{Op: changelog.DeleteBelow, Key: s.Key}}, s)
}

// allMissingBelow lists the objects of both classes below a directory of which there is no
// file, but for those whose deletes are withheld. See missingBelow.
func (e *Engine) allMissingBelow(ctx context.Context, s *work.Task) iter.Seq2[object, error] {
	return func(yield func(object, error) bool) {
		for _, class := range []media.Class{media.Public, media.Private} {
			for o, err := range e.missingBelow(ctx, s.Root, s.Key, class) {
				if err == nil && e.withheld.Has(o.key) {
					continue
				}
				if !yield(o, err) || err != nil && !bucket.IsUnlisted(err) {
					return
				}
			}
		}
	}
}

// maxListed bounds what is remembered of a directory's objects between counting and
// deleting them; of a larger one they are listed twice.
const maxListed = 10 * deleteBatch

// withholdsBelow withholds the deletes of what was on this disk below a directory that
// went outside a request, if that is too much, and reports whether it did. It returns
// below, or what has been listed of it.
func (e *Engine) withholdsBelow(below iter.Seq2[object, error]) (listed iter.Seq2[object, error], withheld bool, err error) {
	var gone []foreign
	var all remembered
	for found, err := range deletes.InBatches(below) {
		if all.add(found, err); bucket.IsUnlisted(err) {
			continue // what is there is counted when it goes
		}
		if err != nil {
			return nil, false, err
		}
		was, errs := e.wereOnDisk(found)
		for i, o := range found {
			if errs[i] != nil && !health.IsOfObject(errs[i]) {
				return nil, false, errs[i]
			}
			if was[i] {
				gone = append(gone, o.foreign)
			}
		}
	}
	if !all.more {
		below = all.each
	}
	return below, e.withholds(gone), nil
}

// remembered is a listing, unless it is too long.
type remembered struct {
	objects  []object
	unlisted []error
	more     bool
}

func (r *remembered) add(found []object, err error) {
	switch {
	case err != nil:
		r.unlisted = append(r.unlisted, err)
	case len(r.objects)+len(found) > maxListed:
		r.objects, r.more = nil, true
	case !r.more:
		r.objects = append(r.objects, found...)
	}
}

func (r *remembered) each(yield func(object, error) bool) {
	for _, o := range r.objects {
		if !yield(o, nil) {
			return
		}
	}
	for _, err := range r.unlisted {
		if !yield(object{}, err) {
			return
		}
	}
}

// wereOnDisk is wasOnDisk of several.
func (e *Engine) wereOnDisk(found []object) (was []bool, errs []error) {
	was = make([]bool, len(found))
	errs = sideBySide(len(found), func(i int) (err error) {
		was[i], err = e.wasOnDisk(found[i].key, found[i].Info)
		return err
	})
	return was, errs
}

// deleteBelow deletes those of the objects below a directory that were on this disk.
func (e *Engine) deleteBelow(s *work.Task, below iter.Seq2[object, error]) (deleted int, err error) {
	var left error // the rest goes, and this is tried again
	for found, err := range deletes.InBatches(below) {
		if bucket.IsUnlisted(err) {
			left = cmp.Or(left, err)
			continue
		}
		if err != nil {
			return deleted, err
		}
		n, err := e.deleteListed(s, found)
		deleted += n
		if health.IsOfStore(err) {
			return deleted, err
		}
		left = cmp.Or(left, err)
	}
	return deleted, left
}

// deleteListed deletes those of the objects that were on this disk, or in place of such,
// and has the others fetched where several nodes write. An error of one is that one's.
func (e *Engine) deleteListed(s *work.Task, found []object) (deleted int, err error) {
	going, err := e.goingBelow(s, found)
	if len(going) == 0 {
		return 0, err
	}
	e.markUnannounced(s) // a second try would not find what the first one deleted
	n, failed := e.deleteListedNow(going, s)
	return n, errors.Join(err, failed)
}

// goingBelow returns those of the objects below a directory that are to be deleted with
// it, and an error of those of which that cannot be said.
func (e *Engine) goingBelow(s *work.Task, found []object) (going []departing, err error) {
	was, errs := e.wereOnDisk(found)
	strangers := make([]bool, len(found))
	if e.shared() {
		for i, failed := range sideBySide(len(found), func(i int) (err error) {
			if errs[i] == nil && !was[i] {
				strangers[i], err = e.mayBeStrangers(found[i])
			}
			return err
		}) {
			errs[i] = cmp.Or(errs[i], failed)
		}
	}
	if slices.Contains(strangers, true) {
		if err := e.catchUp(); err != nil {
			return nil, err
		}
	}
	kept := 0 // of which neither the index nor an item knows whether they were here
	for i, o := range found {
		d := departing{s: s, key: o.key, names: []string{o.Info.Key}, etag: o.ETag}
		switch {
		case errs[i] != nil:
			err = cmp.Or(err, errs[i])
		case was[i]:
			going = append(going, d)
		case strangers[i] && !e.heardOf(o.key):
			d.reason = trash.Replaced
			going = append(going, d)
		case e.shared():
			if _, known := e.index.Get(o.key); !known && !e.index.HoldsAny(o.key) && !e.queue.Has(o.key) {
				kept++
			}
			e.look(o.foreign, verdict.PutElsewhere)
		}
	}
	if kept > 0 {
		e.sayUnknown(s, kept)
	}
	return going, err
}

// deleteListedNow deletes these objects and tells the other nodes of those that went, in
// work on items. It returns the first error: others may have gone all the same.
func (e *Engine) deleteListedNow(going []departing, items ...*work.Task) (deleted int, err error) {
	keys := make([]string, len(going))
	for i, d := range going {
		keys[i] = d.key
	}
	e.queue.BeginDelete(keys)
	errs := e.deleteObjects(going)
	e.afterDelete(keys, errs)
	var changes []changelog.Change
	for i, d := range going {
		if err = cmp.Or(err, errs[i]); errs[i] == nil {
			changes = append(changes, changelog.Change{Op: changelog.Delete, Key: d.key, ETag: d.etag})
		}
	}
	if len(changes) == 0 {
		return 0, err
	}
	if told := e.announce(changes, items...); told != nil {
		return 0, errors.Join(err, told)
	}
	for _, c := range changes {
		e.withheld.Remove(c.Key)
	}
	return len(changes), err
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
// their directory; those with an error may have been.
func (e *Engine) afterDelete(keys []string, errs []error) {
	for i, key := range keys {
		e.forgetDeleted(key, errs[i])
		if errs[i] == nil {
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
