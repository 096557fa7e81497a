package offload

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/cluster"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// looksAtOnce bounds the objects that are looked at side by side before they
// are deleted.
const looksAtOnce = 8

// deleteAll deletes the objects of files that are gone.
func (e *Engine) deleteAll(gone []snapshot) {
	gone = e.seenInRoots(e.followed(gone))
	if e.shared() {
		e.deleteShared(gone)
		return
	}
	e.deleteGone(gone)
}

// departed is a file that is gone, and what that means for the bucket.
type departed struct {
	s     snapshot
	known entry
	names []string // of objects to be deleted
	etag  string
	tell  bool // others are to know
}

// deleteShared deletes the objects of files that are gone, where other nodes
// write too: only such versions as were on this disk. All go in few requests,
// and are told in one entry of the change log.
func (e *Engine) deleteShared(gone []snapshot) {
	all := make([]departed, len(gone))
	var looks sync.WaitGroup
	turn := make(chan struct{}, looksAtOnce)
	for i, s := range gone {
		turn <- struct{}{}
		looks.Go(func() {
			defer func() { <-turn }()
			all[i] = e.seeDeparted(s)
		})
	}
	looks.Wait()
	e.deleteDeparted(e.withoutWithheld(slices.DeleteFunc(all, func(d departed) bool { return !d.tell })))
}

func (e *Engine) deleteAndTell(all []departed) error {
	var objects []string
	for _, d := range all {
		objects = append(objects, d.names...)
	}
	for batch := range slices.Chunk(objects, deleteBatch) {
		if err := e.deleteNames(batch); err != nil {
			return err
		}
	}
	if !e.shared() {
		return nil
	}
	changes, items := make([]cluster.Change, len(all)), make([]snapshot, len(all))
	for i, d := range all {
		changes[i] = cluster.Change{Op: cluster.Delete, Key: d.s.key, ETag: d.etag}
		items[i] = d.s
	}
	return e.announce(changes, items...)
}

// seeDeparted decides about one file that is gone; unless tell is set in the
// result, the item is dealt with.
func (e *Engine) seeDeparted(s snapshot) departed {
	if _, err := e.trees[s.root].Stat(s.rel); err == nil {
		e.queue.again(s, false, time.Now())
		return departed{}
	}
	known, _ := e.index.get(s.key)
	switch {
	case s.unannounced:
	case s.fresh && !known.object() && !s.elsewhere:
		e.drop(s) // it came and went, and the bucket never saw it
		return departed{}
	case known.unheld || (known.state == removed || known.state == announced) && !e.index.holdsAny(s.key):
		// Not the app's delete, but this engine's, or of what was never here.
		if s.elsewhere {
			e.queue.lookAgain(s, time.Now())
			return departed{}
		}
		e.drop(s)
		return departed{}
	case !e.passOn(s) && !s.elsewhere:
		e.keepObject(s, known)
		return departed{}
	}
	info, class, err := e.headAny(s.key, known.class, true)
	switch {
	case errors.Is(err, bucket.ErrNotFound) && !e.passOn(s):
		e.drop(s)
		return departed{}
	case errors.Is(err, bucket.ErrNotFound):
		return departed{s: s, known: known, etag: known.etag, tell: true}
	case err != nil:
		e.retry(s, fmt.Errorf("deleting %s: %w", s.key, err))
		return departed{}
	case e.wentWith(s, info):
		if !e.passOn(s) {
			e.keepTold(s, known, info, class)
			return departed{}
		}
		return departed{s: s, known: known, names: []string{e.objectName(s.key, class)}, etag: info.ETag, tell: true}
	}
	// Another node has written it since: this delete was of an older version.
	e.queue.lookAgain(s, time.Now())
	return departed{}
}

// wentWith reports whether an object is a version of the very file that is gone.
// Once the app has written it, or it was perhaps stored, that an object came from
// this disk says nothing any more: the disk may have been emptied since.
func (e *Engine) wentWith(s snapshot, info bucket.Info) bool {
	if e.index.holdsAny(s.key) || s.rewritten || s.unannounced {
		return e.index.holds(s.key, info.ETag) || s.stored(info)
	}
	return e.wasHere(info)
}

// seesDelete reports whether the app's delete of a missing file is to be passed
// on, or that of a directory above it. All events until now are taken note of
// first: that of the delete may be among them.
func (e *Engine) seesDelete(s snapshot) (file, dir bool) {
	ctx, cancel := context.WithTimeout(e.ctx, callTimeout)
	defer cancel()
	if err := e.barrier(ctx); err != nil {
		return false, true // nothing can be said of it now
	}
	q := e.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.passOn(s.item.snapshot()) {
		return true, false
	}
	return false, e.goesWithDir(s.key)
}

// keepTold leaves the object of a missing file; other nodes are told of it if
// they may not know.
func (e *Engine) keepTold(s snapshot, known entry, info bucket.Info, class media.Class) {
	if s.unannounced {
		st := e.underPlace(s.key, e.rule(s.key), class)
		known = entry{state: dirty, class: st.class, kept: st.kept, size: info.Size, modTime: info.ModTime.UnixNano(), etag: info.ETag}
		if err := e.announce([]cluster.Change{known.change(s.key)}, s); err != nil {
			e.retry(s, err)
			return
		}
	}
	e.keepObject(s, known)
}

// deleteDirShared deletes what the bucket holds below a directory that is gone,
// as far as it was on this disk, and tells the other nodes.
func (e *Engine) deleteDirShared(s snapshot) error {
	deleted := 0
	for _, class := range []media.Class{media.Public, media.Private} {
		n, err := e.deleteBelowShared(s, class)
		if err != nil {
			return err
		}
		deleted += n
	}
	_, err := e.trees[s.root].StatDir(s.rel)
	if s.key == "" || (err == nil && deleted == 0 && !s.unannounced) {
		return nil // it is there again
	}
	return e.announce([]cluster.Change{{Op: cluster.DeleteBelow, Key: s.key}}, s)
}

func (e *Engine) deleteBelowShared(s snapshot, class media.Class) (deleted int, err error) {
	ctx, cancel := context.WithTimeout(e.ctx, listTimeout)
	defer cancel()
	var found []object
	flush := func() error {
		n, err := e.deleteListed(s, found)
		found = found[:0]
		deleted += n
		return err
	}
	for o, err := range e.objects(ctx, class, s.key+"/") {
		if err != nil {
			return deleted, err
		}
		if o.root != s.root {
			continue
		}
		if _, err := e.trees[o.root].Stat(o.rel); err == nil {
			continue
		}
		if found = append(found, o); len(found) == deleteBatch {
			if err := flush(); err != nil {
				return deleted, err
			}
		}
	}
	return deleted, flush()
}

// deleteListed deletes those of the objects that were on this disk, and has the
// others fetched.
func (e *Engine) deleteListed(s snapshot, found []object) (deleted int, err error) {
	var names, keys []string
	var changes []cluster.Change
	for _, o := range found {
		was, err := e.wasOnDisk(o.key, o.Info)
		if err != nil {
			return 0, err
		}
		if !was {
			e.look(o.foreign, putElsewhere)
			continue
		}
		names, keys = append(names, o.Info.Key), append(keys, o.key)
		changes = append(changes, cluster.Change{Op: cluster.Delete, Key: o.key, ETag: o.ETag})
	}
	if len(names) == 0 {
		return 0, nil
	}
	if e.disposal(s) == trashIt {
		if err := e.toTrash(names, trashOutside); err != nil {
			return 0, err
		}
	}
	e.markUnannounced(s) // a second try would not find what the first one deleted
	e.queue.beginDelete(keys)
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

// beginDelete notes that the objects of keys are being deleted with their
// directory, until afterDelete.
func (q *queue) beginDelete(keys []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, key := range keys {
		q.deleting[key]++
	}
}

// endDelete is the end of beginDelete for a key. The caller holds mu.
func (q *queue) endDelete(key string) {
	if q.deleting[key]--; q.deleting[key] <= 0 {
		delete(q.deleting, key)
	}
}

// superseded reports whether what was seen of an item may be due to a delete of
// this node's, or has changed since.
func (q *queue) superseded(s snapshot) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.deleting[s.key] > 0 || s.item.gen != s.gen
}

// decides reports whether a file has an item that alone knows which object went
// with it: see wentWith.
func (q *queue) decides(key string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	it := q.items[key]
	return it != nil && (it.rewritten || it.unannounced)
}

// wasOnDisk reports whether a listed object is a version that this disk held.
func (e *Engine) wasOnDisk(key string, info bucket.Info) (bool, error) {
	known, ok := e.index.get(key)
	switch {
	case e.index.holdsAny(key):
		return e.index.holds(key, info.ETag), nil
	case ok && (known.unheld || known.state == removed || known.state == announced || known.state == bucketOnly),
		e.queue.decides(key):
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
