package trash

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// Site is what a restore needs of those who have the files.
type Site interface {
	// Await waits until what is being done about a key has come to an end.
	Await(ctx context.Context, key string) error
	// StatFile returns [fs.ErrNotExist] if there is no file of a key, nil if there is.
	StatFile(key string) error
	// Find returns the object of a key, of a class or the other, and its class.
	Find(key string, first media.Class) (bucket.Info, media.Class, error)
	// TakeBack makes a copy the object of its key again.
	TakeBack(ctx context.Context, key string, class media.Class, copied bucket.Info) (bucket.Info, error)
	// Announce tells other nodes, if there are any, of the object of a key.
	Announce(key string, class media.Class, o bucket.Info) error
	// Bring puts the file of an object on this disk.
	Bring(ctx context.Context, key string, class media.Class, o bucket.Info) error
}

var (
	// ErrNone: the trash has nothing of that key.
	ErrNone = errors.New("neither the trash nor what is withheld has such a file: `media-offload trash list` shows what there is")
	// ErrReplaced: there is a newer file under the name of one in the trash.
	ErrReplaced = errors.New("there is a newer file of this name")
	// ErrMore: not all was taken back.
	ErrMore = errors.New("there is more in the trash: run the command again")
)

// maxRestored bounds the files that are brought back at once, and maxNamed those that an
// error names.
const maxRestored, maxNamed = 100_000, 10

// Restore brings back one file, in the bucket and on disk, in the newest version that is in
// the trash. ErrNone, ErrReplaced.
//
// (Promise 8: "by way of the trash, from which it can be taken back".)
func (b *Trash) Restore(ctx context.Context, key string) error {
	copies, _, unlisted, err := b.copies(ctx, func(k string) bool { return k == key })
	switch {
	case err != nil:
		return err
	case len(copies) == 0:
		return errors.Join(fmt.Errorf("taking back %s: %w", key, ErrNone), errors.Join(unlisted...))
	}
	if err := b.restore(ctx, copies[key]); err != nil {
		return fmt.Errorf("taking back %s: %w", key, err)
	}
	return nil
}

// RestoreBelow is Restore for all below a directory ("": all), but for what has a newer
// file: ErrReplaced, if nothing else was below it.
func (b *Trash) RestoreBelow(ctx context.Context, dir string) (files int, err error) {
	copies, more, unlisted, err := b.copies(ctx, func(key string) bool { return dir == "" || strings.HasPrefix(key, dir+"/") })
	if err != nil {
		return 0, err
	}
	left := Left{errs: unlisted}
	for _, key := range slices.Sorted(maps.Keys(copies)) {
		if ctx.Err() != nil {
			return files, ctx.Err()
		}
		files += left.Note(key, b.restore(ctx, copies[key]))
	}
	if left.replaced && files == 0 && dir != "" && left.Err() == nil {
		return 0, fmt.Errorf("taking back %s: %w", dir, ErrReplaced)
	}
	if more {
		return files, errors.Join(left.Err(), ErrMore)
	}
	return files, left.Err()
}

// copies returns the copies of keys, by key, the newest last; more if there was no room for
// those of all.
func (b *Trash) copies(ctx context.Context, wanted func(key string) bool) (copies map[string][]Item, more bool, unlisted []error, err error) {
	copies = make(map[string][]Item)
	for t, err := range b.List(ctx) {
		if bucket.IsUnlisted(err) {
			unlisted = append(unlisted, err)
			continue
		}
		if err != nil {
			return nil, false, nil, err
		}
		if !wanted(t.Key) {
			continue
		}
		if _, known := copies[t.Key]; !known && len(copies) >= maxRestored {
			more = true
			continue
		}
		copies[t.Key] = append(copies[t.Key], t)
	}
	return copies, more, unlisted, nil
}

// restore brings back a file, of which these are in the trash, the newest last. What an
// earlier try, of a process that was killed, has done is not done again.
func (b *Trash) restore(ctx context.Context, copies []Item) error {
	t, site := copies[len(copies)-1], b.cfg.Site
	// The delete that brought it there may not be done with: it would go again.
	waiting, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := site.Await(waiting, t.Key); err != nil {
		return fmt.Errorf("waiting for its delete to end: %w", err)
	}
	noFile := site.StatFile(t.Key)
	if noFile != nil && !errors.Is(noFile, fs.ErrNotExist) {
		return noFile
	}
	o, class, err := site.Find(t.Key, t.Class)
	switch {
	case errors.Is(err, bucket.ErrNotFound) && noFile != nil:
		class = t.Class
		if o, err = site.TakeBack(ctx, t.Key, class, t.copied); err != nil {
			return err
		}
	case errors.Is(err, bucket.ErrNotFound):
		return ErrReplaced
	case err != nil:
		return err
	default:
		same, err := b.IsOf(ctx, t, o)
		if !same || err != nil {
			return cmp.Or(err, ErrReplaced)
		}
	}
	if err := site.Announce(t.Key, class, o); err != nil {
		return err
	}
	if noFile != nil {
		if err := site.Bring(ctx, t.Key, class, o); err != nil {
			return err
		}
	}
	return b.drop(ctx, copies)
}

// drop deletes the last of these copies, and those of the same content: a delete that was
// repeated after a kill leaves two.
func (b *Trash) drop(ctx context.Context, copies []Item) error {
	var names []string
	for _, t := range copies {
		same, err := b.IsOf(ctx, t, copies[len(copies)-1].copied)
		if err != nil {
			return err
		}
		if same {
			names = append(names, t.copied.Key)
		}
	}
	return b.cfg.Store.Delete(ctx, names...)
}

// Left are files that could not be brought back.
type Left struct {
	errs     []error
	others   int
	replaced bool // there are such as have a newer file
}

// Note takes note of what became of a file, and returns how many came back.
func (l *Left) Note(key string, err error) int {
	switch {
	case err == nil:
		return 1
	case errors.Is(err, ErrReplaced):
		l.replaced = true
	case len(l.errs) < maxNamed:
		l.errs = append(l.errs, fmt.Errorf("taking back %s: %w", key, err))
	default:
		l.others++
	}
	return 0
}

// Err tells of them, but for those that have a newer file.
func (l *Left) Err() error {
	if l.others == 0 {
		return errors.Join(l.errs...)
	}
	return errors.Join(append(l.errs, fmt.Errorf("and %d more were not taken back", l.others))...)
}
