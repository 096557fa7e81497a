package offload

import (
	"context"
	"io/fs"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// countUnstored counts the files that wait for the first comparison: as long as the bucket
// is full, or away, that cannot begin, and the queue does not know of them. Marks tell,
// where there are any.
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
	return !e.isClean(root, rel, key, e.classes.Of(key), info)
}
