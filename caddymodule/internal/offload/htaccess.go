package offload

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// htaccessLimit is how much of an .htaccess is read.
const htaccessLimit = 64 << 10

// htaccessFiles remembers what the .htaccess of each directory says. It is filled
// by looking, when a directory is first asked for.
type htaccessFiles struct {
	look  func(dirKey string) *media.Htaccess
	mu    sync.Mutex
	epoch uint64 // counts resets: a look that began before one is not kept
	cache *lru.Cache[string, *media.Htaccess]
}

func newHtaccessFiles(look func(string) *media.Htaccess) *htaccessFiles {
	return &htaccessFiles{look: look, cache: newLRU[*media.Htaccess](1 << 14)}
}

// of is media.HtaccessOf.
func (h *htaccessFiles) of(dirKey string) *media.Htaccess {
	if found, ok := h.cache.Get(dirKey); ok {
		return found
	}
	h.mu.Lock()
	epoch := h.epoch
	h.mu.Unlock()
	found := h.look(dirKey)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.epoch == epoch {
		h.cache.Add(dirKey, found)
	}
	return found
}

// reset forgets all, because an .htaccess or a directory changed.
func (h *htaccessFiles) reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.epoch++
	h.cache.Purge()
}

// readHtaccess reads the .htaccess of a directory. One that cannot be read, or is
// too long, counts as one that closes all: private stays private.
func (e *Engine) readHtaccess(dirKey string) *media.Htaccess {
	root, rel, ok := e.site.Locate(dirKey)
	if !ok {
		return nil
	}
	name := path.Join(rel, htaccess)
	text, err := e.trees[root].ReadSmall(name, htaccessLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && len(text) == htaccessLimit {
		err = errors.New("it is too long")
	}
	if err != nil {
		e.sayHtaccess(root, name, 0, err.Error())
		return media.ClosedHtaccess()
	}
	found := media.ParseHtaccess(text)
	for _, p := range found.Undecided() {
		e.sayHtaccess(root, name, p.Line, p.Text)
		break // one is enough to look at the file
	}
	if rel == "" && e.site.Closed(e.site.Key(root, "picture.jpg"), func(dir string) *media.Htaccess {
		if dir == dirKey {
			return found
		}
		return nil
	}) {
		e.log().Warn("the .htaccess of a media root lets nobody read its pictures, so they are private and no page is rewritten; "+
			"if the files are meant to be public, change it, or name them in the option `public`", keyDir, e.trees[root].Dir())
	}
	if found.Plain() {
		return nil
	}
	return found
}

// sayHtaccess logs once what of an .htaccess cannot be decided.
func (e *Engine) sayHtaccess(root int, name string, line int, text string) {
	if said, _ := e.said.ContainsOrAdd(fmt.Sprintf("%d\x00%s\x00%d\x00%s", root, name, line, text), struct{}{}); said {
		return
	}
	e.log().Warn("an .htaccess says what only Apache could decide; what it may close is private. "+
		"If that is meant to be public, name it in the option `public`",
		keyFile, path.Join(e.trees[root].Dir(), name), "line", line, "text", text)
}
