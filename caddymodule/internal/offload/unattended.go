package offload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"path"
	"strconv"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/cluster"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// Many files that go at once outside requests may be a mistake at the shell, or a
// disk that is being emptied. Their deletes are withheld: the objects stay, and the
// files are not fetched either, until the admin has said which it was. A note on
// the directory keeps that over a restart.

const (
	// burst is the time within which deletes outside requests are counted
	// together.
	burst = time.Minute
	// fewDeletes may always go at once, whatever their share.
	fewDeletes = 10
	// unattendedRest is how long a delete outside a request rests, so that those
	// that come with it are seen before it is passed on.
	unattendedRest = 2 * time.Second
	// storeClock is how far the store's clock may be behind: objects stored so
	// long after a directory's deletes were withheld may still be older.
	storeClock = time.Minute
)

// disposal is what becomes of the object of a file that is gone.
type disposal uint8

const (
	keepIt   disposal = iota
	trashIt           // deleted by way of the trash
	deleteIt          // deleted at once
)

// disposal tells what a delete that was seen means for the object.
//
// (Promise 8: "What a process deletes while the module watches is deleted: by a
// request at once, otherwise by way of the trash".)
func (e *Engine) disposal(s *task) disposal {
	switch {
	case e.cfg.Deletes == DeletesNever || e.isGuest():
		return keepIt
	case s.meant():
		return deleteIt
	case e.cfg.Deletes == DeletesDuringRequests || (s.kind == aFile && s.presence != deleted):
		return keepIt
	case e.cfg.Trash < 0:
		return deleteIt
	}
	return trashIt
}

// passOn reports whether a delete that was seen is to reach the bucket.
func (e *Engine) passOn(s *task) bool { return e.disposal(s) != keepIt }

// unattended counts the deletes seen outside requests.
type unattended struct {
	mu sync.Mutex
	// recent are the keys of the last burst, passed on or withheld, and when they were
	// seen last: of a file its own event may tell, its directory's, and a second try.
	// They are no more than it takes to know that there are too many; more is when
	// others came.
	recent   map[string]time.Time
	more     time.Time
	withheld int // since the admin was asked
}

// admits reports whether the deletes of keys are few enough to be passed on, with
// others that are known to come; waiting tells how many these are, besides those that
// have been counted. limit is how many may go within a burst.
func (u *unattended) admits(keys []string, waiting func(counted map[string]time.Time) int, limit int, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.recent == nil {
		u.recent = make(map[string]time.Time)
	}
	maps.DeleteFunc(u.recent, func(_ string, seen time.Time) bool { return now.Sub(seen) >= burst })
	for _, key := range keys {
		if _, ok := u.recent[key]; !ok && len(u.recent) > limit {
			u.more = now
			break
		}
		u.recent[key] = now
	}
	return now.Sub(u.more) >= burst && len(u.recent)+waiting(u.recent) <= limit
}

// withhold counts deletes that are withheld, and reports whether they are the
// first ones.
func (u *unattended) withhold(n int) (first bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.withheld += n
	return u.withheld == n
}

func (u *unattended) reset() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.withheld, u.recent, u.more = 0, nil, time.Time{}
}

func (u *unattended) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.withheld
}

// admitsDeletes reports whether the deletes of keys outside requests are to be passed
// on. More than deleteLimit need not be given.
func (e *Engine) admitsDeletes(keys []string) bool {
	return e.unattended.admits(keys, e.queue.unattendedBesides, e.deleteLimit(), time.Now())
}

// deleteLimit is how many files may go within a burst.
func (e *Engine) deleteLimit() int {
	return max(fewDeletes, int(e.cfg.MaxDeleteShare*float64(e.recon.size())))
}

// unattendedBesides is the number of deletes outside requests that are neither counted
// nor being worked on yet.
func (q *queue) unattendedBesides(counted map[string]time.Time) (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range q.items {
		if it.kind != aFile || it.presence != deleted || it.inRequest || it.movedAt != 0 || !it.scheduled() {
			continue
		}
		if _, ok := counted[it.key]; !ok {
			n++
		}
	}
	return n
}

// withhold notes that the objects of files that went from a directory are kept,
// and that the files are not fetched, until the admin says what is to become of
// them.
func (e *Engine) withhold(root int, dir string, n int) {
	t := e.trees[root]
	dir = e.existing(root, dir)
	err := t.SetDirNote(dir, local.AttrWithheld, strconv.FormatInt(time.Now().UnixNano(), 10))
	if err != nil {
		e.log().Warn("many deletes are withheld, but that cannot be noted on disk: after a restart the files will be fetched again",
			keyDir, e.site.Key(root, dir), keyError, err)
	}
	if e.unattended.withhold(n) {
		e.log().Error("many media files were deleted outside requests at once: their objects are kept and the files are not fetched back "+
			"until you say what is right: `media-offload trash accept` deletes the objects, `media-offload trash restore` brings the files back",
			keyDir, e.site.Key(root, dir), "withheld", n)
	}
}

// isWithheld reports whether a missing file's object, stored at some time, is one
// whose delete is withheld.
func (e *Engine) isWithheld(root int, rel string, stored time.Time) bool {
	until := e.withheldUntil(root, e.existing(root, path.Dir(rel)))
	return !until.IsZero() && stored.Before(until)
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
		if !o.Stored.Before(d.until) {
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
	changes := make([]cluster.Change, len(found))
	for i, o := range found {
		names[i], keys[i] = o.Key, o.key
		changes[i] = cluster.Change{Op: cluster.Delete, Key: o.key, ETag: o.ETag}
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
