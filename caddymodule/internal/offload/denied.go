package offload

import (
	"errors"
	"io/fs"
	"path"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// htaccessLimit is how much of an .htaccess is read.
const htaccessLimit = 64 << 10

// denied remembers which directories have an .htaccess that denies all. It is
// filled by looking, when a directory is first asked for.
type denied struct {
	look  func(dirKey string) bool
	mu    sync.Mutex
	epoch uint64 // counts resets: a look that began before one is not kept
	cache *lru.Cache[string, bool]
}

func newDenied(look func(string) bool) *denied {
	return &denied{look: look, cache: newLRU[bool](1 << 14)}
}

// is reports whether the directory with this key denies all.
func (d *denied) is(dirKey string) bool {
	if yes, ok := d.cache.Get(dirKey); ok {
		return yes
	}
	d.mu.Lock()
	epoch := d.epoch
	d.mu.Unlock()
	yes := d.look(dirKey)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.epoch == epoch {
		d.cache.Add(dirKey, yes)
	}
	return yes
}

// reset forgets all, because an .htaccess or a directory changed.
func (d *denied) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.epoch++
	d.cache.Purge()
}

// readHtaccess reports whether a directory denies all. What cannot be read or
// is too long to be understood counts as denying: private stays private.
func (e *Engine) readHtaccess(dirKey string) bool {
	root, rel, ok := e.site.Locate(dirKey)
	if !ok {
		return false
	}
	text, err := e.trees[root].ReadSmall(path.Join(rel, htaccess), htaccessLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return e.cfg.Local == LocalAll && e.trees[root].DirNote(rel, local.AttrPrivate) != ""
	}
	denies := err != nil || len(text) == htaccessLimit || media.DeniesAll(text)
	if denies && rel == "" {
		e.log().Warn("the .htaccess of a media root denies all, so everything below is private and no page is rewritten; "+
			"if the files are meant to be public, change it", keyDir, e.trees[root].Dir())
	}
	return denies
}
