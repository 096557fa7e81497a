package offload

import (
	"path"
	"sync/atomic"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/watch"
)

// Ignored counts files that stay on disk, by the reason (media.Reason).
type Ignored struct {
	// Written since Start, as far as their directories are watched.
	Written [media.Reasons]uint64
	// Found by the last comparison of everything. A directory of which all is
	// ignored counts as one.
	Found [media.Reasons]uint64
}

// ignoredCount is Ignored while it is being counted.
type ignoredCount struct{ written, found [media.Reasons]atomic.Uint64 }

func (c *ignoredCount) stats() (s Ignored) {
	for i := range media.Reasons {
		s.Written[i], s.Found[i] = c.written[i].Load(), c.found[i].Load()
	}
	return s
}

// noteIgnored counts what was written and stays on disk. The first file that a
// rule keeps there while a request runs gets a line in the log: a file that a
// visitor was meant to get must not be missing elsewhere without a word.
func (e *Engine) noteIgnored(events []watch.Event, during bool) {
	for _, ev := range events {
		if ev.Op != watch.Wrote || local.Own(ev.Path) {
			continue
		}
		key := e.site.Key(ev.Root, ev.Path)
		reason, ok := e.site.Ignored(key)
		if !ok {
			continue
		}
		e.count.ignored.written[reason].Add(1)
		if during && e.firstIgnored("", reason.String(), path.Dir(key), path.Ext(key)) {
			e.tellIgnored(key)
		}
	}
}

// tellIgnored logs that a file stays on disk, once for each rule.
func (e *Engine) tellIgnored(key string) {
	rule, ok := e.site.IgnoredBy(key)
	if !ok || !e.firstIgnored("rule", rule.Reason.String(), rule.Pattern, "") {
		return
	}
	switch rule.Reason {
	case media.ByName:
		e.log().Info("a file stays on this disk only, because a web server might run it or obey it; others like it are not logged", keyKey, key)
	case media.ByOption:
		e.log().Info("a file stays on this disk only, because a pattern of the option ignore fits; others like it are not logged",
			keyKey, key, keyPattern, rule.Pattern)
	default:
		e.log().Info("a file stays on this disk only, because a pattern of the app's preset fits; the option public takes patterns of files to be stored all the same; others like it are not logged",
			keyKey, key, keyPattern, rule.Pattern)
	}
}

// firstIgnored reports whether this is new. What is forgotten is told again.
func (e *Engine) firstIgnored(words ...string) bool {
	key := path.Join(words...)
	if e.ignoredTold.Contains(key) {
		return false
	}
	e.ignoredTold.Add(key, struct{}{})
	return true
}
