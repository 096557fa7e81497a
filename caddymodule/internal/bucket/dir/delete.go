package dir

import (
	"context"
	"errors"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// Delete implements Store. It makes all removals durable together at the end.
func (d *store) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := d.checkKey(key); err != nil {
			return err
		}
	}
	root, err := d.open(ctx)
	if err != nil {
		return dirError("deleting", bucket.CountKeys(keys), err)
	}
	changed := map[string]bool{}
	var failed error
	for _, key := range keys {
		if err := d.remove(ctx, root, key, changed); err != nil {
			failed = dirError("deleting", key, err)
			break
		}
	}
	for dir := range changed {
		if err := syncOrParent(root, dir); err != nil {
			failed = errors.Join(failed, dirError("deleting", bucket.CountKeys(keys), err))
		}
	}
	return failed
}

// remove removes one object, its record, and the directories that this leaves
// empty, and adds the directories that lost a name to changed.
func (d *store) remove(ctx context.Context, root *os.Root, key string, changed map[string]bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	unlock, err := d.lock(ctx, root, key)
	if err != nil {
		return err
	}
	defer unlock()
	if info, err := root.Lstat(key); err == nil && info.IsDir() {
		return nil // not an object
	}
	// The content first: a record without a file is harmless.
	for _, name := range []string{key, metaName(key)} {
		err := root.Remove(name)
		if isAbsent(err) || name != key && isNoRecord(root, name) {
			continue
		}
		if err != nil {
			return err
		}
		changed[path.Dir(name)] = true
		pruneParents(root, name, changed)
	}
	return nil
}

// pruneParents removes the directories above name that are empty, but those at
// the top: an admin may have given them an owner or mounted something there.
// The kernel refuses to remove one in which a Put has just placed a file; a
// Put that finds its directory gone makes it again (place).
func pruneParents(root *os.Root, name string, changed map[string]bool) {
	keep := 1
	if strings.HasPrefix(name, dirMeta+"/") {
		keep = 2
	}
	for dir := path.Dir(name); strings.Count(dir, "/") >= keep; dir = path.Dir(dir) {
		if removeDir(root, dir) != nil {
			return
		}
		changed[path.Dir(dir)] = true
	}
}

// syncOrParent makes the removals in dir durable, or that of dir itself.
func syncOrParent(root *os.Root, dir string) error {
	for {
		err := syncDir(root, dir)
		if !isAbsent(err) || dir == "." {
			return err
		}
		dir = path.Dir(dir)
	}
}

// AbortUploads implements Store. A temporary file carries no key, so prefix is
// not looked at: what nobody is writing is of no use to anyone. Which files
// are being written tell their locks, across machines too.
func (d *store) AbortUploads(ctx context.Context, _ string, age time.Duration) (int, error) {
	root, err := d.open(ctx)
	if err != nil {
		return 0, dirError("cleaning", d.dir, err)
	}
	names, err := readNames(root, dirTemp)
	if err != nil {
		return 0, dirError("cleaning", d.dir, err)
	}
	removed := 0
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return removed, err
		}
		if !begunBefore(name, time.Now().Add(-age)) {
			continue
		}
		done, err := removeTemp(root, path.Join(dirTemp, name))
		if err != nil {
			return removed, dirError("cleaning", d.dir, err)
		}
		if done {
			removed++
		}
	}
	return removed, nil
}

// begunBefore tells by a temporary file's name when it was begun; its own time
// is that of the object.
func begunBefore(name string, t time.Time) bool {
	nanos, _, _ := strings.Cut(name, "-")
	begun, err := strconv.ParseInt(nanos, 10, 64)
	return err == nil && begun <= t.UnixNano()
}

// removeTemp removes a temporary file unless someone is writing it.
func removeTemp(root *os.Root, name string) (bool, error) {
	f, err := root.OpenFile(name, os.O_RDWR|openNonblock, 0)
	if isAbsent(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	if free, err := tryLock(f); !free && !errors.Is(err, errNoLocks) {
		return false, err
	}
	err = root.Remove(name)
	if isAbsent(err) {
		return false, nil
	}
	return err == nil, err
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
