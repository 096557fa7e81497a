package dir

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"os"
	"path"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

const (
	// versionTries bounds how often a reader starts over because writers
	// replaced the object between its looks at the content and the record.
	versionTries = 10
	// settled is how long a file must have been left alone before what was
	// found by hashing it is recorded: a change within one tick of the file
	// system's clock shows in neither size nor time.
	settled = 2 * time.Second
)

// version is an object that was opened together with what is known of it.
type version struct {
	file *os.File
	rec  *record
}

// Get implements Store.
func (d *store) Get(ctx context.Context, key string, opts bucket.GetOptions) (*bucket.Object, error) {
	if err := d.checkKey(key); err != nil {
		return nil, err
	}
	object, err := d.get(ctx, key, opts)
	if err != nil {
		return nil, dirError("reading", key, err)
	}
	return object, nil
}

func (d *store) get(ctx context.Context, key string, opts bucket.GetOptions) (*bucket.Object, error) {
	v, err := d.version(ctx, key, opts.AtMost)
	if err != nil {
		return nil, err
	}
	length, err := v.part(opts)
	if err == nil {
		_, err = v.file.Seek(opts.Offset, io.SeekStart)
	}
	if err != nil {
		_ = v.file.Close()
		return nil, err
	}
	return &bucket.Object{Info: v.rec.info(), Body: &dirBody{ctx: ctx, file: v.file, left: length}}, nil
}

// part checks what is wanted against what is there and returns its length.
func (v *version) part(opts bucket.GetOptions) (int64, error) {
	if opts.IfMatch != "" && opts.IfMatch != v.rec.MD5 {
		return 0, bucket.ErrChanged
	}
	return partLength(v.rec.Size, opts)
}

// partLength returns how many bytes of an object of the given size opts names.
func partLength(size int64, opts bucket.GetOptions) (int64, error) {
	if opts.Offset == 0 && opts.Length == 0 {
		return size, nil
	}
	if opts.Offset < 0 || opts.Length < 0 || opts.Offset >= size {
		return 0, fmt.Errorf("%w: offset %d, length %d of %d bytes", bucket.ErrRange, opts.Offset, opts.Length, size)
	}
	length := size - opts.Offset
	if opts.Length > 0 {
		length = min(length, opts.Length)
	}
	return length, nil
}

// Head implements Store.
func (d *store) Head(ctx context.Context, key string) (bucket.Info, error) {
	if err := d.checkKey(key); err != nil {
		return bucket.Info{}, err
	}
	v, err := d.version(ctx, key, 0)
	if err != nil {
		return bucket.Info{}, dirError("looking at", key, err)
	}
	_ = v.file.Close()
	return v.rec.info(), nil
}

// version opens the object, unless it is larger than atMost (0: any size will do),
// and records what it found if it had to hash it.
func (d *store) version(ctx context.Context, key string, atMost int64) (*version, error) {
	root, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	v, err := d.openVersion(ctx, root, key, atMost)
	if err != nil {
		return nil, err
	}
	if v.rec.Stored.IsZero() {
		d.remember(ctx, root, v)
	}
	return v, nil
}

// openVersion opens the object and the record that describes it. If there is
// none, the file is hashed and the Stored of the new record is zero. The
// caller closes the file.
func (d *store) openVersion(ctx context.Context, root *os.Root, key string, atMost int64) (*version, error) {
	name := metaName(key)
	for try := 1; ; try++ {
		f, info, err := openRegular(root, key)
		if err != nil {
			return nil, err
		}
		if atMost > 0 && info.Size() > atMost {
			_ = f.Close()
			return nil, bucket.ErrTooLarge
		}
		rec, err := readRecord(root, name)
		if err != nil {
			_ = f.Close()
			return nil, err
		}
		if rec != nil {
			if v := rec.of(key, info); v != nil {
				return &version{f, v}, nil
			}
		}
		now, err := root.Lstat(key)
		if err == nil && os.SameFile(now, info) {
			v, err := d.hashOrLater(ctx, f, info, key, rec)
			if err == nil || !errors.Is(err, errInMotion) || try == versionTries {
				return v, err
			}
			continue
		}
		_ = f.Close()
		if try == versionTries {
			return nil, errInMotion
		}
	}
}

// errInMotion: someone keeps changing the file.
var errInMotion = errors.New("it kept changing while it was looked at")

// openRegular opens the object's file, and nothing but a regular one.
func openRegular(root *os.Root, key string) (*os.File, fs.FileInfo, error) {
	// Before the open: a symbolic link would be followed, a device woken.
	named, err := root.Lstat(key)
	if isAbsent(err) || err == nil && !named.Mode().IsRegular() {
		return nil, nil, bucket.ErrNotFound
	}
	if err != nil {
		return nil, nil, err
	}
	f, err := root.OpenFile(key, os.O_RDONLY|openNonblock, 0)
	if isAbsent(err) {
		return nil, nil, bucket.ErrNotFound
	}
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = bucket.ErrNotFound
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// hashVersion describes the open file f, of which rec (may be nil) does not
// know, by its content. It closes f on error.
func hashVersion(ctx context.Context, f *os.File, key string, rec *record) (*version, error) {
	found, err := hashFile(ctx, f, key)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	// The bucket may have been copied to another disk: same content, other
	// inode. Its metadata still holds.
	if rec != nil {
		if known := rec.withContent(key, found.Size, found.MD5); known != nil {
			found.ContentType, found.CacheControl = known.ContentType, known.CacheControl
			found.ModTime, found.Meta = known.ModTime, known.Meta
		}
	}
	return &version{f, found}, nil
}

func hashFile(ctx context.Context, f *os.File, key string) (*record, error) {
	before, err := f.Stat()
	if err != nil {
		return nil, err
	}
	sum, err := copyHashed(ctx, io.Discard, f, before.Size())
	if errors.Is(err, bucket.ErrRefused) {
		return nil, errInMotion // shorter than it was
	}
	if err != nil {
		return nil, err
	}
	after, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if after.Size() != before.Size() || identify(after) != identify(before) {
		return nil, errInMotion
	}
	return &record{
		Key: key, Size: after.Size(), MD5: hex.EncodeToString(sum),
		ContentType: mime.TypeByExtension(path.Ext(key)),
		ModTime:     bucket.StorableTime(after.ModTime()),
		File:        identify(after),
	}, nil
}

// remember writes down what hashing a file found, so that the next look at it
// is cheap, and sets v.rec.Stored. A read does not fail because the disk is
// full or read-only, so it returns no error.
func (d *store) remember(ctx context.Context, root *os.Root, v *version) {
	v.rec.Stored = time.Unix(0, 0).UTC()
	if !v.rec.ModTime.IsZero() {
		v.rec.Stored = v.rec.ModTime
	}
	info, err := v.file.Stat()
	if err != nil || time.Since(info.ModTime()) < settled || !v.rec.describes(v.rec.Key, info) {
		return
	}
	if err := d.recordFound(ctx, root, v.rec); err != nil {
		d.log.Debug("recording what hashing found", "object_key", v.rec.Key, "error", err)
	}
}

func (d *store) recordFound(ctx context.Context, root *os.Root, rec *record) error {
	unlock, err := d.lock(ctx, root, rec.Key)
	if err != nil {
		return err
	}
	defer unlock()
	now, err := root.Lstat(rec.Key)
	if err != nil || !rec.describes(rec.Key, now) {
		return err // replaced since; what was opened is still what it was
	}
	return writeRecord(root, rec)
}

// dirBody reads a part of an object's file.
type dirBody struct {
	ctx  context.Context // the Get's: the body ends with it
	file *os.File
	left int64
}

func (b *dirBody) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if b.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.file.Read(p)
	b.left -= int64(n)
	if errors.Is(err, io.EOF) && b.left > 0 {
		return n, fmt.Errorf("reading %s: %w", b.file.Name(), io.ErrUnexpectedEOF)
	}
	return n, err
}

func (b *dirBody) Close() error { return b.file.Close() }
