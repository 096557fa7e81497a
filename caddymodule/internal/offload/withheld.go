package offload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// withheldKeys are the keys whose deletes are withheld, as far as this process has
// seen them; of more than maxNoted not all.
type withheldKeys struct {
	mu      sync.Mutex
	keys    map[string]struct{}
	changed time.Time // since the log had a line about them; zero: not since
	dirs    []string  // of those, some
}

// add notes keys that were withheld in a directory.
func (w *withheldKeys) add(dir string, keys []string, now time.Time) {
	if dir == "" {
		dir = "/"
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	had := len(w.keys)
	for _, key := range keys {
		if len(w.keys) >= maxNoted {
			break
		}
		if w.keys == nil {
			w.keys = make(map[string]struct{})
		}
		w.keys[key] = struct{}{}
	}
	if len(w.keys) == had {
		return
	}
	w.changed = now
	if !slices.Contains(w.dirs, dir) && len(w.dirs) < maxSaid {
		w.dirs = append(w.dirs, dir)
	}
}

// maxSaid is how many directories a line of the log names.
const maxSaid = 10

// has reports whether the delete of a missing file is withheld; where not all such keys
// are known, any is taken for one.
func (w *withheldKeys) has(key string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, ok := w.keys[key]
	return ok || len(w.keys) >= maxNoted
}

// remove notes that a file is there again, or its object gone.
func (w *withheldKeys) remove(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.keys, key)
}

// forget drops keys of which nothing is known any more.
func (w *withheldKeys) forget(drop func(key string) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.keys, func(key string, _ struct{}) bool { return drop(key) })
}

func (w *withheldKeys) clear() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys, w.dirs, w.changed = nil, nil, time.Time{}
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

// withhold notes that the objects of files that went from a directory are kept,
// and that the files are not fetched, until the admin says what is to become of
// them.
func (e *Engine) withhold(root int, dir string, keys []string) {
	t, now := e.trees[root], time.Now()
	dir = e.existing(root, dir)
	err := t.SetDirNote(dir, local.AttrWithheld, strconv.FormatInt(now.UnixNano(), 10))
	if err != nil {
		e.log().Warn("many deletes are withheld, but that cannot be noted on disk: after a restart the files will be fetched again",
			keyDir, e.site.Key(root, dir), keyError, err)
	}
	e.unattended.withheld.add(e.site.Key(root, dir), keys, now)
}

// sayWithheld has the log tell of deletes that were withheld: one line for all that
// came together.
func (e *Engine) sayWithheld(now time.Time) {
	n, dirs := e.unattended.withheld.news(now, noteEvery)
	if n == 0 {
		return
	}
	e.log().Error("many media files were deleted outside requests at once: their objects are kept and the files are not fetched back "+
		"until you say what is right: `media-offload trash accept` deletes the objects, `media-offload trash restore` brings the files back, "+
		"`media-offload trash list` shows them", "withheld", n, "dirs", dirs)
}

// isWithheld reports whether a missing file's object, stored at some time, is one
// whose delete is withheld.
func (e *Engine) isWithheld(root int, rel string, stored time.Time) bool {
	return e.withheldOver(root, path.Dir(rel)).covers(stored)
}

// withheldOver is what is withheld in a directory: of it and all above it, there or not,
// the one whose deletes were withheld last. A directory takes its note along when it
// goes; then the nearest one above has it, also for the directories that are made anew
// below that one.
func (e *Engine) withheldOver(root int, dir string) (last withheldDir) {
	for ; ; dir = path.Dir(dir) {
		if dir == "." {
			dir = ""
		}
		if until := e.withheldUntil(root, dir); until.After(last.until) {
			last = withheldDir{root, dir, until}
		}
		if dir == "" {
			return last
		}
	}
}

// withheldIn is withheldOver, which is asked once for the objects of one directory.
func (p *pass) withheldIn(root int, dir string) withheldDir {
	if l := &p.lastWithheld; !l.asked || l.root != root || l.dir != dir {
		l.asked, l.root, l.dir, l.found = true, root, dir, p.e.withheldOver(root, dir)
	}
	return p.lastWithheld.found
}

// withheldUntil is up to when objects of missing files must have been stored in a
// directory for their deletes to be withheld; zero: none are.
func (e *Engine) withheldUntil(root int, dir string) time.Time {
	note := e.trees[root].DirNote(dir, local.AttrWithheld)
	if note == "" {
		return time.Time{}
	}
	nanos, err := strconv.ParseInt(note, 10, 64)
	if err != nil {
		nanos = time.Now().UnixNano() // somebody's; in doubt the admin is asked
	}
	return time.Unix(0, nanos).Add(storeClock)
}

// withheldDir is a directory with withheld deletes.
type withheldDir struct {
	root  int
	dir   string
	until time.Time
}

// covers reports whether the delete of a missing file's object is withheld that was stored
// at some time.
func (d withheldDir) covers(stored time.Time) bool { return stored.Before(d.until) }

// withheldDirs looks for all of them.
func (e *Engine) withheldDirs(ctx context.Context) (dirs []withheldDir, err error) {
	for root, t := range e.trees {
		err = errors.Join(err, t.Walk("", local.Visit{
			Dir: func(rel string) bool {
				if until := e.withheldUntil(root, rel); !until.IsZero() {
					dirs = append(dirs, withheldDir{root, rel, until})
				}
				return ctx.Err() == nil && (rel == "" || !e.site.SkipDir(root, rel))
			},
			File: func(string, fs.FileInfo) error { return nil },
			Err:  func(string, error) {}, // what cannot be read has no note
		}))
	}
	return dirs, errors.Join(err, ctx.Err())
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
		dirs, err := e.withheldDirs(ctx)
		if err != nil {
			yield(Withheld{}, err)
			return
		}
		for i, d := range dirs {
			for _, class := range []media.Class{media.Public, media.Private} {
				for o, err := range e.missingBelow(ctx, d.root, e.site.Key(d.root, d.dir), class) {
					if err == nil && (!d.has(o) || slices.ContainsFunc(dirs[:i], func(above withheldDir) bool { return above.has(o) })) {
						continue
					}
					if !yield(Withheld{o.key, class, d.until.Add(-storeClock), o.Size}, err) || err != nil {
						return
					}
				}
			}
		}
	}
}

// has reports whether an object without a file is one whose delete is withheld here.
func (d withheldDir) has(o object) bool {
	return o.root == d.root && (d.dir == "" || strings.HasPrefix(o.rel, d.dir+"/")) && d.covers(o.Stored)
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
	if !e.isWithheld(f.root, f.rel, info.Stored) {
		return false, nil
	}
	return true, e.bringNow(ctx, object{f, info}, class)
}

// settler deals with objects of one class whose deletes are withheld.
type settler func(ctx context.Context, class media.Class, found []object) error

// settleWithheld has settle deal with all objects whose deletes are withheld, and
// removes the notes of directories that are done.
func (e *Engine) settleWithheld(ctx context.Context, settle settler) (n int, err error) {
	dirs, err := e.withheldDirs(ctx)
	if err != nil {
		return 0, err
	}
	for _, d := range dirs {
		for _, class := range []media.Class{media.Public, media.Private} {
			done, err := e.settleBelow(ctx, d, class, settle)
			n += done
			if err != nil {
				return n, err
			}
		}
		if err := e.trees[d.root].SetDirNote(d.dir, local.AttrWithheld, ""); err != nil {
			return n, err
		}
	}
	e.unattended.reset()
	return n, nil
}

// settleBelow has settle deal with the objects below a directory whose deletes are
// withheld.
func (e *Engine) settleBelow(ctx context.Context, d withheldDir, class media.Class, settle settler) (n int, err error) {
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
	for o, err := range e.missingBelow(ctx, d.root, e.site.Key(d.root, d.dir), class) {
		if err != nil {
			return n, err
		}
		if !d.has(o) {
			continue
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
	e.queue.beginDelete(keys)
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
