package offload

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/trash"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// What is deleted outside a request, by a person at the shell or a program, goes by way of
// the trash: nobody waits for an answer to such a delete, and a mistake is found out later.
// A file goes there from the disk that is removed because its object is gone, if no node
// has told that it deleted that.

// newTrash returns the trash of this bucket.
func (e *Engine) newTrash() *trash.Trash {
	return trash.New(trash.Config{
		Store: e.store, Control: e.control, Prefix: e.cfg.ControlPrefix + "trash/",
		KeyOf: e.keyOf,
		Admit: func(key string, class media.Class) (media.Class, bool) {
			f, ok := e.letIn(key)
			return f.believe(class), ok
		},
		SideBySide: sideBySide, TimeFor: putTime, Site: trashSite{e},
	})
}

// Trash is what was deleted, and can be taken back.
func (e *Engine) Trash() *trash.Trash { return e.trash }

// keyOf is the key and class of the media object of a name.
func (e *Engine) keyOf(name string) (key string, class media.Class, ok bool) {
	for _, class := range []media.Class{media.Public, media.Private} {
		if key, ok := strings.CutPrefix(name, e.objectName("", class)); ok {
			return key, class, true
		}
	}
	return "", 0, false
}

// trashFile stores a file in the trash that has no object, as that would lie there.
func (e *Engine) trashFile(s *work.Task, x *sight) error {
	sum, err := x.md5()
	if err != nil {
		return fmt.Errorf("storing %s in the trash: %w", s.Key, err)
	}
	now := x.entry("")
	now.Found = e.inspect(s.Key, x.f, now)
	described, err := e.describe(s, x.f, x.info, now, condition{create: true})
	if err != nil {
		return err
	}
	described.Size = x.info.Size()
	return e.trash.PutContent(e.ctx, trash.Content{Key: s.Key, Class: x.class, Body: x.f, MD5: sum, Info: described}, trash.Untold)
}

// TakeBack brings back the file of a name or, if there is none, all below that name:
// those whose deletes are withheld, and the newest versions that are in the trash, in the
// bucket and on disk. [trash.ErrNone], [trash.ErrReplaced], or one of [media.CheckKey].
//
// (Promise 8: "by way of the trash, from which it can be taken back".)
func (e *Engine) TakeBack(ctx context.Context, name string) (files int, err error) {
	dir := strings.Trim(name, "/")
	if err := media.CheckKey(dir); err != nil {
		return 0, fmt.Errorf("taking back %q: %w", name, err)
	}
	err = e.takeFileBack(ctx, dir)
	if err == nil {
		return 1, nil
	}
	if !errors.Is(err, trash.ErrNone) {
		return 0, err
	}
	files, errBelow := e.takeBackBelow(ctx, dir)
	if files == 0 && errBelow == nil {
		return 0, err
	}
	return files, errBelow
}

// TakeAllBack is TakeBack for all that is in the trash or withheld.
func (e *Engine) TakeAllBack(ctx context.Context) (files int, err error) {
	return e.takeBackBelow(ctx, "")
}

// takeFileBack brings one file back.
func (e *Engine) takeFileBack(ctx context.Context, key string) error {
	switch withheld, err := e.settler.RefuseOne(ctx, key); {
	case err != nil:
		return fmt.Errorf("taking back %s: %w", key, err)
	case withheld:
		return nil
	}
	return e.trash.Restore(ctx, key)
}

// takeBackBelow brings back what is below a directory ("": all), but for what has a newer file.
func (e *Engine) takeBackBelow(ctx context.Context, dir string) (files int, err error) {
	var left trash.Left
	var unlisted []error
	for w, err := range e.settler.List(ctx) {
		if bucket.IsUnlisted(err) {
			unlisted = append(unlisted, err)
			continue
		}
		if err != nil {
			return files, err
		}
		if dir == "" || strings.HasPrefix(w.Key, dir+"/") {
			_, err := e.settler.RefuseOne(ctx, w.Key)
			files += left.Note(w.Key, err)
		}
	}
	restored, err := e.trash.RestoreBelow(ctx, dir)
	if files > 0 && errors.Is(err, trash.ErrReplaced) {
		err = nil
	}
	return files + restored, errors.Join(append(unlisted, left.Err(), err)...)
}

// trashSite is what the trash may ask of the engine.
type trashSite struct{ e *Engine }

// Await implements [trash.Site].
func (s trashSite) Await(ctx context.Context, key string) error { return s.e.queue.Await(ctx, key) }

// StatFile implements [trash.Site].
func (s trashSite) StatFile(key string) error {
	f, ok := s.e.named(key)
	if !ok {
		return fmt.Errorf("%s is no name of media here", key)
	}
	_, err := s.e.trees[f.root].Stat(f.rel)
	return err
}

// Find implements [trash.Site].
func (s trashSite) Find(key string, first media.Class) (bucket.Info, media.Class, error) {
	return s.e.headAny(key, first, true)
}

// TakeBack implements [trash.Site].
func (s trashSite) TakeBack(ctx context.Context, key string, class media.Class, copied bucket.Info) (bucket.Info, error) {
	if _, err := s.e.store.Copy(ctx, copied, s.e.objectName(key, class), class == media.Public); err != nil {
		return bucket.Info{}, err
	}
	s.e.size.Add(1)
	return s.e.head(key, class)
}

// Announce implements [trash.Site].
func (s trashSite) Announce(key string, class media.Class, o bucket.Info) error {
	now := index.Entry{State: index.Announced, Class: class, Size: o.Size, ModTime: o.ModTime.UnixNano(), ETag: o.ETag}
	return s.e.announce([]changelog.Change{changeOf(key, now)})
}

// Bring implements [trash.Site].
func (s trashSite) Bring(ctx context.Context, key string, class media.Class, o bucket.Info) error {
	f, ok := s.e.named(key)
	if !ok {
		return fmt.Errorf("%s is no name of media here", key)
	}
	return s.e.bringNow(ctx, object{f, o}, class)
}

// bringNow puts the file of an object on this disk, also where deletes are withheld.
func (e *Engine) bringNow(ctx context.Context, o object, class media.Class) error {
	if !e.shared() {
		return e.fetch(ctx, o, class)
	}
	version := work.News{Why: verdict.PutElsewhere, Version: o.ETag, Under: class, Size: o.Size}
	e.lookFor(o.foreign, version, time.Now())
	waiting, cancel := e.putContext(o.Size)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	if err := e.queue.Await(waiting, o.key); err != nil {
		return fmt.Errorf("putting it on disk: %w", err)
	}
	if _, err := e.trees[o.root].Stat(o.rel); err != nil {
		return fmt.Errorf("it could not be put on disk: %w", err)
	}
	return nil
}

// dropOldTrash deletes for good what was in the trash for its time.
func (e *Engine) dropOldTrash(ctx context.Context) {
	if e.cfg.Trash <= 0 {
		return
	}
	n, err := e.trash.Empty(ctx, time.Now().Add(-e.cfg.Trash))
	if err != nil {
		e.log().Debug("deleting what was in the trash for its time", keyError, err) // tried again; costs space only
	}
	if n > 0 {
		e.log().Info("deleted for good what was in the trash for its time", keyDeletes, n)
	}
}
