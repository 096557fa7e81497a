package offload

import (
	"context"
	"iter"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/health"
)

// The door. Whoever can write to the bucket can put any name there. So each key
// that comes from it passes letIn, and what does not pass is as if it were not
// there: it is not fetched, not deleted and not remembered. Names come by these
// ways:
//
//   - listings of media: all go through objects. They serve reconcile, restore,
//     the deletes of what was below a directory, and the look for names that
//     resemble an upload's;
//   - the trash: newTrash;
//   - entries of the change log: hear, which gets them from package changelog. That
//     package bounds their size and refuses what is no entry;
//   - no other: a lease's name is a number that this program chose; a lease, an
//     object's metadata and its ETag hold no key, and content that is kept aside is
//     never read back.
//
// Behind it an item's class is asked for again when it is worked on (converge),
// knowing the .htaccess files, and a last time package local refuses to give a
// file such a name, whoever asks for it.
//
// (Promise 7: "Whoever can write to the bucket can change media and nothing
// else".)

// foreign is a key that came from the bucket and was let in.
type foreign struct {
	key  string
	root int
	rel  string
	// class is the most that its name allows: see believe.
	class media.Class
}

// letIn is the door for the key of a file.
func (e *Engine) letIn(key string) (f foreign, ok bool) {
	if f, ok = e.named(key); !ok {
		e.turnAway(key)
	}
	return f, ok
}

// named is letIn for a key that the admin named: the log says nothing of it.
func (e *Engine) named(key string) (f foreign, ok bool) {
	root, rel, class, ok := e.site.Admit(key)
	if !ok {
		return foreign{}, false
	}
	return foreign{key, root, rel, class}, true
}

// letInDir is the door for the key of a directory.
func (e *Engine) letInDir(key string) (f foreign, ok bool) {
	root, rel, ok := e.site.AdmitDir(key)
	if !ok {
		e.turnAway(key)
		return foreign{}, false
	}
	return foreign{key: key, root: root, rel: rel}, true
}

// turnAway says once that there are such names.
func (e *Engine) turnAway(key string) {
	e.count.turnedAway.Do(func() {
		e.log().Warn("the bucket names what is no name of media here, such as a script or what the configuration ignores; it is left alone, as are others like it",
			keyKey, key)
	})
}

// believe returns the class of an object of which the bucket says that it has
// class c: what a name makes private is never public.
func (f foreign) believe(c media.Class) media.Class {
	if f.class == media.Private {
		return media.Private
	}
	return c
}

// object is one of a listing of media.
type object struct {
	foreign
	bucket.Info
}

// objects lists the objects of a class whose keys begin with below. Errors are those of
// bucket.Store.List.
func (e *Engine) objects(ctx context.Context, class media.Class, below string) iter.Seq2[object, error] {
	return func(yield func(object, error) bool) {
		prefix := e.objectName("", class)
		var left []string
		defer func() { e.removeTrials(ctx, left) }()
		for info, err := range e.store.List(ctx, prefix+below, "") {
			if err != nil {
				if yield(object{}, err) && bucket.IsUnlisted(err) {
					continue
				}
				return
			}
			if key := info.Key[len(prefix):]; health.IsTrial(key) {
				if e.health.Left(class, key, info.Stored) && len(left) < deleteBatch {
					left = append(left, info.Key)
				}
				continue
			}
			f, ok := e.letIn(info.Key[len(prefix):])
			if ok && !yield(object{f, info}, nil) {
				return
			}
		}
	}
}

// removeTrials deletes what trials of nodes that never came back have left.
func (e *Engine) removeTrials(ctx context.Context, names []string) {
	if len(names) == 0 {
		return
	}
	if err := e.store.Delete(ctx, names...); err != nil {
		e.log().Debug("removing what trials have left in the bucket", keyError, err) // the next listing shows them again
	}
}
