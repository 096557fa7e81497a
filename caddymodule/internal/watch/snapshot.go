package watch

import (
	"context"
	"hash/maphash"
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
	// by the listing that runs: seen, or reported as gone already
	seen, gone bool
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
	if err == nil && rel == "" && id != snap.id {
		d.close()
		return nil // exchanged since scanRoot looked: the next scan tells
	}
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
