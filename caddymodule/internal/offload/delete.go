package offload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/deletes"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/health"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/trash"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// deleteBatch is how many objects one request removes (S3: at most 1,000).
const deleteBatch = deletes.Batch

// departed is a file that is gone, and what that means for the bucket.
type departed struct {
	s     *work.Task
	known index.Entry
	names []string // of objects to be deleted
	etag  string
	pass  bool // the delete is to be passed on
	// reason is why the object goes to the trash in any case; "": see trashFirst.
	reason trash.Reason

	outcome // unless pass: what became of it
}

// deleteAll deletes the objects of files that are gone: where other nodes write too,
// only such versions as were on this disk. All go in few requests, and are told in one
// entry of the change log.
func (e *Engine) deleteAll(gone []*work.Task) {
	gone = e.seenInRoots(e.followed(gone))
	all := make([]*departed, len(gone))
	for i, err := range sideBySide(len(gone), func(i int) error {
		all[i] = e.seeDeparted(gone[i])
		return all[i].err
	}) {
		if all[i] == nil { // not tried
			all[i] = &departed{s: gone[i], outcome: failed(err)}
		}
	}
	e.withholdTooMany(all)
	passed := all[:0]
	for _, d := range all {
		if d.pass {
			passed = append(passed, d)
			continue
		}
		e.finish(d.s, d.outcome) // nobody should wait for the others' deletes
	}
	e.deleteDeparted(passed)
}

// deleteDeparted deletes the objects of files that are gone, and tells the other
// nodes, if there are any. An error of one is that one's.
func (e *Engine) deleteDeparted(all []*departed) {
	if len(all) == 0 {
		return
	}
	going := make([]departing, len(all))
	for i, d := range all {
		going[i] = departing{s: d.s, key: d.s.Key, names: d.names, reason: d.reason}
	}
	errs := e.deleteObjects(going)
	var deleted []*departed
	for i, d := range all {
		if errs[i] == nil {
			deleted = append(deleted, d)
		}
	}
	told := e.tellDeleted(deleted)
	for i, d := range all {
		if err := cmp.Or(errs[i], told); err != nil {
			e.finish(d.s, failed(fmt.Errorf("deleting %s: %w", d.s.Key, err)))
			continue
		}
		e.withheld.Remove(d.s.Key)
		e.countDeleted(d.s.Key)
		e.finish(d.s, e.forget(d.s))
	}
}

// countDeleted counts a deleted object, once: its own event may tell of it and its
// directory's.
func (e *Engine) countDeleted(key string) {
	if counted, _ := e.deletedKeys.ContainsOrAdd(key, struct{}{}); !counted {
		e.count.deleted.Add(1)
		e.size.Add(-1)
	}
}

// withholdTooMany withholds the deletes outside requests if they are too many.
func (e *Engine) withholdTooMany(all []*departed) {
	var outside []*departed
	var files []foreign
	for _, d := range all {
		if d.pass && !d.s.Meant() {
			outside = append(outside, d)
			files = append(files, foreign{key: d.s.Key, root: d.s.Root, rel: d.s.Rel})
		}
	}
	if !e.withholds(files) {
		return
	}
	for _, d := range outside {
		d.pass, d.outcome = false, e.keepObject(d.s, d.known)
	}
}

// deleteObjects deletes the objects of files that are gone, by way of the trash where they
// are to take it. It returns the errors by number.
func (e *Engine) deleteObjects(going []departing) (errs []error) {
	errs = e.trashFirst(going)
	var names []string
	var of []int // by name
	for i, d := range going {
		if errs[i] == nil {
			names = append(names, d.names...)
			of = append(of, slices.Repeat([]int{i}, len(d.names))...)
		}
	}
	for j, err := range e.deleteNames(names) {
		errs[of[j]] = cmp.Or(errs[of[j]], err)
	}
	return errs
}

// tellDeleted tells the other nodes, if there are any, of deleted objects.
func (e *Engine) tellDeleted(all []*departed) error {
	if len(all) == 0 {
		return nil
	}
	changes, items := make([]changelog.Change, len(all)), make([]*work.Task, len(all))
	for i, d := range all {
		changes[i] = changelog.Change{Op: changelog.Delete, Key: d.s.Key, ETag: d.etag}
		items[i] = d.s
	}
	return e.announce(changes, items...)
}

// seeDeparted decides about one file that is gone; unless pass is set in the
// result, it is dealt with.
func (e *Engine) seeDeparted(s *work.Task) *departed {
	dealt := func(o outcome) *departed { return &departed{s: s, outcome: o} }
	if _, err := e.trees[s.Root].Stat(s.Rel); err == nil {
		return dealt(lookAgain(0))
	}
	known, _ := e.index.Get(s.Key)
	switch {
	case s.Unannounced:
	case s.Fresh && !known.Object() && !s.Elsewhere:
		return dealt(e.forget(s)) // it came and went, and the bucket never saw it
	case known.Unheld || (known.State == index.Removed || known.State == index.Announced) && !e.index.HoldsAny(s.Key):
		// Not the app's delete, but this engine's, or of what was never here.
		if s.Elsewhere {
			return dealt(lookAgainAtBoth(0))
		}
		return dealt(e.forget(s))
	case !e.passOn(s) && (!s.Elsewhere || !e.shared()):
		return dealt(e.keepObject(s, known))
	}
	if !e.shared() { // nobody else has written it since
		return &departed{s: s, known: known, names: e.namesOf(s.Key), pass: true}
	}
	info, class, err := e.headAny(s.Key, known.Class, true)
	switch {
	case errors.Is(err, bucket.ErrNotFound) && !e.passOn(s):
		return dealt(e.forget(s))
	case errors.Is(err, bucket.ErrNotFound):
		return &departed{s: s, known: known, etag: known.ETag, pass: true}
	case err != nil:
		return dealt(failed(fmt.Errorf("deleting %s: %w", s.Key, err)))
	case e.wentWith(s, info):
		if !e.passOn(s) {
			return dealt(e.keepTold(s, known, info, class))
		}
		return &departed{s: s, known: known, names: []string{e.objectName(s.Key, class)}, etag: info.ETag, pass: true}
	}
	if !e.passOn(s) {
		return dealt(lookAgainAtBoth(0))
	}
	d := &departed{s: s, known: known, names: []string{e.objectName(s.Key, class)}, etag: info.ETag, pass: true, reason: trash.Replaced}
	if !e.index.HoldsAny(s.Key) {
		return e.seeUnknown(d, info)
	}
	is, err := e.isStrangers(s, info)
	switch {
	case err != nil:
		return dealt(failed(fmt.Errorf("deleting %s: %w", s.Key, err)))
	case is:
		return d
	}
	// Another node has written it since: this delete was of an older version.
	return dealt(lookAgainAtBoth(0))
}

// wentWith reports whether an object is a version of the very file that is gone.
// Once the app has written it, or it was perhaps stored, that an object came from
// this disk says nothing any more: the disk may have been emptied since.
func (e *Engine) wentWith(s *work.Task, info bucket.Info) bool {
	if e.index.HoldsAny(s.Key) || s.Rewritten || s.Unannounced {
		return e.index.Holds(s.Key, info.ETag) || storedBy(s, info)
	}
	return e.wasHere(info)
}

// seesDelete reports whether the app's delete of a missing file is to be passed
// on, or that of a directory above it. All events until now are taken note of
// first: that of the delete may be among them.
func (e *Engine) seesDelete(s *work.Task) (file, dir bool) {
	ctx, cancel := context.WithTimeout(e.ctx, callTimeout)
	defer cancel()
	if err := e.barrier(ctx); err != nil {
		return false, true // nothing can be said of it now
	}
	q := e.queue
	q.Lock()
	defer q.Unlock()
	if e.passOn(s.Item.Task()) {
		return true, false
	}
	return false, e.goesWithDir(s.Key)
}

// keepTold leaves the object of a missing file; other nodes are told of it if
// they may not know.
func (e *Engine) keepTold(s *work.Task, known index.Entry, info bucket.Info, class media.Class) outcome {
	if s.Unannounced {
		st := e.classes.UnderPlace(s.Key, e.classes.Rule(s.Key), class)
		known = index.Entry{State: index.Dirty, Class: st.Class, Kept: st.Kept, Size: info.Size, ModTime: info.ModTime.UnixNano(), ETag: info.ETag}
		if err := e.announce([]changelog.Change{changeOf(s.Key, known)}, s); err != nil {
			return failed(err)
		}
	}
	return e.keepObject(s, known)
}

// keepObject leaves the object of a missing file. If an event told of it, it
// stays on purpose; if only a look did, its directory may have gone, about
// which another item knows more.
func (e *Engine) keepObject(s *work.Task, known index.Entry) outcome {
	told := s.Presence == work.Deleted
	if told {
		e.noteBucketOnly(s.Root, path.Dir(s.Rel))
	}
	e.queue.Note(s, func(latest bool) {
		switch {
		case told && latest && known.Object():
			known.State = index.BucketOnly
			e.index.Forget(s.Key)
			e.index.Set(s.Key, known)
		case e.shared() && !(told && latest):
			// The event is still to come, or came just now: only who knows which
			// version was here can tell whether it is that one's delete.
			if known.Based() {
				known.State = index.Dirty
				e.index.Set(s.Key, known)
			}
		default:
			e.index.Forget(s.Key)
		}
	})
	return outcome{}
}

// noteBucketOnly marks the directory (or, if it is gone too, the nearest one
// above it) as one whose objects may lack a file, so that no later start takes
// that for a delete of the app's.
func (e *Engine) noteBucketOnly(root int, dir string) {
	t := e.trees[root]
	dir = e.existing(root, dir)
	if t.DirNote(dir, local.AttrBucketOnly) != "" {
		return
	}
	if err := t.SetDirNote(dir, local.AttrBucketOnly, "1"); err != nil {
		e.log().Debug("noting that files live in the bucket only", keyDir, dir, keyError, err)
	}
}

// isBucketOnly reports whether an object without a file, stored at some time, may lack it
// on purpose: its directory is noted so; or one above is, and the next below that was made
// after the object was stored, so it was missing when that was noted.
func (e *Engine) isBucketOnly(root int, dir string, stored time.Time) bool {
	t := e.trees[root]
	isNoted := func(dir string) bool { return t.DirNote(dir, local.AttrBucketOnly) != "" }
	if isNoted(dir) {
		return true
	}
	for dir != "" {
		made := t.DirMade(dir)
		dir, _ = bucket.SplitKey(dir)
		if isNoted(dir) && stored.Before(made.Add(deletes.StoreClock)) {
			return true
		}
	}
	return false
}

// existing returns dir or the nearest directory above it that exists.
func (e *Engine) existing(root int, dir string) string {
	for {
		if dir == "." || dir == "/" {
			dir = ""
		}
		if _, err := e.trees[root].StatDir(dir); err == nil || dir == "" {
			return dir
		}
		dir = path.Dir(dir)
	}
}

// namesOf returns the names a key's object can have: somebody may have moved it.
func (e *Engine) namesOf(key string) []string {
	return []string{e.objectName(key, media.Public), e.objectName(key, media.Private)}
}

// deleteNames deletes objects in few requests, and returns the errors by number: a request
// that fails for what may be about one of them is followed by one for each.
func (e *Engine) deleteNames(names []string) (errs []error) {
	for batch := range slices.Chunk(names, deleteBatch) {
		err := e.deleteBatch(batch)
		if err == nil || health.IsOfStore(err) || len(batch) == 1 {
			errs = append(errs, slices.Repeat([]error{err}, len(batch))...)
			continue
		}
		errs = append(errs, sideBySide(len(batch), func(i int) error { return e.deleteBatch(batch[i : i+1]) })...)
	}
	return errs
}

func (e *Engine) deleteBatch(names []string) error {
	ctx, cancel := context.WithTimeout(e.ctx, callTimeout)
	defer cancel()
	if err := e.store.Delete(ctx, names...); err != nil {
		return err
	}
	e.health.Answered()
	return nil
}
