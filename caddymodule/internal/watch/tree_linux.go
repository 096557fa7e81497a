package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// watchMask. IN_EXCL_UNLINK: a file that has no name any more is nobody's.
const watchMask = unix.IN_CREATE | unix.IN_MODIFY | unix.IN_CLOSE_WRITE | unix.IN_ATTRIB |
	unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_DELETE |
	unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR | unix.IN_EXCL_UNLINK

// staleSlice is how many watches are dropped at once, at most: each puts an
// event into the queue, which must not overflow of that.
const staleSlice = 1024

const procFDs = "/proc/self/fd/"

// errMaxWatches: as many watches as Config.MaxWatches allows are in use.
var errMaxWatches = errors.New("no more inotify watches are allowed by the configuration")

// node is a directory that is, or was, watched.
type node struct {
	wd       int32
	root     int
	parent   *node // nil for a root
	name     string
	children map[string]*node
	// live: it is in the tree. A watch that is not is kept until dropStale,
	// because a directory that was renamed is mostly found again at once, and
	// then it is the same watch.
	live bool
	// deleted: the directory itself is gone, not only its watch.
	deleted bool
}

// tree knows which directory each watch is for. Watches belong to inodes, not
// to names, and events tell of the past while the disk shows the present; so
// the rule is: whatever an event says about a directory's name, look at what
// is there now. A later change has a later event, after which the name is
// looked at again; so the last look at every name comes after its last change.
type tree struct {
	cfg  *Config
	fd   int // inotify
	once onceLogger
	// real is where the roots are, without symbolic links, and rootID what was
	// found there.
	real   []string
	rootID []identity
	roots  []*node // nil: not watched now
	byWD   map[int32]*node
	stale  []*node // not live (or live again since)
	// byFD: directories can be named by an open descriptor, so that what is
	// watched and what is listed is certainly the same one.
	byFD bool
	// overflowed: the kernel dropped events.
	overflowed bool
	// incomplete: for lack of something some directory was not looked at.
	incomplete bool
	leaving    []leaving

	stack   []visit
	subdirs []string
	pathBuf []byte
	dirents []byte
}

func newTree(fd int, cfg *Config) *tree {
	_, err := os.Stat(procFDs)
	return &tree{
		cfg:     cfg,
		fd:      fd,
		once:    onceLogger{log: cfg.Logger},
		real:    make([]string, len(cfg.Roots)),
		rootID:  make([]identity, len(cfg.Roots)),
		roots:   make([]*node, len(cfg.Roots)),
		byWD:    make(map[int32]*node),
		byFD:    err == nil,
		dirents: make([]byte, direntBuffer),
	}
}

func (t *tree) complain(msg, path string, err error) { t.once.warn(msg, path, err) }

// overlaps finds a watched root that contains real or lies in it.
func (t *tree) overlaps(root int, real string) (string, bool) {
	for i, n := range t.roots {
		if i != root && n != nil && (within(t.real[i], real) || within(real, t.real[i])) {
			return t.cfg.Roots[i], true
		}
	}
	return "", false
}

// appendPath appends the path of n below its root, with name if it is not "".
func appendPath(buf []byte, n *node, name string) []byte {
	if n.parent != nil {
		buf = appendPath(buf, n.parent, n.name)
	}
	if name == "" {
		return buf
	}
	if len(buf) > 0 {
		buf = append(buf, '/')
	}
	return append(buf, name...)
}

// file reports a file in directory n.
func (t *tree) file(n *node, name []byte, op Op, created bool, out *batch) {
	t.pathBuf = appendPath(t.pathBuf[:0], n, "")
	if len(t.pathBuf) > 0 {
		t.pathBuf = append(t.pathBuf, '/')
	}
	t.pathBuf = append(t.pathBuf, name...)
	out.file(n.root, t.pathBuf, op, created)
}

// apply takes in one event.
func (t *tree) apply(ctx context.Context, ev rawEvent, out *batch) error {
	if ev.has(unix.IN_Q_OVERFLOW) {
		t.overflowed = true
		return nil
	}
	if len(t.leaving) > 0 && len(ev.name) > 0 {
		t.reused(ev, out)
	}
	n := t.byWD[ev.wd]
	switch {
	case n == nil:
		return nil
	case ev.has(unix.IN_DELETE_SELF):
		n.deleted = true
	case ev.has(unix.IN_IGNORED):
		delete(t.byWD, ev.wd)
		return t.unwatched(ctx, n, out)
	case !n.live || len(ev.name) == 0:
		return nil
	case ev.has(unix.IN_ISDIR):
		return t.applyDir(ctx, n, string(ev.name), ev, out)
	case ev.has(unix.IN_MOVED_FROM):
		t.leaves(ev, n.root, string(appendPath(t.pathBuf[:0], n, string(ev.name))), Gone, out)
	case ev.has(unix.IN_DELETE):
		t.file(n, ev.name, Gone, false, out)
	case ev.has(unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO):
		t.file(n, ev.name, Wrote, false, out)
		t.arrives(ev, n.root, t.pathBuf, out)
	case ev.has(unix.IN_CREATE):
		t.file(n, ev.name, Writing, true, out)
	case ev.has(unix.IN_MODIFY):
		t.file(n, ev.name, Writing, false, out)
	case ev.has(unix.IN_ATTRIB):
		t.file(n, ev.name, Touched, false, out)
	}
	return nil
}

// applyDir takes in an event of the directory name in n.
func (t *tree) applyDir(ctx context.Context, n *node, name string, ev rawEvent, out *batch) error {
	path := string(appendPath(t.pathBuf[:0], n, name))
	if t.cfg.Skip(n.root, path) {
		return nil
	}
	child := n.children[name]
	switch {
	case ev.has(unix.IN_DELETE):
		t.detach(child)
		child = nil
		out.dir(n.root, path, DirGone)
	case ev.has(unix.IN_MOVED_FROM):
		t.detach(child)
		child = nil
		t.leaves(ev, n.root, path, DirGone, out)
	}
	if child != nil && ev.has(unix.IN_ATTRIB) {
		return nil // without a child, its mode may have kept us out until now
	}
	err := t.walk(ctx, visit{root: n.root, parent: n, name: name, ifNew: true}, out)
	t.arrives(ev, n.root, []byte(path), out)
	return err
}

// unwatched: the kernel dropped the watch of n. If the directory was removed,
// its parent has an event about that, before or after this one. Else its file
// system was unmounted, or it is a root, which checkRoots looks at.
func (t *tree) unwatched(ctx context.Context, n *node, out *batch) error {
	if !n.live {
		return nil
	}
	parent, name, root := n.parent, n.name, n.root
	path := string(appendPath(nil, n, ""))
	t.detach(n)
	if parent == nil || n.deleted {
		return nil
	}
	err := t.walk(ctx, visit{root: root, parent: parent, name: name}, nil)
	out.dir(root, path, Rescan)
	return err
}

// detach takes n and all below it out of the tree. n may be nil.
func (t *tree) detach(n *node) {
	if n == nil || !n.live {
		return
	}
	t.unlink(n)
	pending := []*node{n}
	for len(pending) > 0 {
		n := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		for _, child := range n.children {
			pending = append(pending, child)
		}
		n.live, n.parent, n.children = false, nil, nil
		t.stale = append(t.stale, n)
	}
}

// unlink removes n from its parent, or from the roots.
func (t *tree) unlink(n *node) {
	switch {
	case n.parent != nil:
		delete(n.parent.children, n.name)
	case t.roots[n.root] == n:
		t.roots[n.root] = nil
	}
}

// dropStale gives back the watches of up to limit directories that have left
// the tree; the rest waits for the next call.
func (t *tree) dropStale(limit int) {
	n := min(limit, len(t.stale))
	for _, s := range t.stale[:n] {
		if s.live || t.byWD[s.wd] != s {
			continue
		}
		// EINVAL: the directory is gone and its watch with it.
		_, _ = unix.InotifyRmWatch(t.fd, uint32(s.wd))
		delete(t.byWD, s.wd)
	}
	rest := copy(t.stale, t.stale[n:])
	clear(t.stale[rest:])
	t.stale = t.stale[:rest]
}

// addWatch watches d and returns the watch, which is the one it had if it was
// watched before.
func (t *tree) addWatch(d dir) (int32, error) {
	path, mask := d.path, uint32(watchMask|unix.IN_DONT_FOLLOW)
	if t.byFD {
		path, mask = procFDs+strconv.Itoa(d.fd), watchMask
	}
	for {
		wd, err := t.tryAddWatch(path, mask)
		full := errors.Is(err, unix.ENOSPC) || errors.Is(err, errMaxWatches)
		if full && len(t.stale) > 0 {
			t.dropStale(len(t.stale))
			continue
		}
		if errors.Is(err, unix.ENOSPC) {
			return 0, &limitError{sysctl: sysctlWatches, limit: sysctlValue(sysctlWatches), err: err}
		}
		if err != nil {
			return 0, fmt.Errorf("watching directory %s: %w", d.path, err)
		}
		return wd, nil
	}
}

func (t *tree) tryAddWatch(path string, mask uint32) (int32, error) {
	wd, err := ignoringEINTR(func() (int, error) { return unix.InotifyAddWatch(t.fd, path, mask) })
	if err != nil {
		return 0, err
	}
	if _, known := t.byWD[int32(wd)]; !known && t.cfg.MaxWatches > 0 && len(t.byWD) >= t.cfg.MaxWatches {
		return 0, errMaxWatches
	}
	return int32(wd), nil
}
