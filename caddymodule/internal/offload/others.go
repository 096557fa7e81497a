package offload

import (
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// maxHeard bounds the items of others' changes; beyond it disk and bucket are
// compared as a whole instead.
const maxHeard = 50_000

// everyDir stands in the change log for all media roots: no app's directory has
// this name, because what begins with a dot is no media.
const everyDir = ".media-offload"

// apply puts others' changes into the queue.
func (e *Engine) apply(changes []changelog.Change) {
	now := time.Now()
	e.queue.Lock()
	defer e.queue.Unlock()
	for i := range changes {
		e.hear(&changes[i], now)
	}
}

// hear puts one change of another node into the queue, whose lock the caller
// holds.
func (e *Engine) hear(c *changelog.Change, now time.Time) {
	if c.Op == changelog.DeleteBelow && c.Key == everyDir {
		e.recon.want(e.recon.blur(everything), window{})
		return
	}
	if c.Op == changelog.DeleteBelow {
		if dir, ok := e.letInDir(c.Key); ok {
			e.goneDirs.Add(c.Key, struct{}{})
			e.recon.want(e.recon.blur(scope{dir.root, dir.rel}), window{})
		}
		return
	}
	f, ok := e.letIn(c.Key)
	if !ok {
		return
	}
	known, _ := e.index.Peek(c.Key)
	x := index.Entry{State: index.Removed, Class: known.Class}
	it := work.News{Why: verdict.DeletedElsewhere, Version: c.ETag}
	e.countHeard(c, known)
	if c.Op == changelog.Delete {
		e.withheld.Remove(c.Key)
	}
	if c.Op == changelog.Delete && c.ETag != "" {
		e.names.Contested(c.Key, c.ETag)
	}
	if c.Op == changelog.Delete && c.ETag != "" && known.Over == c.ETag && known.ETag != c.ETag {
		// The other node deleted what this one had just replaced, and may have
		// hit the new version.
		it.Why = verdict.OtherDeleted
	}
	if c.Op == changelog.Put {
		x = index.Entry{State: index.Announced, Class: f.believe(c.Class), Size: c.Size, ETag: c.ETag}
		if !c.ModTime.IsZero() {
			x.ModTime = c.ModTime.UnixNano()
		}
		it = work.News{Why: verdict.PutElsewhere, Version: c.ETag, Told: c.ETag, Under: x.Class, Size: c.Size}
		e.keepDirs(c.Key)
	}
	here := known.State == index.Committed && known.ETag == c.ETag && known.Class == x.Class && c.Op == changelog.Put
	if known.State != index.Dirty && !here {
		e.index.Set(c.Key, x)
	}
	if e.queue.HeardSize() >= maxHeard {
		e.recon.want(e.recon.blur(everything), window{})
		return
	}
	e.recon.touch(c.Key)
	e.queue.Schedule(e.queue.Hear(f.key, f.root, f.rel, it, now), now)
}

// keepDirs notes that the directories of a key are there again.
func (e *Engine) keepDirs(key string) {
	if e.goneDirs.Len() == 0 {
		return
	}
	for dir, _ := bucket.SplitKey(key); dir != ""; dir, _ = bucket.SplitKey(dir) {
		e.goneDirs.Remove(dir)
	}
}
