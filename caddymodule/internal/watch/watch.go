package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"
)

// Op says what is known of a change. A change is a hint where to look, never
// a fact about the present: the receiver looks at the disk again.
type Op uint8

const (
	// Wrote: the file was closed after writing, was renamed to this name, or
	// was found in a new directory. Its content may be complete.
	Wrote Op = iota + 1
	// Writing: the file was created or changed and has not been closed since.
	// Wrote need not follow: a hard link is created and never closed, a file
	// may stay open for days. Who waits for Wrote looks again after a while.
	Writing
	// Touched: mode, owner, times or extended attributes changed.
	Touched
	// Gone: the file was removed or renamed away.
	Gone
	// DirGone: the directory and all below it was removed or renamed away.
	// Events for what was in it may or may not have come before.
	DirGone
	// Rescan: events were lost, or the directory (Path "" is the whole root)
	// is another one than before; anything below it may have changed in any
	// way.
	Rescan
)

// String returns the constant's name, for logs and tests.
func (op Op) String() string {
	switch op {
	case Wrote:
		return "Wrote"
	case Writing:
		return "Writing"
	case Touched:
		return "Touched"
	case Gone:
		return "Gone"
	case DirGone:
		return "DirGone"
	case Rescan:
		return "Rescan"
	default:
		return fmt.Sprintf("Op(%d)", uint8(op))
	}
}

// Event is a change of one path. The path may be of any type but directory
// (of any type for DirGone and Rescan): a symbolic link or FIFO is reported
// like a file, and is never opened or followed.
//
// Within a batch there is one event per path: Op is that of the last change,
// except that Touched never replaces another Op, and Created is that of the
// first, To that of the last rename. DirGone and Rescan are never merged, nor is anything merged across
// them.
type Event struct {
	// Root is the index of the root in Config.Roots.
	Root int
	// Path is the slash-separated path below the root, any bytes but NUL; ""
	// is the root itself.
	Path string
	Op   Op
	// Created: nothing was at this path before the change, because the watcher
	// saw the file being created, or found it in a new directory or, when
	// scanning, where none was before. A rename to this name does not set it,
	// because that may have replaced a file. With Gone it means that the file
	// came and went within the batch: who never heard of it can forget it.
	Created bool
	// To, with Gone and DirGone, is the path below the root ToRoot to which it
	// was renamed last: it was moved, not removed. Of a file To has its event in
	// this batch or the one before; of a directory, all that is in it has. "": it
	// was removed, or it is not known where it went (out of the roots, to a
	// directory so new that it is not watched yet, or when scanning).
	To     string
	ToRoot int
	// In is the directory that was the root then. It need not be what is at the
	// root's path now: a symbolic link may have been switched.
	In DirID
}

// DirID tells one directory from all others that exist at the time, and on file systems
// that tell when it was made (ext4, XFS, Btrfs, ZFS, tmpfs) from those before it. Where the
// system does not tell, all have the same one.
type DirID = identity

// Watcher delivers changes until it is closed.
type Watcher interface {
	// Barrier returns when every change that was complete before the call has
	// been passed to Config.Handle, which has returned. It does not wait for
	// changes made after the call. It returns ctx's error if that ends first,
	// and ErrClosed after Close. Handle must not call it.
	Barrier(ctx context.Context) error
	// Kind names the implementation: "inotify" or "scan".
	Kind() string
	// Close stops all goroutines and returns when they have ended. Handle is
	// not called after it, and must not call it. Closing twice is harmless.
	Close() error
}

// ErrClosed is returned by Barrier after Close.
var ErrClosed = errors.New("watcher is closed")

// Config says what is watched, and who is told.
type Config struct {
	// Roots are absolute directories, none inside another. One that is not
	// there yet, disappears, or is replaced is watched when it is there
	// (again): that is reported as Rescan. Its disappearing alone is logged,
	// not reported, because an unmounted directory is not a deleted one. A
	// root may be a symbolic link; below it none is followed.
	Roots []string
	// Handle receives the changes, in order, in batches, from one goroutine at
	// a time. The slice is reused after it returns. While it runs nothing else
	// is delivered, so it should return soon. A panic is logged with its stack
	// and the batch counts as lost: within a second a Rescan of all roots
	// follows, and barriers wait for that.
	Handle func([]Event)
	// Skip tells that a directory (path below the root, never "") and all
	// below it is not to be watched: caches. Default: none is skipped.
	Skip func(root int, dir string) bool
	// Logger. Default: nothing is logged.
	Logger *slog.Logger
	// Scan: scan even where inotify is to be had, for file systems that change
	// without this kernel's knowledge.
	Scan bool
	// ScanInterval is the time between two scans, if scanning; it is stretched
	// so that scanning takes at most a tenth of the time. Default: 1s.
	ScanInterval time.Duration
	// MaxWatches is how many inotify watches (one per directory) are used
	// before scanning takes over. Default: 0, as many as the kernel grants.
	MaxWatches int
}

// New begins watching: what changes after it has returned is delivered. What
// is there already is not, and what changes meanwhile may or may not be.
//
// It lists every directory below the roots before it returns, about 20 µs for
// each; when ctx ends first it stops and returns ctx's error. Afterwards ctx
// is not used.
func New(ctx context.Context, cfg Config) (Watcher, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("watching media roots: %w", err)
	}
	src, err := openSource(ctx, &cfg)
	if err != nil {
		return nil, fmt.Errorf("watching media roots: %w", err)
	}
	w := newWatcher(&cfg, src)
	go w.run()
	return w, nil
}

// complete checks cfg and puts defaults into it.
func (cfg *Config) complete() error {
	if cfg.Handle == nil {
		return errors.New("no Handle")
	}
	if cfg.Skip == nil {
		cfg.Skip = func(int, string) bool { return false }
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.ScanInterval <= 0 {
		cfg.ScanInterval = time.Second
	}
	roots := make([]string, len(cfg.Roots))
	for i, root := range cfg.Roots {
		if !filepath.IsAbs(root) || strings.ContainsRune(root, 0) {
			return fmt.Errorf("root %q is not an absolute path", root)
		}
		roots[i] = filepath.Clean(root)
	}
	cfg.Roots = roots
	return checkOverlap(roots)
}

// checkOverlap returns an error if one root lies in another, as written or
// after following symbolic links: each change must have one path.
func checkOverlap(roots []string) error {
	for i, a := range roots {
		for j, b := range roots {
			if i == j {
				continue
			}
			if within(a, b) || within(resolved(a), resolved(b)) {
				return fmt.Errorf("root %s lies in root %s", b, a)
			}
		}
	}
	return nil
}

// within tells whether path is dir or below it. Both are clean.
func within(dir, path string) bool {
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(dir, string(filepath.Separator)))
	return ok && (rest == "" || rest[0] == filepath.Separator)
}

// resolved returns path without symbolic links, or as it is where there is
// nothing to follow yet.
func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}
