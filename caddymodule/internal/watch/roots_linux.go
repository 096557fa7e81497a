package watch

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// watchedRoot is a root and the directory found there. Whether that is watched,
// the tree knows.
type watchedRoot struct {
	path  string
	cpath []byte // path with a NUL
	// id is the directory that was found at path, nil if none. Written by
	// collect, read by barriers.
	id       atomic.Pointer[identity]
	presence presence
}

func newRoots(paths []string) []watchedRoot {
	roots := make([]watchedRoot, len(paths))
	for i, path := range paths {
		roots[i].path = path
		roots[i].cpath = append([]byte(path), 0)
	}
	return roots
}

// RootAt is the directory at a root's path, which may be a symbolic link.
func RootAt(path string) (DirID, error) {
	st, err := statRoot(append([]byte(path), 0))
	if err == nil && st.kind != directory {
		err = unix.ENOTDIR
	}
	if err != nil {
		return DirID{}, fmt.Errorf("looking at media root %s: %w", path, err)
	}
	return st.identity, nil
}

// IsMountPoint reports whether a file system is mounted at a path; false where the system
// does not tell (before Linux 5.8).
func IsMountPoint(path string) bool {
	var st unix.Statx_t
	_, err := ignoringEINTR(func() (int, error) {
		return 0, unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_DONT_SYNC, 0, &st)
	})
	return err == nil && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

// unchanged tells whether what is at the root's path is what was found there.
func (r *watchedRoot) unchanged() bool {
	st, err := statRoot(r.cpath)
	id := r.id.Load()
	if err != nil {
		return id == nil && isGone(err)
	}
	return id != nil && *id == st.identity
}

// checkRoots watches roots that have appeared or are another directory than
// before, with a Rescan, and forgets those that are gone. Without out it does
// not report.
func (s *inotifySource) checkRoots(ctx context.Context, out *batch) error {
	for i := range s.roots {
		root := &s.roots[i]
		if s.tree.roots[i] != nil && root.unchanged() {
			continue
		}
		s.tree.detach(s.tree.roots[i])
		if err := s.watchRoot(ctx, i); err != nil {
			return err
		}
		if s.tree.roots[i] != nil && out != nil {
			out.dir(i, "", Rescan)
		}
	}
	return nil
}

// watchRoot watches root i if it is there.
func (s *inotifySource) watchRoot(ctx context.Context, i int) error {
	root := &s.roots[i]
	st, err := statRoot(root.cpath)
	if err == nil && st.kind != directory {
		err = unix.ENOTDIR
	}
	if err != nil {
		root.id.Store(nil)
		root.presence.absent(s.cfg.Logger, root.path, err)
		return nil
	}
	root.id.Store(&st.identity)
	real, err := filepath.EvalSymlinks(root.path)
	if err != nil {
		s.tree.complain("media root cannot be watched", root.path, err)
		return nil
	}
	if other, ok := s.tree.overlaps(i, real); ok {
		s.tree.complain("media root is not watched because another contains it or lies in it", root.path,
			errors.New("the other is "+other))
		return nil
	}
	s.tree.real[i], s.tree.rootID[i] = real, st.identity
	if err := s.tree.walk(ctx, visit{root: i}, nil); err != nil {
		return err
	}
	if s.tree.roots[i] != nil {
		root.presence.present(s.cfg.Logger, root.path)
	}
	return nil
}
