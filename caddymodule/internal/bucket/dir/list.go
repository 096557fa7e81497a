package dir

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// List implements Store. It holds the names of one directory and of those
// above it in memory.
func (d *store) List(ctx context.Context, prefix, after string) iter.Seq2[bucket.Info, error] {
	return d.list(ctx, prefix, after, false)
}

// ListNames implements Store: a file that nothing describes is not hashed.
func (d *store) ListNames(ctx context.Context, prefix, after string) iter.Seq2[bucket.Info, error] {
	return d.list(ctx, prefix, after, true)
}

func (d *store) list(ctx context.Context, prefix, after string, names bool) iter.Seq2[bucket.Info, error] {
	return func(yield func(bucket.Info, error) bool) {
		root, err := d.open(ctx)
		if err != nil {
			yield(bucket.Info{}, dirError("listing", prefix, err))
			return
		}
		l := &lister{store: d, ctx: ctx, root: root, prefix: prefix, after: after, names: names, yield: yield}
		base, _ := bucket.SplitKey(prefix)
		if !bucket.BeginsKeys(prefix) || (base != "" && d.checkKey(base) != nil) {
			return
		}
		if err := l.walk(base); err != nil && !errors.Is(err, errStop) {
			yield(bucket.Info{}, dirError("listing", prefix, err))
		}
	}
}

// errStop: the consumer wants no more.
var errStop = errors.New("stop")

type lister struct {
	store         *store
	ctx           context.Context
	root          *os.Root
	prefix, after string
	names         bool // no file is hashed
	yield         func(bucket.Info, error) bool
	unlisted      int // how often something was left out
}

// maxUnlisted is how much a listing leaves out; more is a disk that gives nothing back.
const maxUnlisted = 1000

// walk yields the objects below dir ("" is the top) in the order of their
// keys. Names are sorted with a slash after those of directories, because that
// is what follows them in a key: "a.jpg" < "a/b".
func (l *lister) walk(dir string) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	names, err := readNames(l.root, orDot(dir))
	if err != nil {
		return l.leaveOut(dir+"/", err)
	}
	slices.Sort(names)
	here := &openPair{root: l.root, dir: dir}
	defer here.close()
	for _, name := range names {
		key := path.Join(dir, name)
		sub, isDir := strings.CutSuffix(name, "/")
		if isDir && dir == "" && isReserved(sub) {
			continue
		}
		if isDir {
			if !l.wantsBelow(key + "/") {
				continue
			}
			here.close() // a deep tree must not hold descriptors on each level
			err = l.walk(key)
		} else if l.wants(key) {
			if err := here.open(); err != nil {
				return l.leaveOut(dir+"/", err)
			}
			err = l.object(here, key, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *lister) wants(key string) bool {
	return key > l.after && strings.HasPrefix(key, l.prefix) && l.store.checkKey(key) == nil
}

// wantsBelow reports whether a key that begins with dir, which ends with a
// slash, may be wanted.
func (l *lister) wantsBelow(dir string) bool {
	if !strings.HasPrefix(dir, l.prefix) && !strings.HasPrefix(l.prefix, dir) {
		return false
	}
	if dir < l.after && !strings.HasPrefix(l.after, dir) {
		return false
	}
	// Deeper than any key.
	return len(dir) <= bucket.MaxKeyBytes
}

// object yields one object, unless it is gone by now.
func (l *lister) object(here *openPair, key, name string) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	rec, err := here.look(key, name)
	if err == nil && rec == nil {
		rec, err = l.unhashed(here, name)
	}
	if err == nil && rec == nil {
		// No record fits: the long way, with hashing.
		var v *version
		if v, err = l.store.version(l.ctx, key, 0); err == nil {
			_ = v.file.Close()
			rec = v.rec
		}
	}
	if errors.Is(err, bucket.ErrNotFound) || isAbsent(err) {
		return nil
	}
	if err != nil {
		return l.leaveOut(key, err)
	}
	if !l.yield(bucket.Info{Key: key, Size: rec.Size, ETag: rec.MD5, Stored: rec.Stored}, nil) {
		return errStop
	}
	return nil
}

// leaveOut tells of an object, or a directory, that cannot be looked at. What concerns all
// of the bucket, or goes for its top, ends the listing.
func (l *lister) leaveOut(key string, err error) error {
	if isAbsent(err) {
		return nil // it went meanwhile
	}
	l.unlisted++
	if l.ctx.Err() != nil || key == "/" || l.unlisted > maxUnlisted {
		return err
	}
	if !l.yield(bucket.Info{}, &bucket.UnlistedError{Key: key, Err: dirError("listing", key, err)}) {
		return errStop
	}
	return nil
}

// unhashed describes a file that no record does without reading it: if only names are
// wanted, or if it is so large that nobody should wait for that. It is nil for others.
func (l *lister) unhashed(here *openPair, name string) (*record, error) {
	info, err := here.data.Lstat(name)
	switch {
	case err != nil:
		return nil, err
	case l.names:
		return &record{Size: info.Size(), Stored: bucket.StorableTime(info.ModTime())}, nil
	case info.Size() > l.store.hashAtOnce:
		return &record{Size: info.Size(), MD5: unreadETag(info), Stored: bucket.StorableTime(info.ModTime())}, nil
	}
	return nil, nil
}

// openPair holds a directory and the one of its records open, so that each
// object in it costs no walk through the parents.
type openPair struct {
	root       *os.Root
	dir        string
	data, meta *os.Root
}

func (p *openPair) open() (err error) {
	if p.data != nil {
		return nil
	}
	if p.data, err = openDirectory(p.root, orDot(p.dir)); err != nil {
		return err
	}
	p.meta, err = openDirectory(p.root, metaDirName(p.dir))
	if isAbsent(err) || isNoFile(err) {
		return nil // no object here was stored by us
	}
	return err
}

func (p *openPair) close() {
	if p.data != nil {
		_ = p.data.Close()
	}
	if p.meta != nil {
		_ = p.meta.Close()
	}
	p.data, p.meta = nil, nil
}

// look returns the record of an object in the open pair, or nil if none describes its file.
func (p *openPair) look(key, name string) (*record, error) {
	info, err := p.data.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, bucket.ErrNotFound
	}
	if p.meta == nil {
		return nil, nil
	}
	rec, err := readRecord(p.meta, metaFileName(name))
	if err != nil || rec == nil {
		return nil, err
	}
	return rec.of(key, info), nil
}

// readNames returns the names in a directory, those of directories with a
// slash; none if it does not exist. Names that begin with .nfs are those of
// removed files that are open on an NFS client.
func readNames(root *os.Root, dir string) ([]string, error) {
	f, err := root.Open(dir)
	if isAbsent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.IsDir() {
		return nil, err
	}
	var names []string
	for {
		entries, err := f.ReadDir(1024)
		for _, e := range entries {
			switch {
			case e.IsDir():
				names = append(names, e.Name()+"/")
			case e.Type().IsRegular() || e.Type() == fs.ModeIrregular:
				names = append(names, e.Name())
			}
		}
		if isAbsent(err) {
			return names, nil // removed since it was opened
		}
		if len(entries) == 0 || err != nil {
			return names, ignoreEOF(err)
		}
	}
}

func orDot(dir string) string {
	if dir == "" {
		return "."
	}
	return dir
}
