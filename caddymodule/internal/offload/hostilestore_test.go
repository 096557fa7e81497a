package offload

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// breakIn is how an attacker reaches a bucket: past all that package bucket checks.
// What the store cannot hold is left out.
type breakIn interface {
	// names are those of all objects, and of what the store keeps beside them.
	names() []string
	// read returns the content of an object, and false if there is none.
	read(name string) ([]byte, bool)
	write(name string, content []byte)
	rename(from, to string)
	// remove takes away an object, or all that is below a directory.
	remove(name string)
	// plant puts something there that is no object of the app's, as only this store
	// can hold it.
	plant(name string, random *rand.Rand)
}

// openDir is a bucket's directory, into which anybody may write.
type openDir struct {
	dir string
	// outside are files and directories that symlinks are made to lead to.
	outside []string
}

func (d openDir) do(f func(r *os.Root) error) {
	r, err := os.OpenRoot(d.dir)
	if err != nil {
		return // the directory is gone
	}
	defer func() { _ = r.Close() }()
	_ = f(r) // no such name, no such file: nothing is done
}

func (d openDir) names() (all []string) {
	_ = filepath.WalkDir(d.dir, func(name string, e fs.DirEntry, err error) error {
		rel := strings.TrimPrefix(filepath.ToSlash(name), d.dir+"/")
		if err == nil && !e.IsDir() && !d.ofStore(rel) {
			all = append(all, rel)
		}
		return nil // gone meanwhile
	})
	return all
}

// ofStore reports whether a name is of the directories in which the store keeps what
// it needs to work at all: no object has such a name.
func (d openDir) ofStore(name string) bool { return strings.HasPrefix(name, ".") }

func (d openDir) read(name string) (content []byte, ok bool) {
	d.do(func(r *os.Root) error {
		f, err := r.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO would wait
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		info, err := f.Stat()
		if err != nil || !info.Mode().IsRegular() || info.Size() > 4<<20 {
			return err
		}
		content, err = io.ReadAll(f)
		ok = err == nil
		return err
	})
	return content, ok
}

func (d openDir) write(name string, content []byte) {
	d.do(func(r *os.Root) error {
		_ = r.MkdirAll(path.Dir(name), 0o755)
		f, err := r.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NONBLOCK, 0o644)
		if err != nil {
			return err
		}
		_, err = f.Write(content)
		return errors.Join(err, f.Close())
	})
}

func (d openDir) rename(from, to string) {
	d.do(func(r *os.Root) error {
		_ = r.MkdirAll(path.Dir(to), 0o755)
		return r.Rename(from, to)
	})
}

func (d openDir) remove(name string) {
	d.do(func(r *os.Root) error {
		// One by one, and once: RemoveAll would not end while servers write.
		var dirs []string
		err := fs.WalkDir(r.FS(), name, func(name string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				dirs = append(dirs, name)
			} else if err == nil {
				_ = r.Remove(name)
			}
			return nil
		})
		for _, dir := range slices.Backward(dirs) {
			_ = r.Remove(dir)
		}
		return err
	})
}

func (d openDir) plant(name string, random *rand.Rand) {
	d.do(func(r *os.Root) error {
		_ = r.MkdirAll(path.Dir(name), 0o755)
		_ = r.Remove(name)
		switch random.IntN(4) {
		case 0:
			return r.Symlink(d.outside[random.IntN(len(d.outside))], name)
		case 1:
			return r.Symlink(path.Base(name), name) // to itself
		case 2:
			return r.MkdirAll(name, 0o755)
		}
		f, err := r.OpenRoot(path.Dir(name))
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		return syscall.Mkfifo(filepath.Join(f.Name(), path.Base(name)), 0o644)
	})
}

// openBucket is a store in memory that takes any name, as no store does, and says of
// its objects what the attacker likes.
type openBucket struct {
	mu      sync.Mutex
	objects map[string]openObject
}

type openObject struct {
	bucket.Info
	data []byte
}

func newOpenBucket() *openBucket { return &openBucket{objects: map[string]openObject{}} }

func (b *openBucket) names() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.objects))
}

func (b *openBucket) read(name string) ([]byte, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o, ok := b.objects[name]
	return o.data, ok
}

func (b *openBucket) write(name string, content []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.set(name, content, bucket.Info{})
}

// set stores an object. The caller holds mu.
func (b *openBucket) set(name string, data []byte, info bucket.Info) bucket.Info {
	sum := md5.Sum(data)
	info.Key, info.Size, info.Stored = name, int64(len(data)), time.Now()
	info.ETag, info.MD5 = hex.EncodeToString(sum[:]), ""
	b.objects[name] = openObject{info, data}
	return info
}

func (b *openBucket) rename(from, to string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if o, ok := b.objects[from]; ok {
		delete(b.objects, from)
		o.Key = to
		b.objects[to] = o
	}
}

func (b *openBucket) remove(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key := range b.objects {
		if key == name || strings.HasPrefix(key, name+"/") {
			delete(b.objects, key)
		}
	}
}

// plant puts an object there of which the store tells lies.
func (b *openBucket) plant(name string, random *rand.Rand) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.set(name, []byte("planted"), bucket.Info{})
	o := b.objects[name]
	var others []openObject
	for _, name := range slices.Sorted(maps.Keys(b.objects)) {
		others = append(others, b.objects[name])
	}
	other := others[random.IntN(len(others))]
	switch random.IntN(6) {
	case 0:
		o.ETag = other.ETag
	case 1:
		o.ETag, o.MD5 = strings.Repeat("\n", 300), "no checksum"
	case 2:
		o.Size = 1 << 50
	case 3:
		o.Meta = other.Meta // it says that a server stored it
	case 4:
		o.ModTime, o.Stored = time.Unix(1<<40, 0), time.Time{}
	case 5:
		o.ContentType, o.CacheControl = "application/x-httpd-php", "\r\nX: y"
		o.Meta = map[string]string{metaNode: "", metaNonce: strings.Repeat("n", 2000), "x-place": "anywhere"}
	}
	b.objects[name] = o
}

// The store, as the engine sees it.

func (b *openBucket) Put(ctx context.Context, key string, body io.ReaderAt, size int64, opts bucket.PutOptions) (bucket.Info, error) {
	if err := errorOf(ctx, key); err != nil {
		return bucket.Info{}, err
	}
	data := make([]byte, size)
	if n, err := body.ReadAt(data, 0); int64(n) < size {
		return bucket.Info{}, fmt.Errorf("%w: body of %d bytes: %w", bucket.ErrRefused, n, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	old, there := b.objects[key]
	switch {
	case opts.IfNoneMatch && there:
		return bucket.Info{}, bucket.ErrExists
	case opts.IfMatch != "" && old.ETag != opts.IfMatch:
		return bucket.Info{}, bucket.ErrChanged
	}
	return b.set(key, data, opts.Info), nil
}

func errorOf(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return bucket.CheckKey(key)
}

func (b *openBucket) Copy(ctx context.Context, from bucket.Info, to string, _ bool) (bucket.Info, error) {
	if err := errorOf(ctx, to); err != nil {
		return bucket.Info{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	o, ok := b.objects[from.Key]
	switch {
	case !ok:
		return bucket.Info{}, bucket.ErrNotFound
	case o.ETag != from.ETag:
		return bucket.Info{}, bucket.ErrChanged
	}
	return b.set(to, o.data, o.Info), nil
}

func (b *openBucket) Get(ctx context.Context, key string, opts bucket.GetOptions) (*bucket.Object, error) {
	if err := errorOf(ctx, key); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	o, ok := b.objects[key]
	switch {
	case !ok:
		return nil, bucket.ErrNotFound
	case opts.IfMatch != "" && o.ETag != opts.IfMatch:
		return nil, bucket.ErrChanged
	case opts.AtMost > 0 && o.Size > opts.AtMost:
		return nil, bucket.ErrTooLarge
	}
	data := o.data[min(opts.Offset, int64(len(o.data))):]
	if opts.Length > 0 {
		data = data[:min(opts.Length, int64(len(data)))]
	}
	var body io.Reader = bytes.NewReader(data)
	if int64(len(o.data)) < o.Size { // as every store's client does
		body = io.MultiReader(body, endsEarly{})
	}
	return &bucket.Object{Info: o.Info, Body: io.NopCloser(body)}, nil
}

type endsEarly struct{}

func (endsEarly) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func (b *openBucket) Head(ctx context.Context, key string) (bucket.Info, error) {
	o, err := b.Get(ctx, key, bucket.GetOptions{})
	if err != nil {
		return bucket.Info{}, err
	}
	return o.Info, nil
}

func (b *openBucket) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := errorOf(ctx, key); err != nil {
			return err
		}
		b.mu.Lock()
		delete(b.objects, key)
		b.mu.Unlock()
	}
	return nil
}

// List, unlike that of any other store, leaves out no name.
func (b *openBucket) List(ctx context.Context, prefix, after string) iter.Seq2[bucket.Info, error] {
	return func(yield func(bucket.Info, error) bool) {
		for _, name := range b.names() {
			if err := ctx.Err(); err != nil {
				yield(bucket.Info{}, err)
				return
			}
			b.mu.Lock()
			o, ok := b.objects[name]
			b.mu.Unlock()
			info := bucket.Info{Key: name, Size: o.Size, ETag: o.ETag, Stored: o.Stored}
			if ok && name > after && strings.HasPrefix(name, prefix) && !yield(info, nil) {
				return
			}
		}
	}
}

func (b *openBucket) ListNames(ctx context.Context, prefix, after string) iter.Seq2[bucket.Info, error] {
	return b.List(ctx, prefix, after)
}

func (b *openBucket) PresignGet(context.Context, string, time.Duration) (string, error) {
	return "", bucket.ErrUnsupported
}

func (b *openBucket) AbortUploads(context.Context, string, time.Duration) (int, error) { return 0, nil }

func (b *openBucket) Probe(context.Context, string, ...string) (bucket.Capabilities, error) {
	return bucket.Capabilities{CreateOnly: true, CompareAndSwap: true}, nil
}

func (b *openBucket) Admit(bucket.Admission) {}

func (b *openBucket) Check(context.Context) error { return nil }

func (b *openBucket) String() string { return "a bucket in memory" }

func (b *openBucket) Close() error { return nil }
