package watch

import (
	"context"
	"hash/maphash"
	"slices"
	"strings"
	"time"
)

// snapshot is a directory as the latest scan found it: about 50 bytes for each
// file, so that a million of them fit.
type snapshot struct {
	id    identity
	files []snapFile // by name
	dirs  []snapDir  // by name
}

type snapFile struct {
	name string
	mark mark
}

type snapDir struct {
	name string
	seen bool // by the listing that runs
	*snapshot
}

// mark stands for a fileState, by a hash of it, and has two flags.
type mark uint64

const (
	// seen by the listing that runs.
	seen mark = 1 << iota
	// fresh: the file had changed so short a time before it was looked at that
	// a later change might bear the same time. So it counts as changed when it
	// is looked at again.
	fresh
	flags = seen | fresh
)

// Kernels take file times from a clock that ticks each 1 to 10 ms; file
// systems without fractions of a second have full seconds, FAT even ones.
const (
	clockTick      = 50 * time.Millisecond
	wholeSecondsOf = 2 * time.Second
)

func (s *scanSource) mark(st fileState, now time.Time) mark {
	m := mark(maphash.Comparable(s.seed, st)) &^ flags
	changed := max(st.mtime, st.ctime)
	tick := clockTick
	if changed%int64(time.Second) == 0 {
		tick = wholeSecondsOf
	}
	if age := now.Sub(time.Unix(0, changed)); age.Abs() < tick {
		m |= fresh
	}
	return m
}

// comparison compares a root with its snapshot, which it brings up to date.
type comparison struct {
	s    *scanSource
	root int
	real string // the root without symbolic links
	out  *batch // nil: do not report
}

// compare compares the directory rel, "" for the root, and all below it. The
// error is ctx's.
func (c *comparison) compare(ctx context.Context, rel string, snap *snapshot) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	path := c.real
	if rel != "" {
		path = join(c.real, rel)
	}
	d, err := openDir(path)
	if err != nil {
		c.s.failed("directory", path, err)
		return nil
	}
	id, err := d.identity()
	if err == nil && snap.id.dev != 0 && snap.id.dev != id.dev {
		d.close()
		return c.remounted(ctx, rel, snap, id)
	}
	if err == nil {
		snap.id = id
		err = c.list(d, rel, snap)
	}
	d.close()
	if err != nil {
		c.s.failed("directory", path, err)
	}
	for i := range snap.dirs {
		if err := c.compare(ctx, joinRel(rel, snap.dirs[i].name), snap.dirs[i].snapshot); err != nil {
			return err
		}
	}
	return nil
}

// remounted: another file system is mounted at rel than before. What was there
// has not been deleted, and what is there has not been written, so neither is
// reported.
func (c *comparison) remounted(ctx context.Context, rel string, snap *snapshot, id identity) error {
	*snap = snapshot{id: id}
	silent := *c
	silent.out = nil
	if err := silent.compare(ctx, rel, snap); err != nil {
		return err
	}
	if c.out != nil {
		c.out.dir(c.root, rel, Rescan)
	}
	return nil
}

// list compares the entries of one directory. After an error it has compared
// some of them, and takes nothing to be gone.
func (c *comparison) list(d dir, rel string, snap *snapshot) error {
	knownFiles, knownDirs := len(snap.files), len(snap.dirs)
	err := d.list(c.s.dirents, func(name []byte, k kind) {
		switch k {
		case regular:
			c.file(d, rel, name, snap, knownFiles)
		case directory:
			c.dir(rel, name, snap, knownDirs)
		}
	})
	c.endFiles(rel, snap, err == nil)
	c.endDirs(rel, snap, err == nil)
	if len(snap.files) > 0 {
		slices.SortFunc(snap.files, func(a, b snapFile) int { return strings.Compare(a.name, b.name) })
	}
	slices.SortFunc(snap.dirs, func(a, b snapDir) int { return strings.Compare(a.name, b.name) })
	return err
}

// file compares one file with the first known ones of snap.
func (c *comparison) file(d dir, rel string, name []byte, snap *snapshot, known int) {
	now := time.Now()
	st, err := d.stat(name)
	if err != nil {
		if !isGone(err) {
			c.s.failed("file", string(name), err)
		}
		return
	}
	if st.kind != regular {
		return
	}
	c.s.files++
	m := c.s.mark(st, now)
	i, found := slices.BinarySearchFunc(snap.files[:known], name, func(f snapFile, name []byte) int {
		return compareName(f.name, name)
	})
	if !found {
		snap.files = append(snap.files, snapFile{name: string(name), mark: m | seen})
		c.report(rel, name, Wrote, true)
		return
	}
	before := snap.files[i].mark
	snap.files[i].mark = m | seen
	if before&fresh != 0 || before&^flags != m&^flags {
		c.report(rel, name, Wrote, false)
	}
}

// dir looks up one directory among the first known ones of snap.
func (c *comparison) dir(rel string, name []byte, snap *snapshot, known int) {
	i, found := slices.BinarySearchFunc(snap.dirs[:known], name, func(d snapDir, name []byte) int {
		return compareName(d.name, name)
	})
	switch {
	case found:
		snap.dirs[i].seen = true
	case !c.s.cfg.Skip(c.root, joinRel(rel, string(name))):
		snap.dirs = append(snap.dirs, snapDir{name: string(name), seen: true, snapshot: &snapshot{}})
	}
}

// endFiles reports the files that were not seen, if the listing was complete.
func (c *comparison) endFiles(rel string, snap *snapshot, complete bool) {
	kept := snap.files[:0]
	for _, f := range snap.files {
		if complete && f.mark&seen == 0 {
			c.report(rel, []byte(f.name), Gone, false)
			continue
		}
		f.mark &^= seen
		kept = append(kept, f)
	}
	clear(snap.files[len(kept):])
	snap.files = kept
}

// endDirs is endFiles for directories.
func (c *comparison) endDirs(rel string, snap *snapshot, complete bool) {
	kept := snap.dirs[:0]
	for _, d := range snap.dirs {
		if complete && !d.seen {
			if c.out != nil {
				c.out.dir(c.root, joinRel(rel, d.name), DirGone)
			}
			continue
		}
		d.seen = false
		kept = append(kept, d)
	}
	clear(snap.dirs[len(kept):])
	snap.dirs = kept
}

func (c *comparison) report(rel string, name []byte, op Op, created bool) {
	if c.out == nil {
		return
	}
	buf := append(c.s.pathBuf[:0], rel...)
	if rel != "" {
		buf = append(buf, '/')
	}
	c.s.pathBuf = append(buf, name...)
	c.out.file(c.root, c.s.pathBuf, op, created)
}

// compareName orders like strings.Compare, without copying name.
func compareName(a string, b []byte) int {
	switch {
	case a < string(b):
		return -1
	case a > string(b):
		return 1
	default:
		return 0
	}
}

func joinRel(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
