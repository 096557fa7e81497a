package watch

import (
	"context"
	"errors"
)

// visit is a directory to look at: name in parent, or the root if parent is
// nil.
type visit struct {
	root   int
	parent *node
	name   string
	// ifNew: do nothing if it is watched under this name already, because then
	// its events have told or will tell everything since it was listed.
	ifNew bool
}

// walk looks at the directory v and all below it, so that they are watched,
// and reports the files found to out, unless that is nil. Each is watched
// first and listed then: a file that is missed by the listing was created
// later and has an event.
//
// The error is ctx's, a limitError or errMaxWatches. What cannot be looked at
// is logged, and left out until its mode changes.
func (t *tree) walk(ctx context.Context, v visit, out *batch) error {
	stack := append(t.stack[:0], v)
	defer func() { t.stack = stack[:0] }()
	for len(stack) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		n, err := t.look(v, out)
		if err != nil {
			return err
		}
		if n == nil {
			continue
		}
		for _, name := range t.subdirs {
			stack = append(stack, visit{root: n.root, parent: n, name: name})
		}
	}
	return nil
}

// look watches and lists one directory. It returns nil if there is nothing to
// look at below it; else t.subdirs holds the names of the directories in it.
func (t *tree) look(v visit, out *batch) (*node, error) {
	if v.parent != nil && !v.parent.live {
		return nil, nil
	}
	path, ok := t.pathOf(v)
	if !ok {
		return nil, nil
	}
	d, err := openDir(path)
	if err != nil {
		return nil, t.cannotLook(v, path, err)
	}
	defer d.close()
	wd, err := t.addWatch(d)
	if err != nil {
		return nil, t.cannotLook(v, path, err)
	}
	n := t.byWD[wd]
	if v.ifNew && n != nil && n.live && n.parent == v.parent && n.name == v.name {
		return nil, nil
	}
	id, err := d.identity()
	if err != nil {
		return nil, t.cannotLook(v, path, err)
	}
	if n = t.place(v, wd, id); n == nil {
		return nil, nil
	}
	if err := t.list(n, d, out); err != nil {
		return nil, t.cannotLook(v, path, err)
	}
	return n, nil
}

// pathOf is the absolute path of v. ok is false for directories that are to be
// skipped.
func (t *tree) pathOf(v visit) (path string, ok bool) {
	if v.parent == nil {
		return t.real[v.root], true
	}
	t.pathBuf = appendPath(t.pathBuf[:0], v.parent, v.name)
	rel := string(t.pathBuf)
	if t.cfg.Skip(v.root, rel) {
		return "", false
	}
	return join(t.real[v.root], rel), true
}

// cannotLook decides what an error while looking at v means. It returns nil
// unless watching has to end.
func (t *tree) cannotLook(v visit, path string, err error) error {
	var limit *limitError
	switch {
	case errors.As(err, &limit), errors.Is(err, errMaxWatches):
		return err
	case isGone(err):
		if v.parent != nil {
			t.detach(v.parent.children[v.name])
		}
	case isShortage(err):
		t.incomplete = true
		t.complain("directory cannot be looked at now; trying again", path, err)
	default:
		t.complain("directory cannot be watched; what changes in it is not seen", path, err)
	}
	return nil
}

// place puts the directory with watch wd into the tree as v. It returns nil if
// that cannot be.
func (t *tree) place(v visit, wd int32, id identity) *node {
	if v.parent == nil && id != t.rootID[v.root] {
		t.incomplete = true // exchanged since it was resolved
		return nil
	}
	n := t.byWD[wd]
	if n == nil {
		n = &node{wd: wd}
		t.byWD[wd] = n
	}
	if n.live && (n.parent != v.parent || n.name != v.name) {
		if t.mustStay(n, v, id) {
			return nil
		}
		t.unlink(n) // it was renamed; the events about that are still to come
	}
	n.root, n.parent, n.name, n.live = v.root, v.parent, v.name, true
	t.link(n)
	return n
}

// link makes n the child of its parent, or the root, instead of any other.
func (t *tree) link(n *node) {
	if n.parent == nil {
		if before := t.roots[n.root]; before != n {
			t.detach(before)
		}
		t.roots[n.root] = n
		return
	}
	if before := n.parent.children[n.name]; before != n {
		t.detach(before)
	}
	if n.parent.children == nil {
		n.parent.children = make(map[string]*node)
	}
	n.parent.children[n.name] = n
}

// mustStay tells that n, which is in the tree and has identity id, cannot
// become v: it is one directory mounted at two places, or contains v.
func (t *tree) mustStay(n *node, v visit, id identity) bool {
	path := t.real[n.root]
	if n.parent != nil {
		path = join(path, string(appendPath(nil, n, "")))
	}
	if isAt(path, id) {
		t.complain("directory is mounted twice below the media roots; changes are reported below one of the paths only",
			path, errors.New("watching at two places"))
		return true
	}
	for p := v.parent; p != nil; p = p.parent {
		if p == n {
			t.incomplete = true // the tree is behind; looking again puts it right
			return true
		}
	}
	return false
}

// isAt tells whether the directory with identity id is at path.
func isAt(path string, id identity) bool {
	d, err := openDir(path)
	if err != nil {
		return false
	}
	defer d.close()
	found, err := d.identity()
	return err == nil && found == id
}

// list reads the directory of n: files to out, names of directories to
// t.subdirs. Those that were in the tree and are not listed come last there, so
// that they are looked at first, and leave it before what was in them is found
// elsewhere.
func (t *tree) list(n *node, d dir, out *batch) error {
	t.subdirs = t.subdirs[:0]
	err := d.list(t.dirents, func(name []byte, k kind) {
		switch {
		case k == directory:
			t.subdirs = append(t.subdirs, string(name))
		case k == regular && out != nil:
			t.file(n, name, Wrote, true, out)
		}
	})
	if err != nil || len(n.children) == 0 {
		return err
	}
	present := make(map[string]struct{}, len(t.subdirs))
	for _, name := range t.subdirs {
		present[name] = struct{}{}
	}
	for name := range n.children {
		if _, ok := present[name]; !ok {
			t.subdirs = append(t.subdirs, name)
		}
	}
	return nil
}
