package standing

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// htaccessName is the name of such a file.
const htaccessName = ".htaccess"

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
func (c *Classes) readHtaccess(dirKey string) *media.Htaccess {
	root, rel, ok := c.site.Locate(dirKey)
	if !ok {
		return nil
	}
	name := path.Join(rel, htaccessName)
	text, err := c.trees[root].ReadSmall(name, htaccessLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && len(text) == htaccessLimit {
		err = errors.New("it is too long")
	}
	if err != nil {
		c.sayHtaccess(root, name, 0, err.Error())
		return media.ClosedHtaccess()
	}
	found := media.ParseHtaccess(text)
	for _, p := range found.Undecided() {
		c.sayHtaccess(root, name, p.Line, p.Text)
		break // one is enough to look at the file
	}
	if rel == "" && c.site.Closed(c.site.Key(root, "picture.jpg"), func(dir string) *media.Htaccess {
		if dir == dirKey {
			return found
		}
		return nil
	}) {
		c.log().Warn("the .htaccess of a media root lets nobody read its pictures, so they are private and no page is rewritten; "+
			"if the files are meant to be public, change it, or name them in the option `public`", "dir", c.trees[root].Dir())
	}
	if found.Plain() {
		return nil
	}
	return found
}

// sayHtaccess logs once what of an .htaccess cannot be decided.
func (c *Classes) sayHtaccess(root int, name string, line int, text string) {
	if said, _ := c.said.ContainsOrAdd(fmt.Sprintf("%d\x00%s\x00%d\x00%s", root, name, line, text), struct{}{}); said {
		return
	}
	c.log().Warn("an .htaccess says what only Apache could decide; what it may close is private. "+
		"If that is meant to be public, name it in the option `public`",
		"file", path.Join(c.trees[root].Dir(), name), "line", line, "text", text)
}
