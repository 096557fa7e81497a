package offload

import (
	"cmp"
	"context"
	"fmt"
	"iter"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/deletes"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/trash"
)

// Withheld is what waits for the admin's word, and does what that says.
func (e *Engine) Withheld() *deletes.Settler { return e.settler }

// withheldSite is what settling may ask of the engine.
type withheldSite struct{ e *Engine }

// Missing implements [deletes.Site].
func (s withheldSite) Missing(ctx context.Context, root int, dir string, class media.Class) iter.Seq2[deletes.Object, error] {
	return func(yield func(deletes.Object, error) bool) {
		for o, err := range s.e.missingBelow(ctx, root, dir, class) {
			if !yield(deletes.Object{Key: o.key, Root: root, Class: class, Info: o.Info}, err) {
				return
			}
		}
	}
}

// Find implements [deletes.Site].
func (s withheldSite) Find(key string) (deletes.Object, error) {
	f, ok := s.e.named(key)
	if !ok {
		return deletes.Object{}, bucket.ErrNotFound
	}
	if _, err := s.e.trees[f.root].Stat(f.rel); err == nil {
		return deletes.Object{}, bucket.ErrNotFound
	}
	info, class, err := s.e.headAny(key, media.Public, true)
	return deletes.Object{Key: key, Root: f.root, Class: class, Info: info}, err
}

// Delete implements [deletes.Site].
func (s withheldSite) Delete(all []deletes.Object) (n int, err error) {
	going := make([]departing, len(all))
	for i, o := range all {
		going[i] = departing{key: o.Key, names: []string{o.Info.Key}, etag: o.Info.ETag}
		if !o.Copied {
			going[i].reason = trash.Accepted
		}
	}
	return s.e.deleteListedNow(going)
}

// Shared implements [deletes.Site].
func (s withheldSite) Shared() bool { return s.e.shared() }

// Tell implements [deletes.Site].
func (s withheldSite) Tell(etags map[string]string) error {
	var changes []changelog.Change
	for key, etag := range etags {
		if trashSite(s).StatFile(key) != nil {
			changes = append(changes, changelog.Change{Op: changelog.Delete, Key: key, ETag: etag})
		}
	}
	if len(changes) == 0 {
		return nil
	}
	return s.e.announce(changes)
}

// Fetch implements [deletes.Site].
func (s withheldSite) Fetch(ctx context.Context, all []deletes.Object) (n int, err error) {
	for i, failed := range sideBySide(len(all), func(i int) error {
		return s.fetch(ctx, all[i], s.e.fetch)
	}) {
		if failed == nil {
			n++
			continue
		}
		err = cmp.Or(err, fmt.Errorf("bringing back %s: %w", all[i].Key, failed))
	}
	return n, err
}

// Bring implements [deletes.Site].
func (s withheldSite) Bring(ctx context.Context, o deletes.Object) error {
	return s.fetch(ctx, o, s.e.bringNow)
}

func (s withheldSite) fetch(ctx context.Context, o deletes.Object, by func(context.Context, object, media.Class) error) error {
	f, ok := s.e.named(o.Key)
	if !ok {
		return bucket.ErrNotFound
	}
	return by(ctx, object{f, o.Info}, o.Class)
}

// Settled implements [deletes.Site].
func (s withheldSite) Settled(all bool) {
	if all {
		s.e.unattended.Forget()
	}
	s.e.noteDeletes()
}

// missingBelow lists the objects below the directory dir of a root of which there
// is no file. A non-nil error ends it, but for a [bucket.UnlistedError].
func (e *Engine) missingBelow(ctx context.Context, root int, dir string, class media.Class) iter.Seq2[object, error] {
	if dir != "" {
		dir += "/"
	}
	return func(yield func(object, error) bool) {
		for o, err := range e.objects(ctx, class, dir) {
			if err != nil {
				if yield(object{}, err) && bucket.IsUnlisted(err) {
					continue
				}
				return
			}
			if o.root != root {
				continue
			}
			if _, err := e.trees[root].Stat(o.rel); err != nil && !yield(o, nil) {
				return
			}
		}
	}
}
