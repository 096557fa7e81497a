package watch

import "golang.org/x/sys/unix"

// maxLeaving bounds the names that may be waiting for their new one. A rename's
// two events come from one system call, so only as many wait as there are
// renames at the same moment.
const maxLeaving = 64

// leaving is a name that was renamed away, of which it is not known yet whether
// to a watched directory: then the event about that comes next, or after those of
// other renames.
type leaving struct {
	cookie uint32
	wd     int32
	name   string
	root   int
	path   string
	op     Op // Gone or DirGone
}

// leaves takes note of a rename's first half, and reports it when the other has
// come, or can no longer come.
func (t *tree) leaves(ev rawEvent, root int, path string, op Op, out *batch) {
	if len(t.leaving) == maxLeaving {
		t.leaving[0].report(out, 0, "")
		t.leaving = append(t.leaving[:0], t.leaving[1:]...)
	}
	t.leaving = append(t.leaving, leaving{
		cookie: ev.cookie, wd: ev.wd, name: string(ev.name), root: root, path: path, op: op,
	})
}

// arrives reports what was renamed to path, if that is known.
func (t *tree) arrives(ev rawEvent, root int, path []byte, out *batch) {
	for i, l := range t.leaving {
		if l.cookie == ev.cookie && ev.has(unix.IN_MOVED_TO) {
			t.leaving = append(t.leaving[:i], t.leaving[i+1:]...)
			l.report(out, root, string(path))
			return
		}
	}
}

// reused reports the name of an event as gone if it was renamed away before:
// what comes now is about another file.
func (t *tree) reused(ev rawEvent, out *batch) {
	for i, l := range t.leaving {
		if l.wd == ev.wd && l.cookie != ev.cookie && l.name == string(ev.name) {
			t.leaving = append(t.leaving[:i], t.leaving[i+1:]...)
			l.report(out, 0, "")
			return
		}
	}
}

// left reports all that were renamed to no watched directory.
func (t *tree) left(out *batch) {
	for _, l := range t.leaving {
		l.report(out, 0, "")
	}
	clear(t.leaving)
	t.leaving = t.leaving[:0]
}

func (l leaving) report(out *batch, toRoot int, to string) {
	if l.op == DirGone {
		out.dirMoved(l.root, l.path, toRoot, to)
		return
	}
	out.fileMoved(l.root, l.path, toRoot, to)
}
