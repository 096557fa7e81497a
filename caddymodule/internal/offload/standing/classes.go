package standing

import (
	"log/slog"
	"path"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
)

// Classes tells the classes of keys.
type Classes struct {
	site  *media.Site
	trees []*local.Tree // by root
	index *index.Index
	marks *Marks
	log   func() *slog.Logger

	htaccess *htaccessFiles
	said     *lru.Cache[string, struct{}] // what the log has told
}

// NewClasses returns what tells the classes of the keys of a site.
func NewClasses(site *media.Site, trees []*local.Tree, known *index.Index, marks *Marks, log func() *slog.Logger) *Classes {
	c := &Classes{site: site, trees: trees, index: known, marks: marks, log: log, said: newLRU[struct{}](1024)}
	c.htaccess = &htaccessFiles{look: c.readHtaccess, cache: newLRU[*media.Htaccess](1 << 14)}
	return c
}

// Reset forgets what .htaccess files say, because one or a directory changed.
func (c *Classes) Reset() { c.htaccess.reset() }

// Rule returns the class of a key by its name and the .htaccess files on disk.
func (c *Classes) Rule(key string) media.Class { return c.site.Class(key, c.htaccess.of) }

// Of returns the class of a key by the rules and, where they would publish
// the file, by what is known of its object's place.
func (c *Classes) Of(key string) index.Standing {
	class := c.Rule(key)
	if class == media.Public && c.isKept(key) {
		return index.Standing{Class: media.Private, Kept: true}
	}
	return index.Standing{Class: class}
}

// isKept reports whether a file of which the rules say that it is public stays
// private. It is known from memory or from the mark on the file; a file that
// replaced it or was changed since is still one of that name.
func (c *Classes) isKept(key string) bool {
	if c.site.SaidPublic(key) {
		return false
	}
	if x, ok := c.index.Get(key); ok && (x.Kept || x.State == index.Committed) {
		return x.Kept
	}
	root, rel, ok := c.site.Locate(key)
	if !ok {
		return false
	}
	m, ok := c.trees[root].Mark(rel)
	return ok && m.Class == index.LetterKept && m.Binding == c.marks.Binding(key)
}

// bearsKept is isKept for a file by any name, also that of a link to it or of a
// directory above it.
func (c *Classes) bearsKept(key string, root int, rel string) bool {
	if c.site.SaidPublic(key) {
		return false
	}
	if x, ok := c.index.Get(key); ok && (x.Kept || x.State == index.Committed) {
		return x.Kept
	}
	m, ok := c.trees[root].MarkBehind(rel)
	return ok && m.Class == index.LetterKept
}

// UnderPlace is the standing of a file whose object was seen under a class, where
// the rules say rule.
func (c *Classes) UnderPlace(key string, rule, under media.Class) index.Standing {
	if under == media.Private && rule == media.Public && !c.site.SaidPublic(key) {
		return index.Standing{Class: media.Private, Kept: true}
	}
	return index.Standing{Class: under}
}

// SayKept logs once for each directory that files in it stay private.
func (c *Classes) SayKept(key string) {
	dir := path.Dir(key)
	if said, _ := c.said.ContainsOrAdd("\x00kept\x00"+dir, struct{}{}); said {
		return
	}
	c.log().Warn("files of a folder are private in the bucket, and no .htaccess on this server says so: they stay private. "+
		"What the app writes there on this server is public, unless the option `private` names the folder; `public` opens it",
		"dir", dir)
}

// Own returns the class under which this disk's rules had a file stored, as
// memory or its mark tell; not ok if nothing does, or if it was kept.
func (c *Classes) Own(root int, rel, key string) (class media.Class, ok bool) {
	if x, known := c.index.Get(key); known && x.Based() {
		return x.Class, !x.Kept
	}
	m, marked := c.trees[root].Mark(rel)
	if !marked || m.Binding != c.marks.Binding(key) || m.Class == index.LetterKept {
		return media.Ignored, false
	}
	return index.ClassOf(m.Class), true
}

// Closed reports whether the file of a key must not be sent at its own URL, see
// media.Site.Closed. What lies behind a symlink that leads out of the root is
// judged by its name alone: the .htaccess there is not read. So are the module's own
// files, which tell of private ones.
func (c *Classes) Closed(key string) bool {
	if c.site.Closed(key, nil) || local.Own(key) {
		return true
	}
	root, rel, ok := c.site.Locate(key)
	return ok && (c.site.Closed(key, c.htaccess.of) && c.inTree(root, rel) || c.bearsKept(key, root, rel))
}

// inTree reports whether a file or directory, or the directory that it is in,
// lies in the root.
func (c *Classes) inTree(root int, rel string) bool {
	tree := c.trees[root]
	if _, err := tree.Stat(rel); err == nil {
		return true
	}
	for _, dir := range [...]string{rel, path.Dir("/" + rel)[1:]} {
		if _, err := tree.StatDir(dir); err == nil {
			return true
		}
	}
	return false
}

// newLRU returns a cache of a size that is known to be positive.
func newLRU[T any](size int) *lru.Cache[string, T] {
	cache, err := lru.New[string, T](size)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return cache
}
