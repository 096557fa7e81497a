package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// The names a directory store keeps for itself. Everything else below the
// directory is an object under its own name.
const (
	dirMark  = ".media-offload" // says that the directory is a bucket
	dirMeta  = ".meta"          // one JSON file per object, see record
	dirTemp  = ".tmp"           // objects being written
	dirLocks = ".lock"          // see lock
	// dirFsck belongs to ext4; nothing but root may read it.
	dirFsck = "lost+found"
)

const dirMarkText = `This directory is a bucket of media-offload.

Each file is an object, named by its path. Files put here or removed by hand
are objects put or removed. .meta has what is known of each object beside its
content; .tmp has objects that are being written; .lock serves writers in
several processes. Do not remove .lock while a server runs.
`

// store keeps one plain file per object; see [Open].
type store struct {
	dir string
	log *slog.Logger

	admit bucket.Admission // nil: any place will do

	// current is the directory as last opened; nil before the first use.
	current atomic.Pointer[openedDir]
	// opening lets one caller at a time open it. A channel, not a mutex,
	// because opening waits for the disk.
	opening chan struct{}
	// slots serialise the writers of this process; files in .lock those of
	// others. See lock.
	slots [lockSlots]chan struct{}

	// hashAtOnce is the size in bytes up to which whoever asks for a file waits until
	// it has been hashed.
	hashAtOnce int64
	reading    reading
}

// openedDir is the store's directory, open.
type openedDir struct {
	root *os.Root
	info fs.FileInfo
}

// Open returns a store that keeps one plain file per object below the
// directory dir, an absolute path. Any static web server can serve the files:
// those stored with PutOptions.Public have mode 0644, others 0600.
//
// Open itself does no I/O, so that a disk that is away does not keep a
// server from starting; the first use opens the directory. It is created (mode
// 0755) if its parent exists. A directory that has files but no mark of ours
// (a file named .media-offload, which may be empty) is not used: all methods
// return [ErrNoBucket] with advice. When another file system is mounted over
// the directory later, the next call uses that one, if Admit lets it.
//
// Several processes may share the directory, also over NFS with working locks
// (NFSv4, EFS), if they run as the same user. A call waits as long as the
// kernel waits for the disk: mount NFS with softerr and a timeo, or a server
// that is away hangs its callers.
//
// Names that a file system folds together (case, Unicode forms) are refused
// with [ErrRefused], as is an object below another (x beside x/y). Symbolic
// links are not objects, and none leads out of dir.
func Open(dir string, log *slog.Logger) (bucket.Store, error) {
	if !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("opening bucket %q: the directory's path must be absolute", dir)
	}
	if strings.ContainsRune(dir, 0) {
		return nil, fmt.Errorf("opening bucket %q: the path has a NUL byte", dir)
	}
	dir = filepath.Clean(dir)
	if dir == filepath.VolumeName(dir)+string(filepath.Separator) {
		return nil, fmt.Errorf("opening bucket %q: the root directory cannot be a bucket: name a directory in it", dir)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	d := &store{dir: dir, log: log, opening: make(chan struct{}, 1), hashAtOnce: hashAtOnce}
	d.reading.life, d.reading.end = context.WithCancel(context.Background())
	for i := range d.slots {
		d.slots[i] = make(chan struct{}, 1)
	}
	return d, nil
}

// String implements Store.
func (d *store) String() string { return "file://" + filepath.ToSlash(d.dir) }

// Close implements Store.
func (d *store) Close() error {
	d.reading.end()
	d.reading.readers.Wait()
	if opened := d.current.Swap(nil); opened != nil {
		return opened.root.Close()
	}
	return nil
}

// Admit implements Store.
func (d *store) Admit(check bucket.Admission) { d.admit = check }

// Check implements Store.
func (d *store) Check(ctx context.Context) error {
	if _, err := d.open(ctx); err != nil {
		return err
	}
	// Each object begins as a file in dirTemp.
	return dirError("looking at", d.dir, mayWrite(filepath.Join(d.dir, dirTemp)))
}

// PresignGet implements Store: files have no such thing.
func (d *store) PresignGet(context.Context, string, time.Duration) (string, error) {
	return "", fmt.Errorf("presigning a URL of %s: %w", d, bucket.ErrUnsupported)
}

// open returns the directory. It looks at the path each time, because a server
// often starts before its NFS mount: an open directory would stay the one
// beneath the mount point for ever.
func (d *store) open(ctx context.Context) (*os.Root, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if opened := d.stillThere(); opened != nil {
		return opened.root, nil
	}
	select {
	case d.opening <- struct{}{}:
		defer func() { <-d.opening }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if opened := d.stillThere(); opened != nil {
		return opened.root, nil
	}
	opened, err := d.openAdmitted()
	if err != nil {
		return nil, err
	}
	if old := d.current.Swap(opened); old != nil {
		d.log.Warn("the bucket's directory is another one now; was something mounted over it?", "bucket", d.String())
		// Calls under way keep their descriptors; the next ones get the new.
		_ = old.root.Close()
	}
	return opened.root, nil
}

func (d *store) stillThere() *openedDir {
	opened := d.current.Load()
	if opened == nil {
		return nil
	}
	info, err := os.Stat(d.dir)
	if err != nil || !os.SameFile(info, opened.info) {
		return nil
	}
	return opened
}

// openAdmitted opens the directory, makes it if there is none, and has it
// admitted before anything is written.
func (d *store) openAdmitted() (*openedDir, error) {
	root, err := os.OpenRoot(d.dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.admitFresh(); err != nil {
			return nil, err
		}
		if err := makeBucketDir(d.dir); err != nil {
			return nil, err
		}
		root, err = os.OpenRoot(d.dir)
	}
	if err != nil {
		return nil, dirError("opening", d.dir, err)
	}
	info, err := root.Stat(".")
	if err == nil {
		err = d.enter(root)
	}
	if err != nil {
		_ = root.Close()
		return nil, dirError("opening", d.dir, err)
	}
	return &openedDir{root: root, info: info}, nil
}

func (d *store) admitFresh() error {
	if d.admit == nil {
		return nil
	}
	return d.admit(true, nil)
}

// admitUsed has a directory admitted that is a bucket.
func (d *store) admitUsed(root *os.Root) error {
	if d.admit == nil {
		return nil
	}
	return d.admit(false, func(key string, limit int64) ([]byte, error) { return readSmall(root, key, limit) })
}

func readSmall(root *os.Root, key string, limit int64) ([]byte, error) {
	f, info, err := openRegular(root, key)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes, more than %d", key, info.Size(), limit)
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

// makeBucketDir creates dir, but never its parents: a wrong path or a disk
// that is not mounted should not quietly become an empty bucket elsewhere.
func makeBucketDir(dir string) error {
	err := os.Mkdir(dir, 0o755)
	switch {
	case err == nil:
		// The umask may have taken the web server's access away.
		return os.Chmod(dir, 0o755)
	case errors.Is(err, fs.ErrExist):
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: neither %s nor its parent directory exists: create it, or mount what should be there", bucket.ErrNoBucket, dir)
	}
	return dirError("creating", dir, err)
}

// enter makes sure that root is a bucket that may be used: it has the mark, or is
// empty and gets it.
func (d *store) enter(root *os.Root) error {
	_, err := root.Lstat(dirMark)
	if err == nil {
		if err := d.admitUsed(root); err != nil {
			return err
		}
		return makeLayout(root)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	empty, err := isUnused(root)
	if err != nil {
		return err
	}
	if err := d.admitFresh(); err != nil {
		return err
	}
	if !empty {
		return fmt.Errorf("%w: %s has files but is not marked as a bucket: if its files are to be the bucket's objects, create an empty file %s in it, else choose an empty directory", bucket.ErrNoBucket, d.dir, dirMark)
	}
	if err := makeLayout(root); err != nil {
		return err
	}
	if err := root.WriteFile(dirMark, []byte(dirMarkText), 0o644); err != nil {
		return err
	}
	return syncDir(root, ".")
}

// isUnused reports whether there is nothing but what another process that
// opens the bucket right now, or mkfs, has put there.
func isUnused(root *os.Root) (bool, error) {
	f, err := root.Open(".")
	if err != nil {
		return false, err
	}
	defer f.Close()
	// The names that do not count are five: more than these means files.
	names, err := f.Readdirnames(6)
	if err != nil && len(names) == 0 {
		return true, nil
	}
	for _, name := range names {
		if !isReserved(name) {
			return false, nil
		}
	}
	return true, nil
}

func makeLayout(root *os.Root) error {
	for _, name := range []string{dirMeta, dirTemp, dirLocks} {
		if err := root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	makeLocks(root)
	return nil
}

func isReserved(name string) bool {
	switch name {
	case dirMark, dirMeta, dirTemp, dirLocks, dirFsck:
		return true
	}
	return false
}

// checkKey is CheckKey and what a directory cannot hold besides.
func (d *store) checkKey(key string) error {
	if err := bucket.CheckKey(key); err != nil {
		return err
	}
	if fault := dirKeyFault(key); fault != "" {
		return bucket.RefuseKey(key, fault)
	}
	return nil
}

func dirKeyFault(key string) string {
	first, _, _ := strings.Cut(key, "/")
	if isReserved(first) {
		return fmt.Sprintf("the store keeps the name %s for itself", first)
	}
	// NFS clients keep files that are removed while open under such names.
	if strings.HasPrefix(key, ".nfs") || strings.Contains(key, "/.nfs") {
		return "names that begin with .nfs belong to NFS"
	}
	if _, err := filepath.Localize(key); err != nil {
		return "this system's file names cannot hold it"
	}
	return ""
}

// dirError tells what an error of the file system means for the caller.
func dirError(doing, what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%s %s: %w: the bucket's file system is mounted read-only", doing, what, bucket.ErrDenied)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s %s: %w: the user with uid %d may not: check owner and mode of the bucket's directory and what is in it, %w (%w)",
			doing, what, bucket.ErrDenied, os.Getuid(), bucket.ErrOfObject, err)
	case escapesRoot(err):
		return fmt.Errorf("%s %s: %w: a symbolic link leads out of the bucket's directory, %w", doing, what, bucket.ErrDenied, bucket.ErrOfObject)
	case errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.EILSEQ):
		return fmt.Errorf("%s %s: %w: the file system cannot hold this name (%w)", doing, what, bucket.ErrRefused, err)
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%s %s: %w: the bucket's disk is full (%w)", doing, what, bucket.ErrFull, err)
	case errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%s %s: %w: the quota of the bucket's disk is used up (%w)", doing, what, bucket.ErrFull, err)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ELOOP):
		return fmt.Errorf("%s %s: something else stands in its place, %w (%w)", doing, what, bucket.ErrOfObject, err)
	}
	return fmt.Errorf("%s %s: %w", doing, what, err)
}

// escapesRoot reports whether os.Root refused a path. The package os has no
// exported error for it.
func escapesRoot(err error) bool {
	var pathErr *fs.PathError
	return errors.As(err, &pathErr) && pathErr.Err.Error() == "path escapes from parent"
}

// isAbsent reports whether err says that there is no such file, or none can
// be because a parent is a file.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// Probe implements Store.
func (d *store) Probe(ctx context.Context, prefix string, _ ...string) (bucket.Capabilities, error) {
	caps, err := bucket.Probe(ctx, d, prefix)
	if err != nil {
		return caps, err
	}
	// Writers in one process exclude each other in any case; those in several
	// need the file system's locks.
	if err := d.probeLocks(ctx); err != nil {
		if !errors.Is(err, errNoLocks) {
			return bucket.Capabilities{}, dirError("probing", d.dir, err)
		}
		caps.CompareAndSwap = false
		caps.Missing = err.Error() + " (NFS: mount it as version 4, or without nolock)"
	}
	return caps, nil
}

func (d *store) probeLocks(ctx context.Context) error {
	root, err := d.open(ctx)
	if err != nil {
		return err
	}
	f, err := newTemp(root)
	if err != nil {
		return err
	}
	defer f.discard(root)
	_, err = tryLock(f.file)
	return err
}
