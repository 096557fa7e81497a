package watch

import (
	"slices"
	"strings"
	"time"
)

// listing compares the entries of one directory with a snapshot of it.
type listing struct {
	*comparison
	d    dir
	rel  string
	snap *snapshot
	// files and dirs are how many of the snapshot's were known before, and so
	// are in order.
	files, dirs int
}

// list brings the entries in snap up to date. After an error it has compared
// some of them, and takes nothing to be gone.
func (c *comparison) list(d dir, rel string, snap *snapshot) error {
	l := listing{comparison: c, d: d, rel: rel, snap: snap, files: len(snap.files), dirs: len(snap.dirs)}
	err := d.list(c.s.dirents, func(name []byte, k kind) {
		switch k {
		case regular:
			l.file(name)
		case directory:
			l.dir(name)
		}
	})
	l.endFiles(err == nil)
	l.endDirs(err == nil)
	return err
}

// file compares one file.
func (l *listing) file(name []byte) {
	now := time.Now()
	st, err := l.d.stat(name)
	if err != nil && !isGone(err) {
		l.s.failed("file", join(l.d.path, string(name)), err)
	}
	if err != nil || st.kind != regular {
		return
	}
	l.s.files++
	m := l.s.mark(st, now)
	i, found := slices.BinarySearchFunc(l.snap.files[:l.files], name, compareFile)
	if !found {
		l.replacesDir(name)
		l.snap.files = append(l.snap.files, snapFile{name: string(name), mark: m | seen})
		l.report(name, Wrote, true)
		return
	}
	before := l.snap.files[i].mark
	l.snap.files[i].mark = m | seen
	if before&fresh != 0 || before&^flags != m&^flags {
		l.report(name, Wrote, false)
	}
}

// replacesDir reports the directory that has become a file, before the file.
func (l *listing) replacesDir(name []byte) {
	if i, found := slices.BinarySearchFunc(l.snap.dirs[:l.dirs], name, compareDir); found {
		l.snap.dirs[i].gone = true
		l.reportDirGone(l.snap.dirs[i].name)
	}
}

// dir notes that a directory is there.
func (l *listing) dir(name []byte) {
	i, found := slices.BinarySearchFunc(l.snap.dirs[:l.dirs], name, compareDir)
	switch {
	case found:
		l.snap.dirs[i].seen = true
	case !l.s.cfg.Skip(l.root, joinRel(l.rel, string(name))):
		l.snap.dirs = append(l.snap.dirs, snapDir{name: string(name), seen: true, snapshot: &snapshot{}})
	}
}

// endFiles drops the files that were not seen, if the listing was complete,
// and reports them.
func (l *listing) endFiles(complete bool) {
	kept := l.snap.files[:0]
	for _, f := range l.snap.files {
		if complete && f.mark&seen == 0 {
			l.report([]byte(f.name), Gone, false)
			continue
		}
		f.mark &^= seen
		kept = append(kept, f)
	}
	clear(l.snap.files[len(kept):])
	l.snap.files = kept
	slices.SortFunc(kept, func(a, b snapFile) int { return strings.Compare(a.name, b.name) })
}

// endDirs is endFiles for directories.
func (l *listing) endDirs(complete bool) {
	kept := l.snap.dirs[:0]
	for _, d := range l.snap.dirs {
		if d.gone {
			continue
		}
		if complete && !d.seen {
			l.reportDirGone(d.name)
			continue
		}
		d.seen = false
		kept = append(kept, d)
	}
	clear(l.snap.dirs[len(kept):])
	l.snap.dirs = kept
	slices.SortFunc(kept, func(a, b snapDir) int { return strings.Compare(a.name, b.name) })
}

func (l *listing) report(name []byte, op Op, created bool) {
	if l.out == nil {
		return
	}
	buf := append(l.s.pathBuf[:0], l.rel...)
	if l.rel != "" {
		buf = append(buf, '/')
	}
	l.s.pathBuf = append(buf, name...)
	l.out.file(l.root, l.s.pathBuf, op, created)
}

func (l *listing) reportDirGone(name string) {
	if l.out != nil {
		l.out.dir(l.root, joinRel(l.rel, name), DirGone)
	}
}

func compareFile(f snapFile, name []byte) int { return compareName(f.name, name) }
func compareDir(d snapDir, name []byte) int   { return compareName(d.name, name) }

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
