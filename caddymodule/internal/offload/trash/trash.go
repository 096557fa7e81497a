package trash

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// timeForm is the form of the time in the name of an object in the trash.
const timeForm = "20060102T150405Z"

// Reason is why an object went to the trash, as it stands in its name.
type Reason string

const (
	// Outside: the file was deleted outside a request.
	Outside Reason = "outside"
	// Requests: it was one of many that went while requests ran.
	Requests Reason = "requests"
	// Accepted: the admin said that many deletes at once were meant.
	Accepted Reason = "accepted"
	// Replaced: somebody had stored it in place of what the file was.
	Replaced Reason = "replaced"
	// Untold: it was gone, and no node had told that it deleted it.
	Untold Reason = "untold"
	// Unsure: only the change log told that it was what the file was.
	Unsure Reason = "unsure"
)

// Item is an object in the trash.
type Item struct {
	Key     string
	Class   media.Class
	Deleted time.Time // to the second
	Reason  Reason
	Size    int64

	copied bucket.Info
}

// ETag is that of the copy, which is mostly that of the object.
func (t Item) ETag() string { return t.copied.ETag }

// Config is what a trash works with.
type Config struct {
	// Store holds the objects, Control is where control objects are written.
	Store, Control bucket.Store
	// Prefix is what the names of the objects in the trash begin with.
	Prefix string
	// KeyOf returns the key and class of the media object of a name.
	KeyOf func(name string) (key string, class media.Class, ok bool)
	// Admit is the door for a key that stands in the trash under a class: it returns
	// the class that it is to have, or that it is no name of media.
	Admit func(key string, class media.Class) (media.Class, bool)
	// SideBySide calls f for each number below n, and returns the errors by number.
	SideBySide func(n int, f func(i int) error) []error
	// TimeFor is how long a copy of an object of a size may take.
	TimeFor func(size int64) time.Duration
	Site    Site
}

// Trash is the trash of a site's bucket. Its methods may be called from several
// goroutines.
type Trash struct {
	cfg Config
	// copied are names of copies, by the version of the object.
	copied *lru.Cache[string, string]
}

const (
	// callTimeout bounds a call that moves no content.
	callTimeout = 30 * time.Second
	// batch is how many objects one request removes (S3: at most 1,000).
	batch = 1000
	// maxCopied bounds the versions of which is known that they were copied.
	maxCopied = 1 << 12
)

// New returns the trash of a bucket. It asks nothing of the store.
func New(cfg Config) *Trash {
	copied, err := lru.New[string, string](maxCopied)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &Trash{cfg: cfg, copied: copied}
}

func (b *Trash) name(key string, class media.Class, reason Reason, now time.Time) string {
	return b.cfg.Prefix + now.UTC().Format(timeForm) + "-" + string(reason) + "/" + class.String() + "/" + key
}

// parse reads what name made. Names of any other form are not looked at: anybody may have
// written them.
func (b *Trash) parse(info bucket.Info) (Item, bool) {
	when, rest, _ := strings.Cut(strings.TrimPrefix(info.Key, b.cfg.Prefix), "/")
	class, key, _ := strings.Cut(rest, "/")
	stamp, reason, _ := strings.Cut(when, "-")
	deleted, err := time.Parse(timeForm, stamp)
	t := Item{Key: key, Deleted: deleted, Reason: Reason(reason), Size: info.Size, copied: info}
	switch class {
	case media.Public.String():
		t.Class = media.Public
	case media.Private.String():
		t.Class = media.Private
	default:
		return Item{}, false
	}
	if err != nil {
		return Item{}, false
	}
	var ok bool
	t.Class, ok = b.cfg.Admit(key, t.Class)
	return t, ok
}

// Deleted is an object that is about to be deleted, and why its copy is kept.
type Deleted struct {
	Name   string
	Reason Reason
}

// Put copies objects, which are about to be deleted, to the trash, and returns the errors
// by number. now is the time that their names tell. What is not there any more is passed
// over.
func (b *Trash) Put(ctx context.Context, now time.Time, all ...Deleted) (errs []error) {
	return b.cfg.SideBySide(len(all), func(i int) error { return b.put(ctx, all[i], now) })
}

func (b *Trash) put(ctx context.Context, d Deleted, now time.Time) error {
	key, class, ok := b.cfg.KeyOf(d.Name)
	if !ok {
		return nil
	}
	looking, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	info, err := b.cfg.Store.Head(looking, d.Name)
	if err == nil {
		copying, cancel := context.WithTimeout(ctx, b.cfg.TimeFor(info.Size))
		defer cancel()
		_, err = b.cfg.Control.Copy(copying, info, b.nameOfCopy(info, b.name(key, class, d.Reason, now)), false)
	}
	if err != nil && !errors.Is(err, bucket.ErrNotFound) {
		return fmt.Errorf("moving %s to the trash: %w", key, err)
	}
	return nil
}

// nameOfCopy is the name that the first copy of this very object got, or was about to get,
// else name: a file's own event may tell of its delete, and its directory's.
func (b *Trash) nameOfCopy(info bucket.Info, name string) string {
	version := fmt.Sprint(info.Key, "\x00", info.ETag, "\x00", info.Stored.UnixNano())
	if first, ok, _ := b.copied.PeekOrAdd(version, name); ok {
		return first
	}
	return name
}

// Content is that of a file which has no object.
type Content struct {
	Key   string
	Class media.Class
	Body  io.ReaderAt
	MD5   string      // in hex
	Info  bucket.Info // as it would be stored; Size counts
}

// PutContent stores a file's content in the trash, as its object would lie there.
func (b *Trash) PutContent(ctx context.Context, c Content, reason Reason) error {
	sum, err := hex.DecodeString(c.MD5)
	if err != nil {
		return fmt.Errorf("storing %s in the trash: %w", c.Key, err)
	}
	ctx, cancel := context.WithTimeout(ctx, b.cfg.TimeFor(c.Info.Size))
	defer cancel()
	name := b.name(c.Key, c.Class, reason, time.Now())
	_, err = b.cfg.Control.Put(ctx, name, c.Body, c.Info.Size, bucket.PutOptions{Info: c.Info, MD5: sum, IfNoneMatch: true})
	if errors.Is(err, bucket.ErrExists) {
		// Another node's, of this second. If it has another content, the next try finds
		// another name.
		var there bucket.Info
		if there, err = b.cfg.Store.Head(ctx, name); err == nil && (there.Size != c.Info.Size || there.ContentMD5() != c.MD5) {
			err = bucket.ErrExists
		}
	}
	if err != nil {
		return fmt.Errorf("storing %s in the trash: %w", c.Key, err)
	}
	return nil
}

// List yields what is in the trash, the oldest first. A non-nil error ends the
// sequence, but for a [bucket.UnlistedError]: it goes on behind what that names.
func (b *Trash) List(ctx context.Context) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for info, err := range b.cfg.Store.List(ctx, b.cfg.Prefix, "") {
			if err != nil {
				if yield(Item{}, fmt.Errorf("listing the trash: %w", err)) && bucket.IsUnlisted(err) {
					continue
				}
				return
			}
			if t, ok := b.parse(info); ok && !yield(t, nil) {
				return
			}
		}
	}
}

// Empty deletes for good what went to the trash before a time.
func (b *Trash) Empty(ctx context.Context, before time.Time) (deleted int, err error) {
	var names []string
	flush := func() error {
		if len(names) == 0 {
			return nil
		}
		if err := b.cfg.Store.Delete(ctx, names...); err != nil {
			return fmt.Errorf("emptying the trash: %w", err)
		}
		deleted += len(names)
		names = names[:0]
		return nil
	}
	var unlisted error
	for t, err := range b.List(ctx) {
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
		if names = append(names, t.copied.Key); len(names) == batch {
			if err := flush(); err != nil {
				return deleted, err
			}
		}
	}
	return deleted, errors.Join(unlisted, flush())
}

// IsOf reports whether an item has the content of an object, be it listed or looked at.
func (b *Trash) IsOf(ctx context.Context, t Item, of bucket.Info) (bool, error) {
	copied := t.copied
	switch {
	case copied.Key == of.Key:
		return true, nil
	case copied.Size != of.Size:
		return false, nil
	case sameMD5(copied, of):
		return true, nil
	}
	for _, info := range []*bucket.Info{&copied, &of} {
		if info.MD5 != "" {
			continue
		}
		full, err := b.cfg.Store.Head(ctx, info.Key) // a listing does not tell everything
		if errors.Is(err, bucket.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		*info = full
	}
	return sameMD5(copied, of), nil
}

func sameMD5(a, b bucket.Info) bool { return a.ContentMD5() != "" && a.ContentMD5() == b.ContentMD5() }
