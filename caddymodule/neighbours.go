package caddymodule

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// premises are the places that the engine of one block has for its own.
type premises struct {
	engine *sharedEngine
	roots  []location
	// dir is the directory of a file:// bucket; its path is empty for others.
	dir location
}

func newPremises(e *sharedEngine, roots []string) premises {
	p := premises{engine: e}
	for _, root := range roots {
		p.roots = append(p.roots, findLocation(root))
	}
	if e.dir != "" {
		p.dir = findLocation(e.dir)
	}
	return p
}

// check refuses a place that is no directory; a bucket in a media root: it would
// store itself; and a root in a bucket, whose objects would be the site's files.
func (p *premises) check() error {
	for _, root := range p.roots {
		if file := root.notDirectory(); file != "" {
			return fmt.Errorf("the media root %s: %s is not a directory: name the one that the app writes uploads to", root.path, file)
		}
	}
	if file := p.dir.notDirectory(); file != "" {
		return fmt.Errorf("the bucket %s: %s is not a directory: name one for the bucket's objects alone, which is made if it is not there", p.engine.bucket, file)
	}
	return p.apart(p)
}

// apart refuses a bucket of p that lies in a root of q, or the other way round.
func (p *premises) apart(q *premises) error {
	if p.dir.path == "" {
		return nil
	}
	for _, root := range q.roots {
		switch {
		case p.dir.isIn(root):
			return fmt.Errorf("the bucket %s lies in the media root %s, and would be stored in itself: choose a directory outside of the site", p.engine.bucket, root.path)
		case root.isIn(p.dir):
			return fmt.Errorf("the media root %s lies in the bucket %s: a bucket's directory is for its objects alone", root.path, p.engine.bucket)
		}
	}
	return nil
}

// checkBeside refuses two blocks of one configuration that would take each
// other's files for their own. Blocks with the same settings share an engine.
func (p *premises) checkBeside(q *premises) error {
	if p.engine == q.engine {
		return nil
	}
	for _, a := range p.roots {
		for _, b := range q.roots {
			switch {
			case a.isIn(b) && b.isIn(a):
				return fmt.Errorf("two media_offload blocks have the media root %s, one with the bucket %s, one with %s, or with other settings: "+
					"a directory has one bucket; write the block once, in a snippet, and import it twice", a.path, q.engine.bucket, p.engine.bucket)
			case a.isIn(b) || b.isIn(a):
				return fmt.Errorf("the media roots %s and %s of two media_offload blocks lie one in the other: give the outer directory one block", b.path, a.path)
			}
		}
	}
	if err := p.apart(q); err != nil {
		return err
	}
	if err := q.apart(p); err != nil {
		return err
	}
	return p.sharesBucket(q)
}

// sharesBucket refuses names in one bucket that both sites have for their own.
func (p *premises) sharesBucket(q *premises) error {
	a, b := p.engine, q.engine
	if p.dir.path != "" && q.dir.path != "" {
		one := p.dir.isIn(q.dir) && q.dir.isIn(p.dir)
		if !one && (p.dir.isIn(q.dir) || q.dir.isIn(p.dir)) {
			return fmt.Errorf("the buckets %s of %s and %s of %s lie one in the other: choose directories beside each other", b.bucket, b.site, a.bucket, a.site)
		}
		if !one {
			return nil
		}
	} else if a.bucket != b.bucket {
		return nil
	}
	for _, x := range a.prefixes {
		for _, y := range b.prefixes {
			if strings.HasPrefix(x, y) || strings.HasPrefix(y, x) {
				return fmt.Errorf("the sites %s and %s share names that begin with %q in the bucket %s, and each would take the other's files for its own: "+
					"give each a prefix, as s3://bucket/site1 and s3://bucket/site2, or a directory", b.site, a.site, max(x, y), a.bucket)
			}
		}
	}
	return nil
}

// location is a path, and what is known of it.
type location struct {
	path string // without symbolic links, as far as it exists
	// chain is the path itself, if it exists, and the directories above it: what
	// is mounted twice has two paths.
	chain  []fs.FileInfo
	last   string // the path of the first of the chain
	exists bool
}

// notDirectory returns what stands where p or a directory above it should be, ""
// if nothing does.
func (p location) notDirectory() string {
	if len(p.chain) == 0 || p.chain[0].IsDir() {
		return ""
	}
	return p.last
}

// size is that of the file that p is, 0 if it is none.
func (p location) size() int64 {
	if !p.exists || len(p.chain) == 0 || !p.chain[0].Mode().IsRegular() {
		return 0
	}
	return p.chain[0].Size()
}

// isIn reports whether p is q, or lies below it.
func (p location) isIn(q location) bool {
	if p.path == q.path || strings.HasPrefix(p.path, q.path+string(filepath.Separator)) {
		return true
	}
	if !q.exists {
		return false
	}
	for _, above := range p.chain {
		if os.SameFile(above, q.chain[0]) {
			return true
		}
	}
	return false
}

// lookTime bounds the look at a path: a file system that is away must not keep a
// configuration from being loaded.
const lookTime = 2 * time.Second

// findLocation looks where a path leads. One that cannot be looked at in time is
// taken as it is written.
func findLocation(path string) location {
	found := make(chan location, 1)
	go func() { found <- lookAt(path) }()
	timer := time.NewTimer(lookTime)
	defer timer.Stop()
	select {
	case p := <-found:
		return p
	case <-timer.C:
		return location{path: filepath.Clean(path)}
	}
}

func lookAt(path string) location {
	path = filepath.Clean(path)
	rest := ""
	for at := path; ; at = filepath.Dir(at) {
		real, err := filepath.EvalSymlinks(at)
		if err == nil {
			return location{path: filepath.Join(real, rest), chain: chainOf(real), last: real, exists: rest == ""}
		}
		if at == filepath.Dir(at) {
			return location{path: path}
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}

// chainOf returns what is known of a path and of the directories above it.
func chainOf(path string) (chain []fs.FileInfo) {
	for {
		info, err := os.Stat(path)
		if err != nil {
			return nil
		}
		chain = append(chain, info)
		above := filepath.Dir(path)
		if above == path {
			return chain
		}
		path = above
	}
}
