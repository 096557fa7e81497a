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
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
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
		if err := file.write(noteText(e.whoseNotes(), noted), t.SetWithheldDeletes); err != nil {
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
	data, ok := e.deleteNotes.withheld[root].recall(e.trees[root].WithheldDeletes)
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
// are withheld.
func (e *Engine) AcceptDeletes(ctx context.Context) (deleted int, err error) {
	return e.settleWithheld(ctx, e.acceptWithheld)
}

// RefuseDeletes brings back the files whose deletes are withheld.
func (e *Engine) RefuseDeletes(ctx context.Context) (brought int, err error) {
	return e.settleWithheld(ctx, e.refuseWithheld)
}

// Withheld is an object of a file whose delete is withheld.
type Withheld struct {
	Key   string
	Class media.Class
	Since time.Time // when it was seen that too many went
	Size  int64
}

// Withheld yields what AcceptDeletes would delete. A non-nil error ends the sequence.
func (e *Engine) Withheld(ctx context.Context) iter.Seq2[Withheld, error] {
	return func(yield func(Withheld, error) bool) {
		for root := range e.trees {
			for _, class := range []media.Class{media.Public, media.Private} {
				for o, err := range e.withheldIn(ctx, root, class, time.Now()) {
					d, _ := e.withheld.get(o.key)
					if !yield(Withheld{o.key, class, d.since, o.Size}, err) || err != nil {
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
				yield(object{}, err)
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

// settler deals with objects of one class whose deletes are withheld.
type settler func(ctx context.Context, class media.Class, found []object) error

// settleWithheld has settle deal with all objects whose deletes are withheld by now.
func (e *Engine) settleWithheld(ctx context.Context, settle settler) (n int, err error) {
	upTo := time.Now()
	for root := range e.trees {
		for _, class := range []media.Class{media.Public, media.Private} {
			done, err := e.settleIn(ctx, root, class, upTo, settle)
			n += done
			if err != nil {
				return n, err
			}
		}
	}
	e.withheld.forget(func(d withheldDelete) bool { return !d.since.After(upTo) })
	e.unattended.forgetCounted()
	e.noteDeletes()
	return n, nil
}

// settleIn has settle deal with those of one root and class.
func (e *Engine) settleIn(ctx context.Context, root int, class media.Class, upTo time.Time, settle settler) (n int, err error) {
	var found []object
	flush := func() error {
		if len(found) == 0 {
			return nil
		}
		err := settle(ctx, class, found)
		if err == nil {
			n += len(found)
		}
		found = found[:0]
		return err
	}
	for o, err := range e.withheldIn(ctx, root, class, upTo) {
		if err != nil {
			return n, err
		}
		if found = append(found, o); len(found) == deleteBatch {
			if err := flush(); err != nil {
				return n, err
			}
		}
	}
	return n, flush()
}

// missingBelow lists the objects below the directory dir of a root of which there
// is no file.
func (e *Engine) missingBelow(ctx context.Context, root int, dir string, class media.Class) iter.Seq2[object, error] {
	if dir != "" {
		dir += "/"
	}
	return func(yield func(object, error) bool) {
		for o, err := range e.objects(ctx, class, dir) {
			if err != nil {
				yield(object{}, err)
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

func (e *Engine) acceptWithheld(_ context.Context, _ media.Class, found []object) error {
	names, keys := make([]string, len(found)), make([]string, len(found))
	changes := make([]changelog.Change, len(found))
	for i, o := range found {
		names[i], keys[i] = o.Key, o.key
		changes[i] = changelog.Change{Op: changelog.Delete, Key: o.key, ETag: o.ETag}
	}
	if err := e.toTrash(names, trashAccepted); err != nil {
		return err
	}
	e.queue.BeginDelete(keys)
	err := e.deleteNames(names)
	e.afterDelete(keys, err)
	if err != nil || !e.shared() {
		return err
	}
	return e.announce(changes)
}

func (e *Engine) refuseWithheld(ctx context.Context, class media.Class, found []object) error {
	for _, o := range found {
		if err := e.fetch(ctx, o, class); err != nil {
			return fmt.Errorf("bringing back %s: %w", o.key, err)
		}
	}
	return nil
}
