package offload

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/watch"
)

// What was deleted on disk, and the bucket has not heard of, is noted in a file of
// the media root: a restart would take the object for one whose file is to be
// fetched or served. The file is there only while a delete waits.
//
// (Promise 8: "A deleted file does not come back by itself.")

const (
	// maxNoted bounds the deletes that are noted for a root; those beyond are kept
	// or fetched after a restart.
	maxNoted = 100_000
	// maxNoteFile is more than so many take.
	maxNoteFile = 256 << 20
)

// notedDelete is a line of the file.
type notedDelete struct {
	Key string `json:"key"`
	Dir bool   `json:"dir,omitempty"` // all below the key
	// Held: it did not go by itself; it is a version that a deleted directory held.
	Held bool `json:"held,omitempty"`
	// Meant: a request deleted it. MovedTo is the name that it has now.
	Meant   bool   `json:"meant,omitempty"`
	MovedTo string `json:"moved_to,omitempty"`
	// ETag and Private are of the object that this disk held; "" if that is not
	// known.
	ETag    string `json:"etag,omitempty"`
	Private bool   `json:"private,omitempty"`
	// Withheld is since when the delete is withheld, in Unix nanoseconds.
	Withheld int64 `json:"withheld,omitempty"`
}

// deleteNotes are the notes of all roots.
type deleteNotes struct {
	mu       sync.Mutex
	files    []noteFile     // by root
	withheld []withheldFile // by root
	broken   bool           // there are deletes that could not be noted
	full     sync.Once      // the log line

	// heldBack are recalled deletes that wait for the first comparison, which is over
	// once compared: it tells their share of all, and stores what has a new name.
	// Both are guarded by the queue's lock.
	heldBack []*work.Move
	compared bool
}

// noteText is the file of some deletes, nil of none; parseNoted reads it. Notes of another
// disk or bucket say nothing.
func noteText(whose string, all []notedDelete) []byte {
	if len(all) == 0 {
		return nil
	}
	var text bytes.Buffer
	lines := json.NewEncoder(&text)
	_ = lines.Encode(whose) // neither can fail
	for i := range all {
		_ = lines.Encode(&all[i])
	}
	return text.Bytes()
}

func parseNoted(whose string, data []byte, most int) (all []notedDelete) {
	lines := json.NewDecoder(bytes.NewReader(data))
	var header string
	if err := lines.Decode(&header); err != nil || header != whose {
		return nil
	}
	for len(all) < most {
		var d notedDelete
		if err := lines.Decode(&d); err != nil {
			break // its end, or somebody else's
		}
		all = append(all, d)
	}
	return all
}

// whoseNotes says which disk and bucket the notes are of.
func (e *Engine) whoseNotes() string { return "1 " + e.bucketID + " " + e.team.self() }

// noteDeletes brings the notes up to date, after having read those that an earlier
// process left.
func (e *Engine) noteDeletes() {
	n := &e.deleteNotes
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.files == nil {
		n.files, n.withheld = make([]noteFile, len(e.trees)), make([]withheldFile, len(e.trees))
	}
	for root := range e.trees {
		e.recallDeletes(root)
	}
	roots := e.rootsNow()
	e.noteWithheld(roots) // first: what is withheld now waits no more
	waiting := e.waitingDeletes(roots)
	had := n.broken
	n.broken = false
	for root, t := range e.trees {
		text := noteText(e.whoseNotes(), waiting[root])
		if !n.files[root].recalled {
			n.broken = n.broken || text != nil
			continue
		}
		if err := n.files[root].write(t, local.NotedDeletes, text); err != nil {
			n.broken = true
			if !had {
				e.log().Warn("deletes that wait for the bucket cannot be noted on disk: a restart may forget them", keyDir, t.Dir(), keyError, err)
			}
		}
	}
}

// rootIsNew notes that another directory is at a root: what waits is to be noted there.
func (n *deleteNotes) rootIsNew(root int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.files != nil {
		n.files[root].moved = true
	}
}

// failed reports whether there are deletes that could not be noted.
func (n *deleteNotes) failed() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.broken
}

// waitingDeletes returns by root what is to be noted.
func (e *Engine) waitingDeletes(roots rootsNow) (all [][]notedDelete) {
	all = make([][]notedDelete, len(e.trees))
	var dirs []string
	e.queue.Lock()
	for it := range e.queue.AllGoing() {
		s := it.Task()
		if it.Fresh || !e.passOn(s) || !roots.holds(s) {
			continue
		}
		d := notedDelete{Key: it.Key, Dir: it.Kind == work.DirGone, Meant: it.InRequest, MovedTo: it.MovedTo}
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
		slices.SortFunc(noted, func(a, b notedDelete) int { return cmp.Compare(a.Key, b.Key) })
		if len(noted) > maxNoted {
			e.deleteNotes.full.Do(func() {
				e.log().Warn("more deletes wait for the bucket than are noted on disk: a restart will forget the others", keyDeletes, len(noted), "limit", maxNoted)
			})
			all[root] = noted[:maxNoted]
		}
	}
	return all
}

// noteVersion adds the version that the disk held last.
func (e *Engine) noteVersion(d *notedDelete) {
	if known, ok := e.index.Peek(d.Key); ok && known.Based() {
		d.ETag, d.Private = known.ETag, known.Class == media.Private
	}
}

// noteHeld adds the versions that the disk held below directories that are gone: only
// those go with them.
func (e *Engine) noteHeld(all [][]notedDelete, dirs []string) {
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
		d := notedDelete{Key: key, Held: true}
		if e.noteVersion(&d); d.ETag != "" {
			all[root] = append(all[root], d)
		}
	}
}

// recallDeletes puts into the queue what an earlier process noted of a root.
func (e *Engine) recallDeletes(root int) {
	file := &e.deleteNotes.files[root]
	if file.recalled {
		return
	}
	in, err := watch.RootAt(e.trees[root].Dir())
	if err != nil {
		return
	}
	data, ok := file.recall(e.trees[root], local.NotedDeletes)
	if !ok {
		return
	}
	for _, d := range parseNoted(e.whoseNotes(), data, maxNoted) {
		e.recallDelete(root, in, d)
	}
}

// recallDelete puts one delete into the queue, unless there is something of that
// name, on disk or in the queue.
func (e *Engine) recallDelete(root int, in watch.DirID, d notedDelete) {
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
		e.index.Set(d.Key, index.Entry{State: index.Dirty, Class: d.class(), ETag: d.ETag})
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

func (d notedDelete) class() media.Class {
	if d.Private {
		return media.Private
	}
	return media.Public
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
