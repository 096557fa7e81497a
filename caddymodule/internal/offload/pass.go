package offload

import (
	"context"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/standing"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
)

// pass is one run of a reconcile: a merge of the sorted tree with the sorted
// listings of the public and the private objects.
type pass struct {
	e       *Engine
	ctx     context.Context
	what    map[scope]struct{}
	during  window
	public  *listing
	private *listing

	files, objects, queued, only int
	ignored                      [media.Reasons]uint64
	about                        int   // the root that it is about; -1: all
	roots                        []int // roots that are to be walked through yet
	deletes                      []missing
	began, reported              time.Time
	lastNoted                    string
	withheld                     map[string]struct{} // keys that were found to be so

	// Where several nodes write: waits is false for the first comparison, which
	// only takes note of the names that the queue has no room for (skipped).
	// removals are clean files without an object where others may have deleted it (see
	// unclear), lacking those elsewhere. touched are the directories that changed while
	// requests of a killed process ran.
	// behind: see reconciler.
	shared, logged, waits, behind bool
	// older: the bucket is in an older state (see identity), and lost so many of
	// the files that had been committed.
	older    bool
	why      verdict.Cause // of what is looked at, then
	lost     int
	whole    bool
	skipped  int
	unclear  unclear
	writes   uint64 // of the identity, when it began
	removals []foreign
	lacking  []foreign
	touched  []string
	// leftOut is what could not be listed: see unlisted.
	leftOut []*bucket.UnlistedError
}

// maxTouched bounds the directories that other nodes are asked to look at after
// this one was killed; beyond that they look at everything.
const maxTouched = 1000

func (e *Engine) newPass(ctx context.Context, what map[scope]struct{}, during window) *pass {
	p := &pass{e: e, ctx: ctx, what: what, during: during, withheld: make(map[string]struct{}), began: time.Now(), reported: time.Now(), shared: e.shared(), waits: true}
	_, p.whole = what[everything]
	older, putBack := e.guard.Older()
	if p.older, p.why = older, verdict.BucketBack; putBack {
		p.why = verdict.BucketOlder
	}
	if p.shared {
		p.logged, p.unclear, p.behind = e.logged(), e.recon.unclearNow(), e.recon.behind.Load()
		p.writes = e.guard.Writes()
		open, _ := e.team.known.All()
		p.waits = open || !p.whole
		if !p.waits {
			e.backlog.clear()
		}
	}
	return p
}

// dir takes note of a directory that the requests of a killed process changed:
// what they deleted may not have been told to the other nodes.
func (p *pass) dir(root int, rel string) {
	e := p.e
	if !p.shared || p.during.from.IsZero() || (len(p.touched) == 1 && p.touched[0] == everyDir) {
		return
	}
	key := e.site.Key(root, rel)
	info, err := e.trees[root].StatDir(rel)
	if err != nil || !p.during.holds(info.ModTime()) {
		return
	}
	if key == "" || media.CheckKey(key) != nil || len(p.touched) == maxTouched {
		p.touched, key = p.touched[:0], everyDir
	}
	p.touched = append(p.touched, key)
}

// isClean reports whether a file is marked as committed and was not changed
// since.
func (e *Engine) isClean(root int, rel, key string, st index.Standing, info fs.FileInfo) bool {
	m, ok := e.wholeMark(root, rel)
	return ok && e.marks.Fits(m, key, index.EntryOf(st, info, ""))
}

func (p *pass) run(s scope) error {
	below := ""
	p.about, p.roots = s.root, []int{s.root}
	if s == everything {
		p.roots = p.e.rootsByKey()
	} else if key := p.e.site.Key(s.root, s.dir); key != "" {
		below = strings.TrimSuffix(key, "/") + "/"
	}
	p.public = p.e.list(p.ctx, media.Public, below)
	defer p.public.stop()
	p.private = p.e.list(p.ctx, media.Private, below)
	defer p.private.stop()
	if bare, ok := p.e.site.Bare(); ok && s == everything {
		if err := p.walk(bare, ""); err != nil {
			return err
		}
	}
	if err := p.walkRootsBefore("", s.dir); err != nil {
		return err
	}
	if err := p.objectsBelow(""); err != nil {
		return err
	}
	p.leftOut = slices.Concat(p.leftOut, p.public.leftOut, p.private.leftOut)
	if s == everything {
		for reason, n := range p.ignored {
			p.e.count.ignored.found[reason].Store(n)
		}
	}
	return nil
}

func (p *pass) walk(root int, dir string) error {
	p.e.noteName(root)
	return p.e.trees[root].Walk(dir, p.visit(root))
}

// walkRootsBefore walks through the roots that were not walked through yet and
// whose keys come before key ("": all), so that keys come in their order.
func (p *pass) walkRootsBefore(key, dir string) error {
	for len(p.roots) > 0 {
		root := p.roots[0]
		if key != "" && p.e.site.Key(root, "")+"/" >= key {
			return nil
		}
		p.roots = p.roots[1:]
		if err := p.walk(root, dir); err != nil {
			return err
		}
	}
	return nil
}

func (p *pass) countIgnored(key string) {
	if reason, ok := p.e.site.Ignored(key); ok {
		p.ignored[reason]++
	}
}

func (p *pass) visit(root int) local.Visit {
	e := p.e
	return local.Visit{
		Dir: func(rel string) bool {
			if p.ctx.Err() != nil {
				return false
			}
			if key := e.site.Key(root, rel); rel != "" && media.CheckKey(key) != nil {
				e.refuseKey(key, media.CheckKey(key))
				return false
			}
			if rel != "" && e.site.SkipDir(root, rel) {
				p.countIgnored(e.site.Key(root, rel) + "/a") // as any file in it
				return false
			}
			p.dir(root, rel)
			return true
		},
		File: func(rel string, info fs.FileInfo) error { return p.file(root, rel, info) },
		Other: func(rel string, mode fs.FileMode) {
			if mode&fs.ModeSymlink != 0 {
				e.log().Warn("a symlink in a media root is not followed; what it leads to stays on disk only",
					keyKey, e.site.Key(root, rel))
			}
		},
		Err: func(rel string, err error) {
			e.log().Warn("a directory of a media root cannot be read", keyDir, e.site.Key(root, rel), keyError, err)
		},
	}
}

// rootsByKey returns the roots in the order of their keys, but for one whose keys
// stand between those of the others.
func (e *Engine) rootsByKey() []int {
	roots := e.site.Roots()
	bare, _ := e.site.Bare()
	var order []int
	for i := range roots {
		if i != bare {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(roots[a].Name+"/", roots[b].Name+"/") })
	return order
}

// file compares one file with its objects.
func (p *pass) file(root int, rel string, info fs.FileInfo) error {
	if err := p.ctx.Err(); err != nil {
		return err
	}
	e := p.e
	if local.Leftover(rel, e.began) {
		return e.trees[root].RemoveLeftover(rel)
	}
	key := e.site.Key(root, rel)
	if bare, _ := e.site.Bare(); root == bare && p.about < 0 {
		if err := p.walkRootsBefore(key, ""); err != nil {
			return err
		}
	}
	if local.Stranded(rel, e.began) {
		e.rescue(root, rel, key)
		return nil
	}
	if err := p.objectsBelow(key); err != nil {
		return err
	}
	if p.whole {
		e.recon.pass(key)
	}
	public, private := p.public.at(key), p.private.at(key)
	for _, o := range []*bucket.Info{public, private} {
		if o != nil {
			p.objects++
		}
	}
	p.report()
	if err := media.CheckKey(key); err != nil {
		e.refuseKey(key, err)
		return nil
	}
	rule := e.classes.Rule(key)
	if rule == media.Ignored {
		p.countIgnored(key)
		return nil
	}
	p.files++
	e.links.see(info, linkName{key, root, rel})
	if rule == media.Public && public != nil && private == nil && p.marked(root, rel, key, index.Standing{Class: rule}, info, public) {
		return nil // mostly
	}
	st := e.classes.Of(key)
	unknown := public == nil && !p.public.knows(key) || private == nil && !p.private.knows(key)
	if unknown && !p.older && e.isClean(root, rel, key, st, info) {
		return nil // its mark tells
	}
	if st.Class == media.Public && public == nil && private != nil && p.settlesPrivate(root, rel, key, private) {
		st = index.Standing{Class: media.Private, Kept: true}
	}
	own, misplaced, elsewhere := p.placed(root, rel, key, st, public, private)
	if own != nil && misplaced == "" && p.marked(root, rel, key, st, info, own) {
		return nil
	}
	if elsewhere {
		p.queued++
		return e.enqueueMissing(p.ctx, foreign{key, root, rel, rule})
	}
	if p.older && !unknown && (e.isClean(root, rel, key, st, info) || own == nil && p.mayBeStored(key)) {
		p.lost++
	}
	if p.shared && !p.older && public == nil && private == nil && p.logged && !e.recon.touched(key) && !e.queue.Has(key) && e.isClean(root, rel, key, st, info) {
		p.lacks(foreign{key, root, rel, rule})
		return nil
	}
	p.queued++
	if !p.waits && !e.queue.HasRoom() {
		p.skipped++
		return nil
	}
	return p.enqueue(key, root, rel, own, misplaced)
}

// marked reports whether the mark on a file says that it is just what the
// bucket lists, and remembers that it is committed.
func (p *pass) marked(root int, rel, key string, st index.Standing, info fs.FileInfo, own *bucket.Info) bool {
	e := p.e
	m, ok := e.wholeMark(root, rel)
	now := index.EntryOf(st, info, own.ETag)
	if !ok || m.ETag != own.ETag || own.Size != now.Size || !e.marks.Fits(m, key, now) {
		return false
	}
	now.Found = e.marks.Found(m)
	if standing.MayBeMoved(key, now) && !now.Found.Known {
		return p.inspectMarked(root, rel, key, now)
	}
	p.remember(key, now)
	return true
}

// inspectMarked looks through a file whose mark does not tell, by the present
// rules, from where it may be used. It is in the bucket: nothing is stored again.
func (p *pass) inspectMarked(root int, rel, key string, now index.Entry) bool {
	e := p.e
	f, err := e.trees[root].Open(rel)
	if err != nil {
		return false
	}
	defer f.Close()
	now.Found = e.inspect(key, f, now)
	if !e.isStill(root, rel, f, now) {
		return false
	}
	if p.remember(key, now) {
		e.marks.Put(key, now, f)
	}
	return true
}

// remember notes that a key is committed, unless something newer is known of it.
func (p *pass) remember(key string, now index.Entry) bool {
	e := p.e
	e.queue.Lock()
	defer e.queue.Unlock()
	if e.recon.touched(key) || e.queue.At(key) != nil {
		return false
	}
	e.index.Set(key, now)
	return true
}

// objectsBelow handles the objects before key ("" for all that are left):
// they have no file.
func (p *pass) objectsBelow(key string) error {
	for {
		l := p.public
		if h := p.private; h.head != nil && (l.head == nil || h.head.key < l.head.key) {
			l = h
		}
		o := l.next(key)
		if o == nil {
			break
		}
		p.objectOnly(o, l.class)
		if err := p.ctx.Err(); err != nil {
			return err
		}
	}
	for _, l := range []*listing{p.public, p.private} {
		if l.err != nil {
			return l.err
		}
	}
	return nil
}

func (p *pass) objectOnly(o *object, class media.Class) {
	e := p.e
	if p.about >= 0 && o.root != p.about {
		return
	}
	p.objects++
	p.report()
	if p.whole {
		e.recon.pass(o.key)
	}
	m := missing{foreign: o.foreign, under: class, object: o.Info}
	switch {
	case e.rootsSeen.isGone(o.root):
		p.only++
		p.learn(&m)
	case e.withheld.Covers(o.key, o.Stored):
		p.only++
		p.withheld[o.key] = struct{}{}
		p.learn(&m)
	case p.goesWithDir(o.key):
		p.only++
	case p.isOld(o.key):
		if p.shared {
			p.lookToo(o.key, o.root, o.rel)
		}
	case p.wasDeleted(o):
		p.deletes = append(p.deletes, m)
	case p.shared:
		p.fetch(&m)
	default:
		p.only++
		if dir := e.site.Key(o.root, path.Dir(o.rel)); dir != p.lastNoted {
			p.lastNoted = dir
			e.noteBucketOnly(o.root, path.Dir(o.rel))
		}
		p.learn(&m)
	}
}

// isOld reports whether something newer is known of a key than what was listed: it came
// with the change log, say, and its file may be here by now.
func (p *pass) isOld(key string) bool { return p.e.recon.touched(key) || p.e.queue.Has(key) }

// goesWithDir reports whether an object is to go with the directory that its file was
// in: neither is it fetched before that, nor does the comparison wait for it.
func (p *pass) goesWithDir(key string) bool {
	p.e.queue.Lock()
	defer p.e.queue.Unlock()
	return p.e.goesWithDir(key)
}

// wasDeleted reports whether a file that is missing went while a request ran
// in an earlier process, or when events were lost: its directory changed in
// that time, and it was not missing there before.
//
// A disk that lost its power lacks what was written last, and bears the note that
// requests were running all the same: see mayLack.
func (p *pass) wasDeleted(o *object) bool {
	e := p.e
	if p.older || p.during.from.IsZero() || e.cfg.Deletes == DeletesNever || !e.rootsSeen.wasThere(o.root, p.during.from) {
		return false
	}
	if o.Stored.Before(e.began) && p.during.mayLack(o.Stored) {
		return false
	}
	dir := e.existing(o.root, path.Dir(o.rel))
	info, err := e.trees[o.root].StatDir(dir)
	return err == nil && p.during.holds(info.ModTime()) && !e.isBucketOnly(o.root, dir, o.Stored)
}

func (p *pass) report() {
	if now := time.Now(); now.Sub(p.reported) >= reportEvery {
		p.reported = now
		p.e.log().Info("comparing disk and bucket", keyFiles, p.files, keyObjects, p.objects, keyQueued, p.queued)
	}
}

// mayBeStored reports whether a file without a mark may have been stored in the
// bucket before that was away: its mark may be written at any time.
func (p *pass) mayBeStored(key string) bool {
	q := p.e.queue
	q.Lock()
	defer q.Unlock()
	known, _ := p.e.index.Peek(key)
	it := q.At(key)
	return known.State == index.Committed || (it != nil && it.Running())
}
