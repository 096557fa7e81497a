package offload

import (
	"errors"
	"io/fs"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// rescan looks for files that changed without an event below a directory, then
// asks for a reconcile, which finds what went.
func (e *Engine) rescan(s *work.Task) outcome {
	err := e.walkChanges(s, func(key string, info fs.FileInfo, known index.Entry) bool {
		return known.State != index.Committed || known.Size != info.Size() || known.ModTime != info.ModTime().UnixNano()
	})
	if err != nil {
		return outcome{how: unreadable, err: err}
	}
	e.lookAtRoots()
	e.recon.want(scope{s.Root, s.Rel}, e.requests.window())
	return outcome{}
}

// reclass looks for files whose class changed with an .htaccess.
func (e *Engine) reclass(s *work.Task) outcome {
	err := e.walkChanges(s, func(key string, _ fs.FileInfo, known index.Entry) bool {
		switch e.classes.Rule(key) {
		case media.Private:
			return !known.Object() || known.Class != media.Private || known.Kept
		default:
			return !known.Object() || known.Class != media.Public && !known.Kept
		}
	})
	if err != nil {
		return outcome{how: unreadable, err: err}
	}
	return outcome{}
}

// walkChanges puts the files below the item's directory into the queue for
// which differs is true.
func (e *Engine) walkChanges(s *work.Task, differs func(key string, info fs.FileInfo, known index.Entry) bool) error {
	return e.trees[s.Root].Walk(s.Rel, local.Visit{
		Dir: func(rel string) bool { return e.ctx.Err() == nil && (rel == "" || !e.site.SkipDir(s.Root, rel)) },
		File: func(rel string, info fs.FileInfo) error {
			if err := e.ctx.Err(); err != nil {
				return err
			}
			key := e.site.Key(s.Root, rel)
			if e.site.Class(key, nil) == media.Ignored {
				return nil
			}
			known, ok := e.index.Get(key)
			if !ok {
				known, _ = e.fromMark(key)
			}
			if !differs(key, info, known) {
				return nil
			}
			now := time.Now()
			e.queue.Lock()
			defer e.queue.Unlock()
			it, _ := e.queue.Change(work.File, key, s.Root, rel, now)
			it.Complete, it.Wrote = true, true
			e.soil(it)
			e.queue.Schedule(it, now)
			return nil
		},
		Err: func(rel string, err error) {
			if !errors.Is(err, fs.ErrNotExist) {
				e.log().Warn("a directory of a media root cannot be read", keyDir, e.site.Key(s.Root, rel), keyError, err)
			}
		},
	})
}
