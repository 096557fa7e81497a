package offload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/health"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/watch"
)

// maxWithheld bounds the withheld deletes that are remembered, at some 100 bytes each;
// those beyond are as if the module had not been running.
const maxWithheld = 1 << 20

// withheldKeys are the files whose deletes are withheld: such as were on this disk and
// were seen to go. A key stays until it is known what became of it, be its file there
// again meanwhile: that may be an upload that fails. What uses it asks of missing files.
type withheldKeys struct {
	mu      sync.Mutex
	keys    map[string]withheldDelete
	changes uint64
	changed time.Time // since the log had a line about them; zero: not since
	dirs    []string  // of those, some

	full, unnoted sync.Once // lines of the log
}

// withheldDelete is one of them.
type withheldDelete struct {
	root  int
	since time.Time
}

// covers reports whether an object stored at some time is the one that was meant.
func (d withheldDelete) covers(stored time.Time) bool { return stored.Before(d.since.Add(storeClock)) }

// add notes files whose deletes are withheld; false if there is no room for all.
func (w *withheldKeys) add(gone []foreign, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.keys == nil {
		w.keys = make(map[string]withheldDelete)
	}
	for _, f := range gone {
		if _, known := w.keys[f.key]; known {
			continue
		}
		if len(w.keys) >= maxWithheld {
			return false
		}
		w.keys[f.key] = withheldDelete{f.root, now}
		w.changes++
		w.changed = now
		dir, _ := bucket.SplitKey(f.key)
		if dir = cmp.Or(dir, "/"); len(w.dirs) < maxSaid && !slices.Contains(w.dirs, dir) {
			w.dirs = append(w.dirs, dir)
		}
	}
	return true
}

// maxSaid is how many directories a line of the log names.
const maxSaid = 10

// covers reports whether a missing file's object, stored at some time, is one whose delete
// is withheld.
func (w *withheldKeys) covers(key string, stored time.Time) bool {
	d, ok := w.get(key)
	return ok && d.covers(stored)
}

// has reports whether the delete of a missing file is withheld.
func (w *withheldKeys) has(key string) bool {
	_, ok := w.get(key)
	return ok
}

func (w *withheldKeys) get(key string) (withheldDelete, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d, ok := w.keys[key]
	return d, ok
}

// remove notes that a file is there again, or its object gone.
func (w *withheldKeys) remove(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.keys[key]; ok {
		delete(w.keys, key)
		w.changes++
	}
}

// before returns the keys that were withheld before a time.
func (w *withheldKeys) before(t time.Time) (keys []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, d := range w.keys {
		if d.since.Before(t) {
			keys = append(keys, key)
		}
	}
	return keys
}

// forget drops some. The index calls remove under the queue's lock, so drop takes none.
func (w *withheldKeys) forget(drop func(withheldDelete) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.keys, func(_ string, d withheldDelete) bool { return drop(d) })
	w.changes++
}

func (w *withheldKeys) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.keys)
}

// news returns what the log has not told of yet, if no more has come for a while.
func (w *withheldKeys) news(now time.Time, quiet time.Duration) (n int, dirs []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.keys) == 0 || w.changed.IsZero() || now.Sub(w.changed) < quiet {
		return 0, nil
	}
	n, dirs = len(w.keys), w.dirs
	w.changed, w.dirs = time.Time{}, nil
	return n, dirs
}

// below returns the directory of the keys of a root that were withheld up to a time, as
// far down as they have one; ok is false if there are none.
func (w *withheldKeys) below(root int, upTo time.Time) (dir string, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, d := range w.keys {
		if d.root != root || d.since.After(upTo) {
			continue
		}
		if !ok {
			dir, _ = bucket.SplitKey(key)
			ok = true
		}
		for dir != "" && !strings.HasPrefix(key, dir+"/") {
			dir, _ = bucket.SplitKey(dir)
		}
	}
	return dir, ok
}

// noted returns what is to be noted of a root.
func (w *withheldKeys) noted(root int) (all []notedDelete) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, d := range w.keys {
		if d.root == root {
			all = append(all, notedDelete{Key: key, Withheld: d.since.UnixNano()})
		}
	}
	return all
}

func (w *withheldKeys) changesNow() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changes
}

// withheldFile is the note of a root's withheld deletes.
type withheldFile struct {
	noteFile
	in   watch.DirID // the media root
	upTo uint64      // change that it has
}

// noteWithheld brings the notes of withheld deletes up to date, after having read those
// that an earlier process left. With a root that another directory takes the place of goes
// what was withheld there. The caller holds the notes' lock.
func (e *Engine) noteWithheld(roots rootsNow) {
	for root, t := range e.trees {
		file := &e.deleteNotes.withheld[root]
		if roots[root] == nil {
			continue
		}
		if file.recalled && !roots.isRoot(root, file.in) {
			e.withheld.forget(func(d withheldDelete) bool { return d.root == root })
			*file = withheldFile{}
		}
		file.in = *roots[root]
		e.recallWithheld(root)
		changes := e.withheld.changesNow()
		if !file.recalled || changes == file.upTo {
			continue
		}
		noted := e.withheld.noted(root)
		slices.SortFunc(noted, func(a, b notedDelete) int { return strings.Compare(a.Key, b.Key) })
		if err := file.write(t, local.WithheldDeletes, noteText(e.whoseNotes(), noted)); err != nil {
			e.withheld.unnoted.Do(func() {
				e.log().Warn("many deletes are withheld, but that cannot be noted on disk: after a restart the files will be fetched again",
					keyDir, t.Dir(), keyError, err)
			})
			continue
		}
		file.upTo = changes
	}
}

// recallWithheld reads what an earlier process noted of a root.
func (e *Engine) recallWithheld(root int) {
	data, ok := e.deleteNotes.withheld[root].recall(e.trees[root], local.WithheldDeletes)
	if !ok {
		return
	}
	for _, d := range parseNoted(e.whoseNotes(), data, maxWithheld) {
		if f, ok := e.letIn(d.Key); ok && f.root == root && f.rel != "" {
			e.withheld.add([]foreign{f}, time.Unix(0, d.Withheld))
		}
	}
}

// sayWithheld has the log tell of deletes that were withheld: one line for all that
// came together.
func (e *Engine) sayWithheld(now time.Time) {
	n, dirs := e.withheld.news(now, noteEvery)
	if n == 0 {
		return
	}
	e.log().Error("many media files were deleted outside requests at once: their objects are kept and the files are not fetched back "+
		"until you say what is right: `media-offload trash accept` deletes the objects, `media-offload trash restore` brings the files back, "+
		"`media-offload trash list` shows them", "withheld", n, "dirs", dirs)
}

// AcceptDeletes deletes, by way of the trash, the objects of files whose deletes
// are withheld. What an earlier try, of a process that was killed, has done is not done
// again.
func (e *Engine) AcceptDeletes(ctx context.Context) (deleted int, err error) {
	copied, err := e.acceptedCopies(ctx)
	if err != nil {
		return 0, err
	}
	accept := func(ctx context.Context, _ media.Class, found []object) (int, error) {
		return e.acceptWithheld(ctx, found, copied)
	}
	return e.settleWithheld(ctx, accept, func(upTo time.Time) error {
		return e.tellAccepted(e.withheld.before(upTo), copied)
	})
}

// acceptedCopies lists what is in the trash of files whose deletes are withheld here: the
// admin accepted them, and that was not completed.
func (e *Engine) acceptedCopies(ctx context.Context) (copied map[string]Trashed, err error) {
	copied = make(map[string]Trashed)
	if e.withheld.count() == 0 {
		return copied, nil
	}
	for t, err := range e.Trash(ctx) {
		if bucket.IsUnlisted(err) {
			continue // it is copied twice
		}
		if err != nil {
			return nil, err
		}
		d, ok := e.withheld.get(t.Key)
		if ok && t.Reason == trashAccepted && !t.Deleted.Before(d.since.Truncate(time.Second)) {
			copied[t.Key] = t
		}
	}
	return copied, nil
}

// tellAccepted tells the other nodes, if there are any, of those deletes that the admin
// accepted, and that nobody told of.
func (e *Engine) tellAccepted(keys []string, copied map[string]Trashed) error {
	var changes []changelog.Change
	for _, key := range keys {
		t, ok := copied[key]
		if !ok {
			continue
		}
		if _, err := e.trees[t.root].Stat(t.rel); err != nil {
			changes = append(changes, changelog.Change{Op: changelog.Delete, Key: key, ETag: t.copied.ETag})
		}
	}
	if len(changes) == 0 {
		return nil
	}
	return e.announce(changes)
}

// RefuseDeletes brings back the files whose deletes are withheld.
func (e *Engine) RefuseDeletes(ctx context.Context) (brought int, err error) {
	return e.settleWithheld(ctx, e.refuseWithheld, func(time.Time) error { return nil })
}

// Withheld is an object of a file whose delete is withheld.
type Withheld struct {
	Key   string
	Class media.Class
	Since time.Time // when it was seen that too many went
	Size  int64
}

// Withheld yields what AcceptDeletes would delete. A non-nil error ends the
// sequence, but for a [bucket.UnlistedError]: it goes on behind what that names.
func (e *Engine) Withheld(ctx context.Context) iter.Seq2[Withheld, error] {
	return func(yield func(Withheld, error) bool) {
		for root := range e.trees {
			for _, class := range []media.Class{media.Public, media.Private} {
				for o, err := range e.withheldIn(ctx, root, class, time.Now()) {
					d, _ := e.withheld.get(o.key)
					if !yield(Withheld{o.key, class, d.since, o.Size}, err) || err != nil && !bucket.IsUnlisted(err) {
						return
					}
				}
			}
		}
	}
}

// withheldIn lists the objects of a root's files whose deletes were withheld up to a time.
func (e *Engine) withheldIn(ctx context.Context, root int, class media.Class, upTo time.Time) iter.Seq2[object, error] {
	return func(yield func(object, error) bool) {
		dir, ok := e.withheld.below(root, upTo)
		if !ok {
			return
		}
		for o, err := range e.missingBelow(ctx, root, dir, class) {
			if err != nil {
				if yield(object{}, err) && bucket.IsUnlisted(err) {
					continue
				}
				return
			}
			if d, ok := e.withheld.get(o.key); ok && d.covers(o.Stored) && !d.since.After(upTo) && !yield(o, nil) {
				return
			}
		}
	}
}

// refuseOne brings back the file of a key whose delete is withheld, and reports whether
// it is one.
func (e *Engine) refuseOne(ctx context.Context, key string) (withheld bool, err error) {
	f, ok := e.named(key)
	if !ok {
		return false, nil
	}
	if _, err := e.trees[f.root].Stat(f.rel); err == nil {
		return false, nil
	}
	info, class, err := e.headAny(key, media.Public, true)
	switch {
	case errors.Is(err, bucket.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	}
	if !e.withheld.covers(key, info.Stored) {
		return false, nil
	}
	return true, e.bringNow(ctx, object{f, info}, class)
}

// settler deals with objects of one class whose deletes are withheld. It returns how many
// it has dealt with, and the first error.
type settler func(ctx context.Context, class media.Class, found []object) (n int, err error)

// settleWithheld has settle deal with all objects whose deletes are withheld by now, and
// end with what is left. An error of one is that one's: its delete is still withheld.
func (e *Engine) settleWithheld(ctx context.Context, settle settler, end func(upTo time.Time) error) (n int, err error) {
	upTo := time.Now()
	for root := range e.trees {
		for _, class := range []media.Class{media.Public, media.Private} {
			done, failed := e.settleIn(ctx, root, class, upTo, settle)
			n += done
			if err = cmp.Or(err, failed); health.IsOfStore(failed) {
				return n, err
			}
		}
	}
	if err == nil {
		err = end(upTo)
	}
	if err == nil {
		e.withheld.forget(func(d withheldDelete) bool { return !d.since.After(upTo) })
		e.unattended.forgetCounted()
	}
	e.noteDeletes()
	return n, err
}

// settleIn has settle deal with those of one root and class, and returns the first error.
func (e *Engine) settleIn(ctx context.Context, root int, class media.Class, upTo time.Time, settle settler) (n int, err error) {
	for found, failed := range inBatches(e.withheldIn(ctx, root, class, upTo)) {
		done := 0
		if failed == nil {
			done, failed = settle(ctx, class, found)
		}
		n += done
		if err = cmp.Or(err, failed); health.IsOfStore(failed) {
			break
		}
	}
	return n, err
}

// missingBelow lists the objects below the directory dir of a root of which there
// is no file. A non-nil error ends it, but for a [bucket.UnlistedError].
func (e *Engine) missingBelow(ctx context.Context, root int, dir string, class media.Class) iter.Seq2[object, error] {
	if dir != "" {
		dir += "/"
	}
	return func(yield func(object, error) bool) {
		for o, err := range e.objects(ctx, class, dir) {
			if err != nil {
				if yield(object{}, err) && bucket.IsUnlisted(err) {
					continue
				}
				return
			}
			if o.root != root {
				continue
			}
			if _, err := e.trees[root].Stat(o.rel); err != nil && !yield(o, nil) {
				return
			}
		}
	}
}

// inBatches yields the objects of a listing that many at a time as one request deletes,
// and the errors of the listing in between. A batch is valid until the next.
func inBatches(all iter.Seq2[object, error]) iter.Seq2[[]object, error] {
	return func(yield func([]object, error) bool) {
		var batch []object
		for o, err := range all {
			if err != nil {
				if !yield(nil, err) {
					return
				}
				continue
			}
			if batch = append(batch, o); len(batch) == deleteBatch {
				if !yield(batch, nil) {
					return
				}
				batch = batch[:0]
			}
		}
		if len(batch) > 0 {
			yield(batch, nil)
		}
	}
}

// acceptWithheld deletes objects by way of the trash; copied is what is there already.
func (e *Engine) acceptWithheld(ctx context.Context, found []object, copied map[string]Trashed) (accepted int, err error) {
	going := make([]departing, len(found))
	for i, o := range found {
		going[i] = departing{key: o.key, names: []string{o.Key}, etag: o.ETag, reason: trashAccepted}
		if t, ok := copied[o.key]; ok {
			if is, err := e.isCopy(ctx, t.copied, o.Info); is && err == nil {
				going[i].reason = ""
			}
		}
	}
	return e.deleteListedNow(going)
}

// refuseWithheld fetches the files of objects.
func (e *Engine) refuseWithheld(ctx context.Context, class media.Class, found []object) (brought int, err error) {
	errs := sideBySide(len(found), func(i int) error {
		if err := e.fetch(ctx, found[i], class); err != nil {
			return fmt.Errorf("bringing back %s: %w", found[i].key, err)
		}
		return nil
	})
	for _, failed := range errs {
		if err = cmp.Or(err, failed); failed == nil {
			brought++
		}
	}
	return brought, err
}
