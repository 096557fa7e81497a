package deletes

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/health"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/trash"
)

// Object is one of a file that is missing on this disk.
type Object struct {
	Key   string
	Root  int
	Class media.Class
	Info  bucket.Info

	// Copied: it is in the trash already.
	Copied bool
	// Since its delete is withheld.
	Since time.Time
}

// Site is what settling needs of those who have files and objects. Where it deals with
// several objects it returns how many it has dealt with, and the first error.
type Site interface {
	// Missing lists the objects below a directory of a root of which there is no file. A
	// non-nil error ends it, but for a [bucket.UnlistedError].
	Missing(ctx context.Context, root int, dir string, class media.Class) iter.Seq2[Object, error]
	// Find returns the object of a file that is missing, or [bucket.ErrNotFound].
	Find(key string) (Object, error)
	// Shared reports whether there may be other nodes.
	Shared() bool
	// Delete deletes objects by way of the trash, and tells other nodes, if there are any.
	Delete(all []Object) (n int, err error)
	// Tell tells them of deletes, by key and ETag, unless there is a file again.
	Tell(etags map[string]string) error
	// Fetch puts files on this disk that went from it, and no other.
	Fetch(ctx context.Context, all []Object) (n int, err error)
	// Bring puts a file on this disk, whoever knows of its object.
	Bring(ctx context.Context, o Object) error
	// Settled is called when all that was withheld was dealt with, or some of it.
	Settled(all bool)
}

// Batch is how many objects one request removes (S3: at most 1,000).
const Batch = 1000

// Settler does with what is withheld what the admin says.
type Settler struct {
	withheld *Withheld
	trash    *trash.Trash
	site     Site
}

// NewSettler returns one for what is withheld here.
func NewSettler(withheld *Withheld, trash *trash.Trash, site Site) *Settler {
	return &Settler{withheld, trash, site}
}

// List yields the objects that Accept would delete. A non-nil error ends the sequence, but
// for a [bucket.UnlistedError]: it goes on behind what that names.
func (s *Settler) List(ctx context.Context) iter.Seq2[Object, error] { return s.list(ctx, time.Now()) }

func (s *Settler) list(ctx context.Context, upTo time.Time) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		for root := range s.withheld.noted {
			for _, class := range []media.Class{media.Public, media.Private} {
				for o, err := range s.listIn(ctx, root, class, upTo) {
					if !yield(o, err) || err != nil && !bucket.IsUnlisted(err) {
						return
					}
				}
			}
		}
	}
}

// listIn lists the objects of a root's files whose deletes were withheld up to a time.
func (s *Settler) listIn(ctx context.Context, root int, class media.Class, upTo time.Time) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		dir, ok := s.withheld.Below(root, upTo)
		if !ok {
			return
		}
		for o, err := range s.site.Missing(ctx, root, dir, class) {
			if err == nil {
				d, ok := s.withheld.Get(o.Key)
				if !ok || !d.Covers(o.Info.Stored) || d.Time.After(upTo) {
					continue
				}
				o.Since = d.Time
			}
			if !yield(o, err) {
				return
			}
		}
	}
}

// Accept deletes the objects, by way of the trash. What an earlier try, of a process that
// was killed, has done is not done again.
func (s *Settler) Accept(ctx context.Context) (deleted int, err error) {
	copied, err := s.copied(ctx)
	if err != nil {
		return 0, err
	}
	accept := func(ctx context.Context, found []Object) (int, error) {
		for i := range found {
			if t, ok := copied[found[i].Key]; ok {
				is, err := s.trash.IsOf(ctx, t, found[i].Info)
				found[i].Copied = is && err == nil
			}
		}
		return s.site.Delete(found)
	}
	return s.settle(ctx, accept, func(upTo time.Time) error { return s.tell(s.withheld.Before(upTo), copied) })
}

// Refuse brings back the files.
func (s *Settler) Refuse(ctx context.Context) (brought int, err error) {
	return s.settle(ctx, s.site.Fetch, func(time.Time) error { return nil })
}

// settle has do deal with all that is withheld by now, and end with what is left. An error
// of one is that one's: its delete is still withheld.
func (s *Settler) settle(ctx context.Context, do func(ctx context.Context, found []Object) (n int, err error), end func(upTo time.Time) error) (n int, err error) {
	upTo := time.Now()
	for found, failed := range InBatches(s.list(ctx, upTo)) {
		done := 0
		if failed == nil {
			done, failed = do(ctx, found)
		}
		n += done
		if err = cmp.Or(err, failed); health.IsOfStore(failed) {
			break
		}
	}
	if err == nil {
		err = end(upTo)
	}
	if err == nil {
		s.withheld.Forget(upTo)
	}
	s.site.Settled(err == nil)
	return n, err
}

// RefuseOne brings back the file of a key whose delete is withheld, and reports whether it
// is one.
func (s *Settler) RefuseOne(ctx context.Context, key string) (withheld bool, err error) {
	o, err := s.site.Find(key)
	switch {
	case errors.Is(err, bucket.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	case !s.withheld.Covers(key, o.Info.Stored):
		return false, nil
	}
	return true, s.site.Bring(ctx, o)
}

// Tell tells the other nodes of those deletes that the admin accepted when the process was
// killed: those of keys that have no object.
func (s *Settler) Tell(ctx context.Context, keys []string) error {
	if len(keys) == 0 || !s.site.Shared() {
		return nil
	}
	copied, err := s.copied(ctx)
	if err != nil {
		return err
	}
	return s.tell(keys, copied)
}

func (s *Settler) tell(keys []string, copied map[string]trash.Item) error {
	etags := make(map[string]string)
	for _, key := range keys {
		if t, ok := copied[key]; ok {
			etags[key] = t.ETag()
		}
	}
	if len(etags) == 0 {
		return nil
	}
	return s.site.Tell(etags)
}

// copied lists what is in the trash of files whose deletes are withheld here: the admin
// accepted them, and that was not completed.
func (s *Settler) copied(ctx context.Context) (copied map[string]trash.Item, err error) {
	copied = make(map[string]trash.Item)
	if s.withheld.Len() == 0 {
		return copied, nil
	}
	for t, err := range s.trash.List(ctx) {
		if bucket.IsUnlisted(err) {
			continue // it is copied twice
		}
		if err != nil {
			return nil, err
		}
		d, ok := s.withheld.Get(t.Key)
		if ok && t.Reason == trash.Accepted && !t.Deleted.Before(d.Time.Truncate(time.Second)) {
			copied[t.Key] = t
		}
	}
	return copied, nil
}

// InBatches yields what a listing yields, that many at a time as one request deletes, and
// the errors of the listing in between. A batch is valid until the next.
func InBatches[T any](all iter.Seq2[T, error]) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		var batch []T
		for o, err := range all {
			if err != nil {
				if !yield(nil, err) {
					return
				}
				continue
			}
			if batch = append(batch, o); len(batch) == Batch {
				if !yield(batch, nil) {
					return
				}
				batch = batch[:0]
			}
		}
		if len(batch) > 0 {
			yield(batch, nil)
		}
	}
}
