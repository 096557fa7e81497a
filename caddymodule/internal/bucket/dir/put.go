package dir

import (
	"context"
	"crypto/md5" // what ETags are by definition, not for secrecy
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// Put implements Store.
//
// The order of writes, each durable before the next: the content under a
// temporary name; the record (see record); the rename into place. So a crash
// at any point leaves the old object or the new one, whole.
func (d *store) Put(ctx context.Context, key string, body io.ReaderAt, size int64, opts bucket.PutOptions) (bucket.Info, error) {
	if err := d.checkKey(key); err != nil {
		return bucket.Info{}, err
	}
	if err := bucket.CheckPut(key, size, &opts); err != nil {
		return bucket.Info{}, err
	}
	info, err := d.put(ctx, key, body, size, &opts)
	if err != nil {
		return bucket.Info{}, dirError("storing", key, err)
	}
	return info, nil
}

func (d *store) put(ctx context.Context, key string, body io.ReaderAt, size int64, opts *bucket.PutOptions) (bucket.Info, error) {
	root, err := d.open(ctx)
	if err != nil {
		return bucket.Info{}, err
	}
	// A look before the content is copied for nothing; the one that counts
	// comes under the lock.
	if err := d.checkCondition(ctx, root, key, opts); err != nil {
		return bucket.Info{}, err
	}
	content, err := newTemp(root)
	if err != nil {
		return bucket.Info{}, err
	}
	defer content.discard(root)
	rec, err := writeContent(ctx, root, content, key, body, size, opts)
	if err != nil {
		return bucket.Info{}, err
	}
	unlock, err := d.lock(ctx, root, key)
	if err != nil {
		return bucket.Info{}, err
	}
	defer unlock()
	if err := d.checkCondition(ctx, root, key, opts); err != nil {
		return bucket.Info{}, err
	}
	if err := d.install(root, content, rec, opts); err != nil {
		return bucket.Info{}, err
	}
	return rec.info(), nil
}

// Copy implements Store.
func (d *store) Copy(ctx context.Context, from bucket.Info, to string, public bool) (bucket.Info, error) {
	for _, key := range []string{from.Key, to} {
		if err := d.checkKey(key); err != nil {
			return bucket.Info{}, err
		}
	}
	v, err := d.version(ctx, from.Key, 0)
	if err != nil {
		return bucket.Info{}, dirError("copying", from.Key, err)
	}
	defer v.file.Close()
	if from.ETag != "" && from.ETag != v.rec.MD5 {
		return bucket.Info{}, dirError("copying", from.Key, bucket.ErrChanged)
	}
	return d.Put(ctx, to, v.file, v.rec.Size, bucket.PutOptions{Info: v.rec.info(), Public: public})
}

// checkCondition returns ErrExists or ErrChanged if opts forbids the Put.
func (d *store) checkCondition(ctx context.Context, root *os.Root, key string, opts *bucket.PutOptions) error {
	if opts.IfNoneMatch {
		f, _, err := openRegular(root, key)
		if err == nil {
			_ = f.Close() // it need not be read to know that it is there
			return bucket.ErrExists
		}
		if !errors.Is(err, bucket.ErrNotFound) {
			return err
		}
	}
	if opts.IfMatch == "" {
		return nil
	}
	if isUnread(opts.IfMatch) {
		if now, err := root.Lstat(key); err != nil || unreadETag(now) != opts.IfMatch {
			return bucket.ErrChanged
		}
		return nil
	}
	if d.isHugeInstead(root, key, opts.IfMatch) {
		return bucket.ErrChanged
	}
	v, err := d.openVersion(ctx, root, key, 0)
	switch {
	case errors.Is(err, bucket.ErrNotFound):
		return bucket.ErrChanged
	case err != nil:
		return err
	}
	_ = v.file.Close()
	if v.rec.MD5 != opts.IfMatch {
		return bucket.ErrChanged
	}
	return nil
}

// isHugeInstead reports whether an object takes long to read, and is not of the size that
// the version with an MD5 is recorded to have: somebody has put it in that one's place. It
// need not be read, then, to know that it is another version.
func (d *store) isHugeInstead(root *os.Root, key, md5 string) bool {
	info, err := root.Lstat(key)
	if err != nil || info.Size() <= d.hashAtOnce {
		return false
	}
	rec, err := readRecord(root, metaName(key))
	if err != nil {
		return false // whoever reads it for more tells
	}
	for v := rec; v != nil; v = v.Replaces {
		if v.MD5 == md5 {
			return v.Size != info.Size()
		}
	}
	return false
}

// writeContent fills the temporary file, makes it durable and describes it.
func writeContent(ctx context.Context, root *os.Root, content *temp, key string, body io.ReaderAt, size int64, opts *bucket.PutOptions) (*record, error) {
	// The time of the newly created file is the file system's own: the same
	// clock for all nodes on one NFS server.
	created, err := content.file.Stat()
	if err != nil {
		return nil, err
	}
	sum, err := copyHashed(ctx, content.file, body, size)
	if err != nil {
		return nil, err
	}
	if len(opts.MD5) != 0 && string(sum) != string(opts.MD5) {
		return nil, fmt.Errorf("%w: the body's MD5 is %x, not %x as announced", bucket.ErrRefused, sum, opts.MD5)
	}
	mode := fs.FileMode(0o600)
	if opts.Public {
		mode = 0o644
	}
	if err := content.file.Chmod(mode); err != nil {
		return nil, err
	}
	modTime := bucket.StorableTime(opts.ModTime)
	if !modTime.IsZero() {
		if err := root.Chtimes(content.name, time.Time{}, modTime); err != nil {
			return nil, err
		}
	}
	if err := content.file.Sync(); err != nil {
		return nil, err
	}
	written, err := content.file.Stat()
	if err != nil {
		return nil, err
	}
	return &record{
		Key: key, Size: size, MD5: hex.EncodeToString(sum),
		ContentType: opts.ContentType, CacheControl: opts.CacheControl,
		ModTime: modTime, Stored: created.ModTime().UTC(), Meta: opts.Meta,
		File: identify(written),
	}, nil
}

func copyHashed(ctx context.Context, dst io.Writer, body io.ReaderAt, size int64) ([]byte, error) {
	sum := md5.New()
	n, err := bucket.CopyExactly(ctx, hashedWriter{dst, sum}, body, size)
	if err != nil {
		return nil, err
	}
	if n < size {
		return nil, bucket.ShortBody(n, size)
	}
	return sum.Sum(nil), nil
}

type hashedWriter struct {
	dst io.Writer
	sum hash.Hash
}

func (w hashedWriter) Write(p []byte) (int, error) {
	_, _ = w.sum.Write(p)
	return w.dst.Write(p)
}

// install puts the content and its record in place. The caller holds the lock.
func (d *store) install(root *os.Root, content *temp, rec *record, opts *bucket.PutOptions) error {
	if err := makeRoom(root, rec.Key); err != nil {
		return err
	}
	if err := setReplaced(root, rec); err != nil {
		return err
	}
	dirMode := fs.FileMode(0o711) // others may pass to what is public below
	if opts.Public {
		dirMode = 0o755
	}
	// First, because it fails if a parent is an object.
	if err := makeParents(root, rec.Key, dirMode); err != nil {
		return err
	}
	if err := writeRecord(root, rec); err != nil {
		return err
	}
	put := root.Rename
	if opts.IfNoneMatch {
		// Exactly one of many links wins even on an NFS mount whose locks do
		// not reach the server ("nolock", "local_lock").
		put = content.link(root)
	}
	if err := place(root, content.name, rec.Key, dirMode, put); err != nil {
		return err
	}
	metaDir, _ := bucket.SplitKey(metaName(rec.Key))
	if err := syncDir(root, metaDir); err != nil {
		return err
	}
	return syncDir(root, path.Dir(rec.Key))
}

// makeRoom clears directories away that have the object's name and hold no files, as a
// delete leaves them that was killed, and refuses if there are any.
func makeRoom(root *os.Root, key string) error {
	info, err := root.Lstat(key)
	if isAbsent(err) {
		return nil
	}
	if err != nil || !info.IsDir() {
		return err
	}
	empty, err := removeEmptyTree(root, key)
	if err == nil && !empty {
		err = fmt.Errorf("%w: there are objects below it, and one cannot be beside them in a directory", bucket.ErrRefused)
	}
	return err
}

func removeEmptyTree(root *os.Root, dir string) (bool, error) {
	names, err := readNames(root, dir)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		sub, isDir := strings.CutSuffix(name, "/")
		if !isDir {
			return false, nil
		}
		if empty, err := removeEmptyTree(root, path.Join(dir, sub)); !empty || err != nil {
			return false, err
		}
	}
	err = removeDir(root, dir)
	if errors.Is(err, syscall.ENOTEMPTY) {
		err = removeOdd(root, dir)
	}
	return err == nil || isAbsent(err), nil
}

// removeOdd removes a directory and what else than files and directories is in it.
func removeOdd(root *os.Root, dir string) error {
	f, err := root.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	for _, e := range entries {
		if e.IsDir() || e.Type().IsRegular() || e.Type() == fs.ModeIrregular {
			continue
		}
		err = errors.Join(err, root.Remove(path.Join(dir, e.Name())))
	}
	return errors.Join(err, removeDir(root, dir))
}

// setReplaced notes in rec the version that is there now.
func setReplaced(root *os.Root, rec *record) error {
	old, err := readRecord(root, metaName(rec.Key))
	if err != nil || old == nil {
		return err
	}
	if old.Key != rec.Key {
		return fmt.Errorf("%w: the file system does not tell it from %s", bucket.ErrRefused, bucket.QuoteKey(old.Key))
	}
	info, err := root.Lstat(rec.Key)
	if isAbsent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if v := old.of(rec.Key, info); v != nil {
		v.Replaces = nil
		rec.Replaces = v
	}
	return nil
}

// writeRecord replaces the record of rec.Key.
func writeRecord(root *os.Root, rec *record) error {
	data, err := encodeRecord(rec)
	if err != nil {
		return err
	}
	t, err := newTemp(root)
	if err != nil {
		return err
	}
	defer t.discard(root)
	if _, err := t.file.Write(data); err != nil {
		return err
	}
	if err := t.file.Sync(); err != nil {
		return err
	}
	name := metaName(rec.Key)
	err = place(root, t.name, name, 0o700, root.Rename)
	if err == nil {
		return nil
	}
	if made, wayErr := makeWay(root, name); !made || wayErr != nil {
		return err
	}
	return place(root, t.name, name, 0o700, root.Rename)
}
