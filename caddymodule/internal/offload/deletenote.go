package offload

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/deletes"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/watch"
)

// What was deleted on disk, and the bucket has not heard of, is noted in a file of
// the media root: a restart would take the object for one whose file is to be
// fetched or served. The file is there only while a delete waits.
//
// (Promise 8: "A deleted file does not come back by itself.")

// deleteNotes are the notes of all roots.
type deleteNotes struct {
	notes *deletes.Notes

	mu     sync.Mutex
	broken bool      // there are deletes that could not be noted
	full   sync.Once // the log line

	// heldBack are recalled deletes that wait for the first comparison, which is over
	// once compared: it tells their share of all, and stores what has a new name.
	// Both are guarded by the queue's lock.
	heldBack []*work.Move
	compared bool
}

// rememberDeletes makes what remembers deletes over a restart.
func (e *Engine) rememberDeletes() {
	disks := make([]deletes.Disk, len(e.trees))
	for i, t := range e.trees {
		disks[i] = t
	}
	notes := func(kind local.Note, most int) *deletes.Notes {
		return deletes.NewNotes(kind, disks, e.whoseNotes, most)
	}
	e.deleteNotes.notes = notes(local.NotedDeletes, deletes.MaxNoted)
	e.withheld = deletes.NewWithheld(notes(local.WithheldDeletes, deletes.MaxWithheld), e.log)
	e.guest = deletes.NewGuest(notes(local.GuestDeletes, deletes.MaxNoted), e.log)
}

// admitNoted is the door for a key of a note.
func (e *Engine) admitNoted(key string, dir bool) (root int, ok bool) {
	letIn := e.letIn
	if dir {
		letIn = e.letInDir
	}
	f, ok := letIn(key)
	return f.root, ok && f.rel != ""
}

// whoseNotes says which disk and bucket the notes are of.
func (e *Engine) whoseNotes() string { return "1 " + e.bucketID + " " + e.team.self() }

// noteDeletes brings the notes up to date, after having read those that an earlier
// process left.
func (e *Engine) noteDeletes() {
	n := &e.deleteNotes
	n.mu.Lock()
	defer n.mu.Unlock()
	for root := range e.trees {
		e.recallDeletes(root)
	}
	roots := e.rootsNow()
	e.withheld.Note(roots, func(key string) (int, bool) { return e.admitNoted(key, false) }) // first: what is withheld now waits no more
	waiting := e.waitingDeletes(roots)
	had := n.broken
	n.broken = false
	for root, t := range e.trees {
		if !n.notes.Recalled(root) {
			n.broken = n.broken || len(waiting[root]) > 0
			continue
		}
		if err := n.notes.Set(root, waiting[root]); err != nil {
			n.broken = true
			if !had {
				e.log().Warn("deletes that wait for the bucket cannot be noted on disk: a restart may forget them", keyDir, t.Dir(), keyError, err)
			}
		}
	}
}

// failed reports whether there are deletes that could not be noted.
func (n *deleteNotes) failed() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.broken
}

// waitingDeletes returns by root what is to be noted.
func (e *Engine) waitingDeletes(roots rootsNow) (all [][]deletes.Noted) {
	all = make([][]deletes.Noted, len(e.trees))
	var dirs []string
	e.queue.Lock()
	for it := range e.queue.AllGoing() {
		s := it.Task()
		if it.Fresh || !e.passOn(s) || !roots.holds(s) {
			continue
		}
		d := deletes.Noted{Key: it.Key, Dir: it.Kind == work.DirGone, Meant: it.InRequest, MovedTo: it.MovedTo}
		if d.Dir {
			dirs = append(dirs, it.Key+"/")
		} else {
			e.noteVersion(&d)
		}
		all[it.Root] = append(all[it.Root], d)
	}
	e.queue.Unlock()
	e.noteHeld(all, dirs)
	for root, noted := range all {
		slices.SortFunc(noted, func(a, b deletes.Noted) int { return cmp.Compare(a.Key, b.Key) })
		if len(noted) > deletes.MaxNoted {
			e.deleteNotes.full.Do(func() {
				e.log().Warn("more deletes wait for the bucket than are noted on disk: a restart will forget the others", keyDeletes, len(noted), "limit", deletes.MaxNoted)
			})
			all[root] = noted[:deletes.MaxNoted]
		}
	}
	return all
}

// noteVersion adds the version that the disk held last.
func (e *Engine) noteVersion(d *deletes.Noted) {
	if known, ok := e.index.Peek(d.Key); ok && known.Based() {
		d.ETag, d.Private = known.ETag, known.Class == media.Private
	}
}

// noteHeld adds the versions that the disk held below directories that are gone: only
// those go with them.
func (e *Engine) noteHeld(all [][]deletes.Noted, dirs []string) {
	if len(dirs) == 0 {
		return
	}
	for _, key := range e.index.Keys() {
		below := func(dir string) bool { return strings.HasPrefix(key, dir) }
		if !slices.ContainsFunc(dirs, below) {
			continue
		}
		root, _, ok := e.site.Locate(key)
		if !ok {
			continue
		}
		d := deletes.Noted{Key: key, Held: true}
		if e.noteVersion(&d); d.ETag != "" {
			all[root] = append(all[root], d)
		}
	}
}

// recallDeletes puts into the queue what an earlier process noted of a root.
func (e *Engine) recallDeletes(root int) {
	if e.deleteNotes.notes.Recalled(root) {
		return
	}
	in, err := watch.RootAt(e.trees[root].Dir())
	if err != nil {
		return
	}
	all, _ := e.deleteNotes.notes.Recall(root)
	for _, d := range all {
		e.recallDelete(root, in, d)
	}
}

// recallDelete puts one delete into the queue, unless there is something of that
// name, on disk or in the queue.
func (e *Engine) recallDelete(root int, in watch.DirID, d deletes.Noted) {
	k, letIn := work.File, e.letIn
	if d.Dir {
		k, letIn = work.DirGone, e.letInDir
	}
	f, ok := letIn(d.Key)
	if !ok || f.root != root || f.rel == "" {
		return
	}
	if _, err := e.trees[root].Stat(f.rel); err == nil {
		return
	}
	now := time.Now()
	e.queue.Lock()
	defer e.queue.Unlock()
	if e.queue.At(k.ItemKey(d.Key)) != nil {
		return
	}
	if d.ETag != "" {
		e.index.Set(d.Key, index.Entry{State: index.Dirty, Class: d.Class(), ETag: d.ETag})
	}
	if d.Held {
		return
	}
	it, _ := e.queue.Change(k, d.Key, root, f.rel, now)
	e.queue.Found(it, work.Deleted)
	it.In, it.InRequest = in, d.Meant
	if d.MovedTo != "" {
		it.MovedTo, it.MovedAt = d.MovedTo, it.Gen
	}
	if n := &e.deleteNotes; !n.compared && (!d.Meant || d.MovedTo != "") {
		it.Move = &work.Move{Old: it, Left: 1}
		n.heldBack = append(n.heldBack, it.Move)
	}
	e.queue.Schedule(it, now)
}

// releaseRecalled lets go on what waited for the first comparison.
func (e *Engine) releaseRecalled() {
	q, n, now := e.queue, &e.deleteNotes, time.Now()
	q.Lock()
	defer q.Unlock()
	for _, m := range n.heldBack {
		if it := m.Old; it.Move == m && it.MovedAt != 0 {
			it.Move = nil
			q.AwaitArrivals(it, now)
			continue
		}
		q.EndMove(m, now)
	}
	n.heldBack, n.compared = nil, true
}

// goesWithDir reports whether a directory above a key is gone, and its delete is to
// be passed on. The caller holds the queue's lock.
func (e *Engine) goesWithDir(key string) bool {
	for above, _ := bucket.SplitKey(key); above != ""; above, _ = bucket.SplitKey(above) {
		if it := e.queue.At(work.DirGone.ItemKey(above)); it != nil && e.passOn(it.Task()) {
			return true
		}
	}
	return false
}
