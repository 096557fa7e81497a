package offload

import (
	"context"
	"fmt"
	"path"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// deleteBatch is how many objects one request removes (S3: at most 1,000).
const deleteBatch = 1000

// deleteGone deletes the objects of files that are gone, all in one request.
func (e *Engine) deleteGone(gone []snapshot) {
	var all []departed
	for _, s := range gone {
		if _, err := e.trees[s.root].Stat(s.rel); err == nil {
			e.queue.again(s, false, time.Now())
			continue
		}
		known, _ := e.index.get(s.key)
		switch {
		case s.fresh && !known.object():
			e.drop(s) // it came and went, and the bucket never saw it
		case !e.passOn(s):
			e.keepObject(s, known)
		default:
			all = append(all, departed{s: s, known: known, names: e.namesOf(s.key, known)})
		}
	}
	e.deleteDeparted(e.withoutWithheld(all))
}

// deleteDeparted deletes the objects of files that are gone, and tells the other
// nodes, if there are any.
func (e *Engine) deleteDeparted(all []departed) {
	if len(all) == 0 {
		return
	}
	err := e.trashDeparted(all)
	if err == nil {
		err = e.deleteAndTell(all)
	}
	if err != nil {
		for _, d := range all {
			e.retry(d.s, fmt.Errorf("deleting %s: %w", d.s.key, err))
		}
		return
	}
	for _, d := range all {
		e.count.deleted.Add(1)
		e.drop(d.s)
	}
}

// trashDeparted copies the objects to the trash whose files went outside requests.
func (e *Engine) trashDeparted(all []departed) error {
	var names []string
	for _, d := range all {
		if e.disposal(d.s) == trashIt {
			names = append(names, d.names...)
		}
	}
	return e.toTrash(names, trashOutside)
}

// withoutWithheld returns those of the files whose deletes are passed on. Those
// outside requests are withheld if they are too many.
func (e *Engine) withoutWithheld(all []departed) []departed {
	var outside []string
	for _, d := range all {
		if !d.s.meant() {
			outside = append(outside, d.s.key)
		}
	}
	if len(outside) == 0 || e.admitsDeletes(outside) {
		return all
	}
	passed := all[:0]
	dirs := make(map[scope]int)
	for _, d := range all {
		if d.s.meant() {
			passed = append(passed, d)
			continue
		}
		dirs[scope{d.s.root, path.Dir(d.s.rel)}]++
		defer e.keepObject(d.s, d.known) // once it is noted that it was withheld
	}
	for dir, n := range dirs {
		e.withhold(dir.root, dir.dir, n)
	}
	return passed
}

// keepObject leaves the object of a missing file. If an event told of it, it
// stays on purpose; if only a look did, its directory may have gone, about
// which another item knows more.
func (e *Engine) keepObject(s snapshot, known entry) {
	if s.told {
		e.noteBucketOnly(s.root, path.Dir(s.rel))
	}
	e.queue.settled(s, time.Now(), func(latest bool) {
		switch {
		case s.told && latest && known.object():
			known.state = bucketOnly
			e.index.forget(s.key)
			e.index.set(s.key, known)
		case e.shared() && !(s.told && latest):
			// The event is still to come, or came just now: only who knows which
			// version was here can tell whether it is that one's delete.
			if known.based() {
				known.state = dirty
				e.index.set(s.key, known)
			}
		default:
			e.index.forget(s.key)
		}
	})
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

// namesOf returns the names a key's object can have.
func (e *Engine) namesOf(key string, known entry) []string {
	if known.object() {
		return []string{e.objectName(key, known.class)}
	}
	return []string{e.objectName(key, media.Public), e.objectName(key, media.Private)}
}

func (e *Engine) deleteNames(names []string) error {
	ctx, cancel := context.WithTimeout(e.ctx, callTimeout)
	defer cancel()
	if err := e.store.Delete(ctx, names...); err != nil {
		return err
	}
	e.recovered()
	return nil
}

// deleteDir deletes what the bucket holds below a directory that is gone,
// except files that are there (again).
func (e *Engine) deleteDir(s snapshot) {
	if len(e.followed([]snapshot{s})) == 0 {
		return
	}
	if !e.rootsNow().holds(s) {
		e.queue.settled(s, time.Now(), func(bool) {})
		return
	}
	if !e.passOn(s) {
		e.noteBucketOnly(s.root, path.Dir(s.rel))
		e.queue.settled(s, time.Now(), func(bool) {})
		return
	}
	withheld, err := e.withholdsBelow(s)
	if withheld {
		e.queue.settled(s, time.Now(), func(bool) {})
		return
	}
	if err == nil {
		err = e.deleteAllBelow(s)
	}
	if err != nil {
		e.retry(s, fmt.Errorf("deleting what was below %s: %w", s.key, err))
		return
	}
	e.queue.settled(s, time.Now(), func(bool) {})
}

// withholdsBelow withholds the deletes of what was below a directory that went
// outside a request, if that is too much, and reports whether it did.
func (e *Engine) withholdsBelow(s snapshot) (bool, error) {
	if s.meant() {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(e.ctx, listTimeout)
	defer cancel()
	n, limit := 0, e.deleteLimit()
	var keys []string
	for _, class := range []media.Class{media.Public, media.Private} {
		for o, err := range e.missingBelow(ctx, s.root, s.key, class) {
			if err != nil {
				return false, err
			}
			if n++; len(keys) <= limit {
				keys = append(keys, o.key)
			}
		}
	}
	if n == 0 || e.admitsDeletes(keys) {
		return false, nil
	}
	e.withhold(s.root, path.Dir(s.rel), n)
	return true, nil
}

func (e *Engine) deleteAllBelow(s snapshot) error {
	if e.shared() {
		return e.deleteDirShared(s)
	}
	for _, class := range []media.Class{media.Public, media.Private} {
		if err := e.deleteBelow(s, class); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) deleteBelow(s snapshot, class media.Class) error {
	below := ""
	if s.key != "" {
		below = s.key + "/"
	}
	ctx, cancel := context.WithTimeout(e.ctx, listTimeout)
	defer cancel()
	var keys []string
	flush := func() error {
		if len(keys) == 0 {
			return nil
		}
		names := make([]string, len(keys))
		for i, key := range keys {
			names[i] = e.objectName(key, class)
		}
		if e.disposal(s) == trashIt {
			if err := e.toTrash(names, trashOutside); err != nil {
				return err
			}
		}
		err := e.deleteNames(names)
		e.afterDelete(keys, err)
		keys = keys[:0]
		return err
	}
	for o, err := range e.objects(ctx, class, below) {
		if err != nil {
			return err
		}
		if o.root != s.root {
			continue
		}
		if _, err := e.trees[o.root].Stat(o.rel); err == nil {
			continue
		}
		if keys = append(keys, o.key); len(keys) == deleteBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// afterDelete takes note of what became of keys whose objects were deleted with
// their directory; with an error they may have been.
func (e *Engine) afterDelete(keys []string, err error) {
	for _, key := range keys {
		e.forgetDeleted(key, err)
		if err == nil {
			e.count.deleted.Add(1)
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
	e.queue.mu.Lock()
	defer e.queue.mu.Unlock()
	e.queue.endDelete(key)
	e.recon.touch(key)
	switch {
	case ok:
		e.queue.schedule(e.queue.storeAgain(key, root, rel, now), now)
	case err == nil && e.queue.items[key] == nil:
		e.index.forget(key)
	}
}

// storeAgain adds an item of a file whose object may just have been deleted,
// whatever is known of it. The caller holds mu and schedules the item.
func (q *queue) storeAgain(key string, root int, rel string, now time.Time) *item {
	it, _ := q.change(aFile, key, root, rel, now)
	it.closed, it.gone, it.told, it.wrote = true, false, false, true
	it.elsewhere, it.heard, it.why, it.version = true, it.gen, ownChange, ""
	q.heard[it] = struct{}{}
	return it
}
