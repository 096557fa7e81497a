package offload

import (
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
)

// settlesPrivate reports whether a file that the rules call public, and whose only
// object a reconcile found among the private ones, is that very object's: nothing
// on this disk says under which class it was stored. So it is with files that a
// backup brought. The index then knows it as kept.
func (p *pass) settlesPrivate(root int, rel, key string, private *bucket.Info) bool {
	e := p.e
	if _, ok := e.classes.Own(root, rel, key); ok || e.site.SaidPublic(key) {
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
	if class, ok := p.e.classes.Own(root, rel, key); ok && class == media.Private {
		return nil, private.Key, false // the .htaccess that closed it is gone
	}
	return nil, "", p.shared
}
