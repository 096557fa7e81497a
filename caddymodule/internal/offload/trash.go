package offload

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// The trash is where an object goes whose file was deleted outside a request, by
// a person at the shell or a program: nobody waits for an answer to such a delete,
// and a mistake is found out later. An object there is named
//
//	<control prefix>trash/<time>-<reason>/<class>/<key>
//
// and is a copy made on the store's side, so nothing is lost if a delete breaks
// off in the middle. A file goes there from the disk that is removed because its object is
// gone, if no node has told that it deleted that.

// trashTime is the form of the time in the name of an object in the trash.
const trashTime = "20060102T150405Z"

// Reasons why an object went to the trash, as they stand in its name.
const (
	trashOutside  = "outside"  // the file was deleted outside a request
	trashRequests = "requests" // it was one of many that went while requests ran
	trashAccepted = "accepted" // the admin said that many deletes at once were meant
	trashReplaced = "replaced" // somebody had stored it in place of what the file was
	trashUntold   = "untold"   // it was gone, and no node had told that it deleted it
)

// Trashed is an object in the trash.
type Trashed struct {
	Key     string
	Class   media.Class
	Deleted time.Time // to the second
	Reason  string
	Size    int64

	foreign
	copied bucket.Info // the object in the trash
}

// ErrNotInTrash: the trash has nothing of that key.
var ErrNotInTrash = errors.New("neither the trash nor what is withheld has such a file: `media-offload trash list` shows what there is")

// ErrReplaced: there is a newer file under the name of one in the trash.
var ErrReplaced = errors.New("there is a newer file of this name")

func (e *Engine) trashPrefix() string { return e.cfg.ControlPrefix + "trash/" }

func (e *Engine) trashName(key string, class media.Class, reason string, now time.Time) string {
	return e.trashPrefix() + now.UTC().Format(trashTime) + "-" + reason + "/" + class.String() + "/" + key
}

// parseTrash reads what trashName made. Names of any other form are not looked
// at: anybody may have written them.
func (e *Engine) parseTrash(info bucket.Info) (Trashed, bool) {
	when, rest, _ := strings.Cut(strings.TrimPrefix(info.Key, e.trashPrefix()), "/")
	class, key, _ := strings.Cut(rest, "/")
	stamp, reason, _ := strings.Cut(when, "-")
	deleted, err := time.Parse(trashTime, stamp)
	t := Trashed{Key: key, Deleted: deleted, Reason: reason, Size: info.Size, copied: info}
	switch class {
	case media.Public.String():
		t.Class = media.Public
	case media.Private.String():
		t.Class = media.Private
	default:
		return Trashed{}, false
	}
	if err != nil {
		return Trashed{}, false
	}
	var ok bool
	t.foreign, ok = e.letIn(key)
	t.Class = t.believe(t.Class)
	return t, ok
}

// trashing is an object that is to be copied to the trash, and why.
type trashing struct{ name, reason string }

// toTrash copies objects, which are about to be deleted, to the trash, and returns the
// errors by number. What is not there any more is passed over.
func (e *Engine) toTrash(all []trashing) (errs []error) {
	now := time.Now()
	return sideBySide(len(all), func(i int) error { return e.trashObject(all[i].name, all[i].reason, now) })
}

func (e *Engine) trashObject(name, reason string, now time.Time) error {
	key, class, ok := e.keyOf(name)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(e.ctx, callTimeout)
	defer cancel()
	info, err := e.store.Head(ctx, name)
	if err == nil {
		ctx, cancel := e.putContext(info.Size)
		defer cancel()
		_, err = e.control.Copy(ctx, info, e.nameOfCopy(info, e.trashName(key, class, reason, now)), false)
	}
	if err != nil && !errors.Is(err, bucket.ErrNotFound) {
		return fmt.Errorf("moving %s to the trash: %w", key, err)
	}
	return nil
}

// trashFile stores a file in the trash that has no object, as that would lie there.
func (e *Engine) trashFile(s *work.Task, x *sight) error {
	sum, err := x.md5()
	if err != nil {
		return fmt.Errorf("storing %s in the trash: %w", s.Key, err)
	}
	raw, err := hex.DecodeString(sum)
	if err != nil {
		return fmt.Errorf("storing %s in the trash: %w", s.Key, err)
	}
	now := x.entry("")
	now.Found = e.inspect(s.Key, x.f, now)
	described, err := e.describe(s, x.f, x.info, now, condition{create: true})
	if err != nil {
		return err
	}
	ctx, cancel := e.putContext(x.info.Size())
	defer cancel()
	name := e.trashName(s.Key, x.class, trashUntold, time.Now())
	_, err = e.control.Put(ctx, name, x.f, x.info.Size(), bucket.PutOptions{Info: described, MD5: raw, IfNoneMatch: true})
	if errors.Is(err, bucket.ErrExists) {
		// Another node's, of this second. If it has another content, the next try finds
		// another name.
		var there bucket.Info
		if there, err = e.store.Head(ctx, name); err == nil && !x.hasContent(there) {
			err = bucket.ErrExists
		}
	}
	if err != nil {
		return fmt.Errorf("storing %s in the trash: %w", s.Key, err)
	}
	return nil
}

// nameOfCopy is the name that the first copy of this very object in the trash got, or was
// about to get, else name: a file's own event may tell of its delete, and its directory's.
func (e *Engine) nameOfCopy(info bucket.Info, name string) string {
	version := fmt.Sprint(info.Key, "\x00", info.ETag, "\x00", info.Stored.UnixNano())
	if first, ok, _ := e.trashed.PeekOrAdd(version, name); ok {
		return first
	}
	return name
}

// keyOf is the key and class of the media object of a name.
func (e *Engine) keyOf(name string) (key string, class media.Class, ok bool) {
	for _, class := range []media.Class{media.Public, media.Private} {
		if key, ok := strings.CutPrefix(name, e.objectName("", class)); ok {
			return key, class, true
		}
	}
	return "", 0, false
}

// Trash yields what is in the trash, the oldest first. A non-nil error ends the
// sequence, but for a [bucket.UnlistedError]: it goes on behind what that names.
func (e *Engine) Trash(ctx context.Context) iter.Seq2[Trashed, error] {
	return func(yield func(Trashed, error) bool) {
		for info, err := range e.store.List(ctx, e.trashPrefix(), "") {
			if err != nil {
				if yield(Trashed{}, fmt.Errorf("listing the trash: %w", err)) && bucket.IsUnlisted(err) {
					continue
				}
				return
			}
			if t, ok := e.parseTrash(info); ok && !yield(t, nil) {
				return
			}
		}
	}
}

// TakeBack brings back the file of a name or, if there is none, all below that name:
// those whose deletes are withheld, and the newest versions that are in the trash, in the
// bucket and on disk. ErrNotInTrash, ErrReplaced, or one of [media.CheckKey].
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
	if !errors.Is(err, ErrNotInTrash) {
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

// maxTakenBack bounds the files that are taken back at once, and maxUnreturned those that
// an error names.
const maxTakenBack, maxUnreturned = 100_000, 10

// ErrMoreInTrash: not all was taken back.
var ErrMoreInTrash = errors.New("there is more in the trash: run the command again")

// takeBackBelow brings back what is below a directory ("": all), but for what has a newer file.
func (e *Engine) takeBackBelow(ctx context.Context, dir string) (files int, err error) {
	below := func(key string) bool { return dir == "" || strings.HasPrefix(key, dir+"/") }
	back := unreturned{}
	for w, err := range e.Withheld(ctx) {
		if bucket.IsUnlisted(err) {
			back.errs = append(back.errs, err)
			continue
		}
		if err != nil {
			return files, err
		}
		if below(w.Key) {
			_, err := e.refuseOne(ctx, w.Key)
			files += back.note(w.Key, err)
		}
	}
	copies := make(map[string][]Trashed) // by key, the newest last
	for t, err := range e.Trash(ctx) {
		if bucket.IsUnlisted(err) {
			back.errs = append(back.errs, err)
			continue
		}
		if err != nil {
			return files, err
		}
		if _, known := copies[t.Key]; !below(t.Key) || !known && len(copies) >= maxTakenBack {
			back.more = back.more || below(t.Key)
			continue
		}
		copies[t.Key] = append(copies[t.Key], t)
	}
	for _, key := range slices.Sorted(maps.Keys(copies)) {
		if ctx.Err() != nil {
			return files, ctx.Err()
		}
		files += back.note(key, e.takeBack(ctx, copies[key]))
	}
	if back.replaced && files == 0 && dir != "" && back.err() == nil {
		return 0, fmt.Errorf("taking back %s: %w", dir, ErrReplaced)
	}
	return files, back.err()
}

// unreturned are files that could not be taken back.
type unreturned struct {
	errs     []error
	others   int
	more     bool
	replaced bool // there are such as have a newer file
}

// note takes note of what became of a file, and returns how many came back.
func (u *unreturned) note(key string, err error) int {
	switch {
	case err == nil:
		return 1
	case errors.Is(err, ErrReplaced):
		u.replaced = true
	case len(u.errs) < maxUnreturned:
		u.errs = append(u.errs, fmt.Errorf("taking back %s: %w", key, err))
	default:
		u.others++
	}
	return 0
}

func (u *unreturned) err() error {
	errs := u.errs
	if u.others > 0 {
		errs = append(errs, fmt.Errorf("and %d more were not taken back", u.others))
	}
	if u.more {
		errs = append(errs, ErrMoreInTrash)
	}
	return errors.Join(errs...)
}

// takeFileBack brings one file back.
func (e *Engine) takeFileBack(ctx context.Context, key string) error {
	switch withheld, err := e.refuseOne(ctx, key); {
	case err != nil:
		return fmt.Errorf("taking back %s: %w", key, err)
	case withheld:
		return nil
	}
	var copies []Trashed
	var unlisted error
	for t, err := range e.Trash(ctx) {
		if bucket.IsUnlisted(err) {
			unlisted = err
			continue
		}
		if err != nil {
			return err
		}
		if t.Key == key {
			copies = append(copies, t)
		}
	}
	if len(copies) == 0 {
		return errors.Join(fmt.Errorf("taking back %s: %w", key, ErrNotInTrash), unlisted)
	}
	if err := e.takeBack(ctx, copies); err != nil {
		return fmt.Errorf("taking back %s: %w", key, err)
	}
	return nil
}

// takeBack brings back a file, of which these are in the trash, the newest last. What an
// earlier try, of a process that was killed, has done is not done again.
func (e *Engine) takeBack(ctx context.Context, copies []Trashed) error {
	t := copies[len(copies)-1]
	// The delete that brought it there may not be done with: it would go again.
	waiting, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := e.queue.Await(waiting, t.key); err != nil {
		return fmt.Errorf("waiting for its delete to end: %w", err)
	}
	_, noFile := e.trees[t.root].Stat(t.rel)
	if noFile != nil && !errors.Is(noFile, fs.ErrNotExist) {
		return noFile
	}
	back, class, err := e.headAny(t.key, t.Class, true)
	switch {
	case errors.Is(err, bucket.ErrNotFound) && noFile != nil:
		if back, err = e.copyBack(ctx, t); err != nil {
			return err
		}
		class = t.Class
	case errors.Is(err, bucket.ErrNotFound):
		return ErrReplaced
	case err != nil:
		return err
	default:
		same, err := e.isCopy(ctx, t.copied, back)
		if !same || err != nil {
			return cmp.Or(err, ErrReplaced)
		}
	}
	o := object{t.foreign, back}
	if err := e.tellBack(o, class); err != nil {
		return err
	}
	if noFile != nil {
		if err := e.bringNow(ctx, o, class); err != nil {
			return err
		}
	}
	return e.dropCopies(ctx, copies)
}

// dropCopies deletes the last of these objects in the trash, and those of the same content:
// a delete that was repeated after a kill leaves two.
func (e *Engine) dropCopies(ctx context.Context, copies []Trashed) error {
	var names []string
	for _, t := range copies {
		same, err := e.isCopy(ctx, t.copied, copies[len(copies)-1].copied)
		if err != nil {
			return err
		}
		if same {
			names = append(names, t.copied.Key)
		}
	}
	return e.store.Delete(ctx, names...)
}

// copyBack makes an object in the trash one of media again.
func (e *Engine) copyBack(ctx context.Context, t Trashed) (bucket.Info, error) {
	if _, err := e.store.Copy(ctx, t.copied, e.objectName(t.key, t.Class), t.Class == media.Public); err != nil {
		return bucket.Info{}, err
	}
	e.size.Add(1)
	return e.head(t.key, t.Class)
}

// isCopy reports whether a listed object in the trash has the content of another.
func (e *Engine) isCopy(ctx context.Context, copied, of bucket.Info) (bool, error) {
	if copied.Size != of.Size || copied.Key == of.Key {
		return copied.Key == of.Key, nil
	}
	for _, info := range []*bucket.Info{&copied, &of} {
		if info.ContentMD5() != "" {
			continue
		}
		full, err := e.store.Head(ctx, info.Key) // a listing does not tell everything
		if errors.Is(err, bucket.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		*info = full
	}
	return copied.ContentMD5() != "" && copied.ContentMD5() == of.ContentMD5(), nil
}

// tellBack tells the other nodes, if there are any, of an object that was taken back.
func (e *Engine) tellBack(o object, class media.Class) error {
	now := index.Entry{State: index.Announced, Class: class, Size: o.Size, ModTime: o.ModTime.UnixNano(), ETag: o.ETag}
	return e.announce([]changelog.Change{changeOf(o.key, now)})
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

// EmptyTrash deletes for good what went to the trash before a time.
func (e *Engine) EmptyTrash(ctx context.Context, before time.Time) (deleted int, err error) {
	var names []string
	flush := func() error {
		if len(names) == 0 {
			return nil
		}
		if err := e.store.Delete(ctx, names...); err != nil {
			return fmt.Errorf("emptying the trash: %w", err)
		}
		deleted += len(names)
		names = names[:0]
		return nil
	}
	var unlisted error
	for t, err := range e.Trash(ctx) {
		if bucket.IsUnlisted(err) {
			unlisted = err
			continue
		}
		if err != nil {
			return deleted, err
		}
		if !t.Deleted.Before(before) {
			break // what follows is younger
		}
		if names = append(names, t.copied.Key); len(names) == deleteBatch {
			if err := flush(); err != nil {
				return deleted, err
			}
		}
	}
	return deleted, errors.Join(unlisted, flush())
}

// dropOldTrash deletes for good what was in the trash for its time.
func (e *Engine) dropOldTrash(ctx context.Context) {
	if e.cfg.Trash <= 0 {
		return
	}
	n, err := e.EmptyTrash(ctx, time.Now().Add(-e.cfg.Trash))
	if err != nil {
		e.log().Debug("deleting what was in the trash for its time", keyError, err) // tried again; costs space only
	}
	if n > 0 {
		e.log().Info("deleted for good what was in the trash for its time", keyDeletes, n)
	}
}
