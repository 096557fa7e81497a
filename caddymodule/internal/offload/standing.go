package offload

import (
	"path"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
)

// rule returns the class of a key by its name and the .htaccess files on disk.
func (e *Engine) rule(key string) media.Class { return e.site.Class(key, e.htaccess.of) }

// standing returns the class of a key by the rules and, where they would publish
// the file, by what is known of its object's place.
func (e *Engine) standing(key string) index.Standing {
	class := e.rule(key)
	if class == media.Public && e.isKept(key) {
		return index.Standing{Class: media.Private, Kept: true}
	}
	return index.Standing{Class: class}
}

// Class returns the class of key, knowing the .htaccess files on disk, and which
// files were brought from among the private objects.
func (e *Engine) Class(key string) media.Class { return e.standing(key).Class }

// isKept reports whether a file of which the rules say that it is public stays
// private. It is known from memory or from the mark on the file; a file that
// replaced it or was changed since is still one of that name.
func (e *Engine) isKept(key string) bool {
	if e.site.SaidPublic(key) {
		return false
	}
	if x, ok := e.index.Get(key); ok && (x.Kept || x.State == index.Committed) {
		return x.Kept
	}
	root, rel, ok := e.site.Locate(key)
	if !ok {
		return false
	}
	m, ok := e.trees[root].Mark(rel)
	return ok && m.Class == index.LetterKept && m.Binding == e.binding(key)
}

// bearsKept is isKept for a file by any name, also that of a link to it or of a
// directory above it.
func (e *Engine) bearsKept(key string, root int, rel string) bool {
	if e.site.SaidPublic(key) {
		return false
	}
	if x, ok := e.index.Get(key); ok && (x.Kept || x.State == index.Committed) {
		return x.Kept
	}
	m, ok := e.trees[root].MarkBehind(rel)
	return ok && m.Class == index.LetterKept
}

// underPlace is the standing of a file whose object was seen under a class, where
// the rules say rule.
func (e *Engine) underPlace(key string, rule, under media.Class) index.Standing {
	if under == media.Private && rule == media.Public && !e.site.SaidPublic(key) {
		return index.Standing{Class: media.Private, Kept: true}
	}
	return index.Standing{Class: under}
}

// sayKept logs once for each directory that files in it stay private.
func (e *Engine) sayKept(key string) {
	dir := path.Dir(key)
	if said, _ := e.said.ContainsOrAdd("\x00kept\x00"+dir, struct{}{}); said {
		return
	}
	e.log().Warn("files of a folder are private in the bucket, and no .htaccess on this server says so: they stay private. "+
		"What the app writes there on this server is public, unless the option `private` names the folder; `public` opens it",
		keyDir, dir)
}

// ownClass returns the class under which this disk's rules had a file stored, as
// memory or its mark tell; not ok if nothing does, or if it was kept.
func (e *Engine) ownClass(root int, rel, key string) (class media.Class, ok bool) {
	if x, known := e.index.Get(key); known && x.Based() {
		return x.Class, !x.Kept
	}
	m, marked := e.trees[root].Mark(rel)
	if !marked || m.Binding != e.binding(key) || m.Class == index.LetterKept {
		return media.Ignored, false
	}
	return index.ClassOf(m.Class), true
}

// settlesPrivate reports whether a file that the rules call public, and whose only
// object a reconcile found among the private ones, is that very object's: nothing
// on this disk says under which class it was stored. So it is with files that a
// backup brought. The index then knows it as kept.
func (p *pass) settlesPrivate(root int, rel, key string, private *bucket.Info) bool {
	e := p.e
	if _, ok := e.ownClass(root, rel, key); ok || e.site.SaidPublic(key) {
		return false
	}
	e.queue.Lock()
	defer e.queue.Unlock()
	if e.recon.touched(key) || e.queue.At(key) != nil {
		return false
	}
	e.index.Set(key, index.Entry{State: index.Dirty, Class: media.Private, Kept: true, Size: private.Size, ETag: private.ETag})
	return true
}

// placed tells of a file's objects which is its own, which one is to go once that is
// committed, and whether the file may have to become what its object is: see
// follow.
func (p *pass) placed(root int, rel, key string, st index.Standing, public, private *bucket.Info) (own *bucket.Info, misplaced string, follow bool) {
	switch {
	case st.Kept:
		// Other nodes, or an admin, may have moved it to the public ones.
		return private, "", p.shared && private == nil && public != nil
	case st.Class == media.Private:
		if public != nil {
			misplaced = public.Key // what is private must not stay public
		}
		return private, misplaced, false
	case private == nil:
		return public, "", false
	case public != nil:
		if public.ETag == private.ETag {
			misplaced = private.Key // what a killed process left
		}
		return public, misplaced, false
	}
	if class, ok := p.e.ownClass(root, rel, key); ok && class == media.Private {
		return nil, private.Key, false // the .htaccess that closed it is gone
	}
	return nil, "", p.shared
}
