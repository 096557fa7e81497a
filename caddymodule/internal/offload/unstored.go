package offload

import (
	"context"
	"io/fs"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
)

// As long as the bucket is full, or away, the first comparison cannot begin. Marks tell
// meanwhile, where there are any, which files wait for it, of which the queue does not know;
// and which versions the others are: what becomes of one of these is a change of that.
//
// (Promise 8: "A deleted file does not come back by itself.")

// countUnstored counts the files that wait for the first comparison, and learns the
// versions of the others.
func (e *Engine) countUnstored(ctx context.Context) {
	if last, _, _ := e.recon.status(); !last.IsZero() {
		return // the watcher has told of all since
	}
	n := 0
	for root, t := range e.trees {
		if !t.KeepsNotes() {
			continue
		}
		err := t.Walk("", local.Visit{
			Dir: func(rel string) bool {
				return ctx.Err() == nil && (rel == "" || media.CheckKey(e.site.Key(root, rel)) == nil && !e.site.SkipDir(root, rel))
			},
			File: func(rel string, info fs.FileInfo) error {
				if e.isUnstored(root, rel, info) {
					n++
				}
				return ctx.Err()
			},
		})
		if err != nil {
			e.log().Debug("counting the files that are not stored yet", keyDir, t.Dir(), keyError, err)
		}
	}
	e.unstored.Store(int64(n))
}

// isUnstored reports whether a file has to be stored, as far as its mark tells, and the
// queue does not know of it.
func (e *Engine) isUnstored(root int, rel string, info fs.FileInfo) bool {
	key := e.site.Key(root, rel)
	if media.CheckKey(key) != nil || local.Own(rel) || e.classes.Rule(key) == media.Ignored || e.queue.Has(key) {
		return false
	}
	now, ok := e.markedEntry(root, rel, key, info)
	if ok && e.team.log != nil {
		e.index.Learn(key, now)
	}
	return !ok
}

// markedEntry is what the mark on a file says, if it was not changed since.
func (e *Engine) markedEntry(root int, rel, key string, info fs.FileInfo) (now index.Entry, ok bool) {
	m, ok := e.wholeMark(root, rel)
	if !ok {
		return now, false
	}
	now = index.EntryOf(e.classes.Of(key), info, m.ETag)
	now.Found = e.marks.Found(m)
	return now, e.marks.Fits(m, key, now)
}
