package offload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
	"unsafe"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/health"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
)

// ErrIgnored: the key's class never leaves the disk.
var ErrIgnored = errors.New("never leaves the disk")

// Object is what the engine knows of a committed object.
type Object struct {
	Key     string
	Class   media.Class
	ETag    string
	Size    int64
	ModTime time.Time
}

// absentFor is how long the bucket is not asked again for a key it did not have.
const absentFor = 2 * time.Second

// Committed tells whether key's present content is known to be in the bucket,
// from memory and local disk alone.
//
// (Promise 3: "Pages never wait for the bucket.")
func (e *Engine) Committed(key string) (Object, bool) {
	x, ok := e.index.Get(key)
	if !ok {
		x, ok = e.fromMark(key)
	}
	if !ok || !x.Stored() {
		return Object{}, false
	}
	return describe(key, x), true
}

// Public reports whether Committed knows a public object of this key, its ETag,
// and, be there one or not, from where the file may be used as far as is known. It
// does not allocate for a key in memory: each URL in each page asks.
func (e *Engine) Public(key []byte) (etag string, place media.Place, ok bool) {
	text := unsafe.String(unsafe.SliceData(key), len(key)) // nobody keeps it
	x, ok := e.index.Get(text)
	if !ok {
		x, ok = e.fromMark(string(key))
	}
	return x.ETag, x.Place(text), ok && x.Stored() && x.Class == media.Public && e.guard.NamesObjects()
}

// Changes is a number that grows with each change that Public might answer
// differently after. As long as it is what it was before an answer of true, the
// answer holds.
func (e *Engine) Changes() uint64 { return e.index.Changes() }

// Class returns the class of key, knowing the .htaccess files on disk, and which
// files were brought from among the private objects.
func (e *Engine) Class(key string) media.Class { return e.classes.Of(key).Class }

// Closed reports whether the file of a key must not be sent at its own URL.
func (e *Engine) Closed(key string) bool { return e.classes.Closed(key) }

// describe is what an entry tells of a key.
func describe(key string, x index.Entry) Object {
	o := Object{Key: key, Class: x.Class, ETag: x.ETag, Size: x.Size}
	if x.ModTime != 0 {
		o.ModTime = time.Unix(0, x.ModTime)
	}
	return o
}

// fromMark reads the state of a key that memory does not know from the mark on
// its file, and remembers it.
func (e *Engine) fromMark(key string) (index.Entry, bool) {
	root, rel, ok := e.site.Locate(key)
	if !ok {
		return index.Entry{}, false
	}
	x, err := e.readMark(root, rel, key)
	if err != nil {
		return index.Entry{}, false
	}
	e.index.Learn(key, x)
	return x, true
}

func (e *Engine) readMark(root int, rel, key string) (index.Entry, error) {
	f, err := e.trees[root].Open(rel)
	if err != nil {
		return index.Entry{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return index.Entry{}, err
	}
	x := index.Entry{State: index.Dirty, Size: info.Size(), ModTime: info.ModTime().UnixNano()}
	m, ok := local.ReadMark(f)
	if !ok {
		return x, nil
	}
	x.Class, x.Kept = index.ClassOf(m.Class), m.Class == index.LetterKept && m.Binding == e.marks.Binding(key) && !e.site.SaidPublic(key)
	if e.marks.Fits(m, key, x) && (x.Kept || e.classes.Rule(key) == x.Class) {
		x.State, x.ETag, x.Found = index.Committed, m.ETag, e.marks.Found(m)
	}
	return x, nil
}

// Local returns the file of key if it is on disk with its content, and
// fs.ErrNotExist if it is not; directories, symlinks and other special files
// do not count. Nor does a file that another node is known to have written or
// deleted since, as long as the bucket answers.
func (e *Engine) Local(key string) (fs.FileInfo, error) {
	root, rel, ok := e.site.Locate(key)
	if !ok {
		return nil, fs.ErrNotExist
	}
	if x, ok := e.index.Get(key); ok && (x.State == index.Announced || x.State == index.Removed) && !e.health.IsDown() {
		return nil, fs.ErrNotExist
	}
	info, err := e.trees[root].Stat(rel)
	if errors.Is(err, local.ErrNotRegular) {
		return nil, fs.ErrNotExist
	}
	return info, err
}

// Open opens the object of a key in the bucket (bucket.ErrNotFound if there is
// none; ErrIgnored if key's class never leaves the disk).
func (e *Engine) Open(ctx context.Context, key string, opts bucket.GetOptions) (*bucket.Object, error) {
	class := e.Class(key)
	if class == media.Ignored {
		return nil, ErrIgnored
	}
	if e.deletedHere(key) {
		return nil, errDeletedHere
	}
	o, err := e.store.Get(ctx, e.objectName(key, class), opts)
	if errors.Is(err, bucket.ErrNotFound) || errors.Is(err, bucket.ErrChanged) {
		e.stale(key)
	}
	e.readsFail(class, err)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", key, err)
	}
	e.learnPlace(key, o.Info)
	return o, nil
}

// readsFail has it tried whether objects of a class can be read, if an error says that one
// cannot.
func (e *Engine) readsFail(class media.Class, err error) {
	if health.IsOfObject(err) {
		e.health.Doubt(class, 0, false)
	}
}

// stale drops what memory says of a key, because the bucket said otherwise.
func (e *Engine) stale(key string) {
	e.queue.Lock()
	defer e.queue.Unlock()
	if x, ok := e.index.Peek(key); ok && x.State != index.Dirty {
		e.index.Evict(key)
	}
}

// Stat tells about the object of a key: from memory if it is known there, else
// it asks the bucket. A key that was absent a moment ago is not asked for
// again at once.
func (e *Engine) Stat(ctx context.Context, key string) (bucket.Info, error) {
	st := e.classes.Of(key)
	class := st.Class
	if class == media.Ignored {
		return bucket.Info{}, ErrIgnored
	}
	if e.deletedHere(key) {
		return bucket.Info{}, errDeletedHere
	}
	x, ok := e.index.Get(key)
	switch {
	case ok && x.State == index.Absent && time.Now().Before(x.Until):
		return bucket.Info{}, bucket.ErrNotFound
	case ok && x.Object() && x.State != index.Dirty && x.ModTime != 0:
		return bucket.Info{
			Key: key, Size: x.Size, ETag: x.ETag, ModTime: time.Unix(0, x.ModTime),
			ContentType:  media.ContentType(key, nil),
			CacheControl: e.cfg.CacheControl(key, class),
		}, nil
	}
	info, err := e.store.Head(ctx, e.objectName(key, class))
	e.readsFail(class, err)
	switch {
	case errors.Is(err, bucket.ErrNotFound):
		e.note(key, x, index.Entry{State: index.Absent, Until: time.Now().Add(absentFor)})
		return bucket.Info{}, err
	case err != nil:
		return bucket.Info{}, fmt.Errorf("looking up %s: %w", key, err)
	}
	info.Key = key
	known := index.Entry{State: index.BucketOnly, Class: class, Kept: st.Kept, Size: info.Size, ETag: info.ETag, Found: e.foundInMeta(key, info)}
	if !info.ModTime.IsZero() {
		known.ModTime = info.ModTime.UnixNano()
	}
	if _, err := e.Local(key); errors.Is(err, fs.ErrNotExist) {
		e.note(key, x, known)
	}
	return info, nil
}

// note records what the bucket said of a key, unless something else was
// established since memory said was.
func (e *Engine) note(key string, was, now index.Entry) {
	e.queue.Lock()
	defer e.queue.Unlock()
	if x, _ := e.index.Peek(key); x == was && e.queue.At(key) == nil {
		e.index.Set(key, now)
	}
}

// Presign returns a URL that reads the object of key until ttl has passed.
func (e *Engine) Presign(ctx context.Context, key string, ttl time.Duration) (string, error) {
	class := e.Class(key)
	if class == media.Ignored {
		return "", ErrIgnored
	}
	if e.deletedHere(key) {
		return "", errDeletedHere
	}
	return e.store.PresignGet(ctx, e.objectName(key, class), ttl)
}
