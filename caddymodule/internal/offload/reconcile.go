package offload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// listTimeout bounds one listing; a listing of a million keys takes minutes.
const listTimeout = 30 * time.Minute

// reportEvery is how often a long reconcile says how far it is.
const reportEvery = 10 * time.Second

// reconciler makes disk and bucket agree where no event told of a difference:
// after a start, after lost events.
type reconciler struct {
	wanted chan struct{}

	mu      sync.Mutex
	active  bool
	last    time.Time
	changed map[string]struct{} // keys that changed while one runs
	deletes window              // objects without a file in this time are deleted
	err     error               // why the last one failed
}

func (r *reconciler) init() { r.wanted = make(chan struct{}, 1) }

// touch notes that a key changed: what a running reconcile listed of it is old.
func (r *reconciler) touch(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed != nil {
		r.changed[key] = struct{}{}
	}
}

func (r *reconciler) touched(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.changed[key]
	return ok
}

func (r *reconciler) status() (last time.Time, active bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last, r.active, r.err
}

// want asks for a reconcile. during is the time in which requests ran whose
// deletes may have been missed.
func (r *reconciler) want(during window) {
	r.owe(during)
	signal(r.wanted)
}

// owe adds to the time whose deletes the next reconcile has to find.
func (r *reconciler) owe(during window) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deletes = r.deletes.join(during)
}

// begin starts one and takes the time whose deletes it has to find.
func (r *reconciler) begin() window {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.active, r.changed = true, make(map[string]struct{})
	w := r.deletes
	r.deletes = window{}
	return w
}

// end ends one and reports whether it is the first to fail, or the first to
// succeed after a failure.
func (r *reconciler) end(err error) (turned bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	turned = (err == nil) != (r.err == nil)
	r.active, r.changed, r.err = false, nil, err
	if err == nil {
		r.last = time.Now()
	}
	return turned
}

// reconcileLoop runs reconciles, the first one when watching has begun.
func (e *Engine) reconcileLoop() {
	select {
	case <-e.watching:
	case <-e.life.Done():
		return
	}
	e.recon.want(e.requests.earlier())
	for {
		select {
		case <-e.recon.wanted:
			e.reconcileUntilDone(e.life)
		case <-e.life.Done():
			return
		}
	}
}

// reconcileUntilDone tries until it succeeds or ctx ends.
func (e *Engine) reconcileUntilDone(ctx context.Context) {
	for try := 1; ; try++ {
		during := e.recon.begin()
		err := e.reconcile(ctx, during)
		turned := e.recon.end(err)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			e.requests.settled()
			if turned {
				e.log().Info("the bucket can be compared with the disk again", keyBucket, e.store.String())
			}
			return
		}
		e.recon.owe(during)
		if turned {
			e.log().Warn("the bucket cannot be compared with the disk; this is tried again until it can",
				keyBucket, e.store.String(), keyError, err)
		}
		select {
		case <-time.After(backoff(try, probeMin, 2*probeMax)):
		case <-ctx.Done():
		}
	}
}

// pass is one run of a reconcile: a merge of the sorted tree with the sorted
// listings of the public and the private objects.
type pass struct {
	e       *Engine
	ctx     context.Context
	during  window
	public  *listing
	private *listing

	files, objects, queued, only int
	deletes                      []string // keys
	began, reported              time.Time
	lastNoted                    string
}

func (e *Engine) reconcile(ctx context.Context, during window) error {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	p := &pass{e: e, ctx: ctx, during: during, began: time.Now(), reported: time.Now()}
	p.public = e.list(ctx, media.Public)
	defer p.public.stop()
	p.private = e.list(ctx, media.Private)
	defer p.private.stop()

	if err := p.run(); err != nil {
		return fmt.Errorf("comparing disk and bucket: %w", err)
	}
	e.recovered()
	p.passOnDeletes()
	e.log().Info("disk and bucket compared", keyFiles, p.files, keyObjects, p.objects, keyQueued, p.queued,
		keyFilesOnly, p.only, keyDuration, time.Since(p.began).Round(time.Millisecond))
	return nil
}

func (p *pass) run() error {
	for _, root := range p.e.rootsByKey() {
		err := p.e.trees[root].Walk("", local.Visit{
			Dir:  func(rel string) bool { return p.ctx.Err() == nil && (rel == "" || !p.e.site.SkipDir(root, rel)) },
			File: func(rel string, info fs.FileInfo) error { return p.file(root, rel, info) },
			Other: func(rel string, mode fs.FileMode) {
				if mode&fs.ModeSymlink != 0 {
					p.e.log().Warn("a symlink in a media root is not followed; what it leads to stays on disk only",
						keyKey, p.e.site.Key(root, rel))
				}
			},
			Err: func(rel string, err error) {
				p.e.log().Warn("a directory of a media root cannot be read", keyDir, p.e.site.Key(root, rel), keyError, err)
			},
		})
		if err != nil {
			return err
		}
	}
	return p.objectsBelow("")
}

// rootsByKey returns the roots in the order of their keys.
func (e *Engine) rootsByKey() []int {
	roots := e.site.Roots()
	order := make([]int, len(roots))
	for i := range order {
		order[i] = i
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
	key := e.site.Key(root, rel)
	if err := p.objectsBelow(key); err != nil {
		return err
	}
	public, private := p.public.at(key), p.private.at(key)
	p.report()
	if err := media.CheckKey(key); err != nil {
		e.refuseKey(key, err)
		return nil
	}
	class := e.Class(key)
	if class == media.Ignored {
		return nil
	}
	p.files++
	own, other := public, private
	if class == media.Private {
		own, other = private, public
	}
	if own != nil && other == nil && p.marked(root, rel, key, class, info, own) {
		return nil
	}
	p.queued++
	misplaced := ""
	if other != nil {
		misplaced = other.Key
	}
	return e.enqueue(p.ctx, key, root, rel, own, misplaced)
}

// marked reports whether the mark on a file says that it is just what the
// bucket lists, and remembers that it is committed.
func (p *pass) marked(root int, rel, key string, class media.Class, info fs.FileInfo, own *bucket.Info) bool {
	e := p.e
	m, ok := e.trees[root].Mark(rel)
	now := entry{state: committed, class: class, size: info.Size(), modTime: info.ModTime().UnixNano(), etag: own.ETag}
	if !ok || m.ETag != own.ETag || own.Size != now.size || !e.markFits(m, key, now) {
		return false
	}
	e.queue.mu.Lock()
	defer e.queue.mu.Unlock()
	if !e.recon.touched(key) && e.queue.items[key] == nil {
		e.index.set(key, now)
	}
	return true
}

// objectsBelow handles the objects before key ("" for all that are left):
// they have no file.
func (p *pass) objectsBelow(key string) error {
	for _, l := range []*listing{p.public, p.private} {
		for {
			info := l.next(key)
			if info == nil {
				break
			}
			p.objectOnly(l, info)
			if err := p.ctx.Err(); err != nil {
				return err
			}
		}
		if l.err != nil {
			return l.err
		}
	}
	return nil
}

func (p *pass) objectOnly(l *listing, info *bucket.Info) {
	e := p.e
	p.report()
	key := l.key(info)
	root, rel, ok := e.site.Locate(key)
	if !ok || media.CheckKey(key) != nil || e.site.Class(key, nil) == media.Ignored {
		return
	}
	if p.wasDeleted(root, rel) {
		p.deletes = append(p.deletes, key)
		return
	}
	p.only++
	if dir := e.site.Key(root, path.Dir(rel)); dir != p.lastNoted {
		p.lastNoted = dir
		e.noteBucketOnly(root, path.Dir(rel))
	}
	e.queue.mu.Lock()
	defer e.queue.mu.Unlock()
	if !e.recon.touched(key) && e.queue.items[key] == nil {
		e.index.learn(key, entry{state: bucketOnly, class: l.class, size: info.Size, etag: info.ETag})
	}
}

// wasDeleted reports whether a file that is missing went while a request ran
// in an earlier process, or when events were lost: its directory changed in
// that time, and no file was missing there before.
func (p *pass) wasDeleted(root int, rel string) bool {
	if p.during.from.IsZero() || p.e.cfg.Deletes == DeletesNever {
		return false
	}
	t := p.e.trees[root]
	dir := p.e.existing(root, path.Dir(rel))
	info, err := t.StatDir(dir)
	return err == nil && p.during.holds(info.ModTime()) && t.DirNote(dir, local.AttrBucketOnly) == ""
}

// passOnDeletes hands the deletes that were found to the queue, unless they
// are too many.
//
// (Promise 8: "a reconcile never deletes more than a small share of either
// side: it stops and says so".)
func (p *pass) passOnDeletes() {
	e := p.e
	if len(p.deletes) == 0 {
		return
	}
	limit := max(10, int(e.cfg.MaxDeleteShare*float64(p.objects+len(p.deletes))))
	if len(p.deletes) > limit {
		e.log().Error("too many files are missing on disk to be the app's deletes: no object is deleted. "+
			"Put the files back, or delete the objects by hand if this was meant",
			keyDeletes, len(p.deletes), "limit", limit)
		return
	}
	e.log().Info("passing on deletes that an earlier run could not", keyDeletes, len(p.deletes))
	now := time.Now()
	e.queue.mu.Lock()
	defer e.queue.mu.Unlock()
	for _, key := range p.deletes {
		root, rel, ok := e.site.Locate(key)
		if !ok || e.queue.items[key] != nil {
			continue
		}
		it, _ := e.queue.change(aFile, key, root, rel, now)
		it.gone, it.inRequest = true, true
		e.queue.schedule(it, now)
	}
}

func (p *pass) report() {
	p.objects = p.public.count + p.private.count
	if now := time.Now(); now.Sub(p.reported) >= reportEvery {
		p.reported = now
		p.e.log().Info("comparing disk and bucket", keyFiles, p.files, keyObjects, p.objects, keyQueued, p.queued)
	}
}

// enqueue adds an item for a key that nothing else is known to be wrong with,
// waiting for room.
func (e *Engine) enqueue(ctx context.Context, key string, root int, rel string, own *bucket.Info, misplaced string) error {
	q := e.queue
	for {
		q.mu.Lock()
		if q.items[key] != nil || (e.recon.touched(key) && misplaced == "") {
			q.mu.Unlock()
			return nil
		}
		if q.backgrounds < maxBackground {
			break
		}
		q.mu.Unlock()
		select {
		case <-q.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer q.mu.Unlock()
	now := time.Now()
	it, _ := q.change(aFile, key, root, rel, now)
	it.background, it.wrote, it.closed = true, true, true
	it.misplaced = misplaced
	if own != nil {
		it.listed = own
	}
	q.backgrounds++
	q.schedule(it, now)
	return nil
}

// listing steps through the objects of one class in the order of their keys.
type listing struct {
	class  media.Class
	prefix string
	pull   func() (bucket.Info, error, bool)
	stop   func()
	head   *bucket.Info
	count  int
	err    error
}

func (e *Engine) list(ctx context.Context, class media.Class) *listing {
	l := &listing{class: class, prefix: e.objectName("", class)}
	l.pull, l.stop = iter.Pull2(e.store.List(ctx, l.prefix, ""))
	l.advance()
	return l
}

func (l *listing) advance() {
	info, err, ok := l.pull()
	switch {
	case !ok:
		l.head = nil
	case err != nil:
		l.head, l.err = nil, err
	default:
		l.count++
		l.head = &info
	}
}

// key returns the media key of a listed object.
func (l *listing) key(info *bucket.Info) string { return info.Key[len(l.prefix):] }

// next returns the next object with a key below limit ("" for no limit), or nil.
func (l *listing) next(limit string) *bucket.Info {
	if l.head == nil || (limit != "" && l.key(l.head) >= limit) {
		return nil
	}
	info := l.head
	l.advance()
	return info
}

// at returns the object with this key if it is the next, or nil.
func (l *listing) at(key string) *bucket.Info {
	if l.head == nil || l.key(l.head) != key {
		return nil
	}
	info := l.head
	l.advance()
	return info
}

// rescan looks for files that changed without an event below a directory, then
// asks for a reconcile, which finds what went.
func (e *Engine) rescan(s snapshot) {
	err := e.walkChanges(s, func(key string, info fs.FileInfo, known entry) bool {
		return known.state != committed || known.size != info.Size() || known.modTime != info.ModTime().UnixNano()
	})
	if err != nil {
		e.unreadable(s, err)
		return
	}
	e.recon.want(e.requests.window())
	e.queue.settled(s, time.Now(), func(bool) {})
}

// reclass looks for files whose class changed with an .htaccess.
func (e *Engine) reclass(s snapshot) {
	err := e.walkChanges(s, func(key string, _ fs.FileInfo, known entry) bool {
		return !known.object() || known.class != e.Class(key)
	})
	if err != nil {
		e.unreadable(s, err)
		return
	}
	e.queue.settled(s, time.Now(), func(bool) {})
}

// walkChanges puts the files below the item's directory into the queue for
// which differs is true.
func (e *Engine) walkChanges(s snapshot, differs func(key string, info fs.FileInfo, known entry) bool) error {
	return e.trees[s.root].Walk(s.rel, local.Visit{
		Dir: func(rel string) bool { return e.ctx.Err() == nil && (rel == "" || !e.site.SkipDir(s.root, rel)) },
		File: func(rel string, info fs.FileInfo) error {
			if err := e.ctx.Err(); err != nil {
				return err
			}
			key := e.site.Key(s.root, rel)
			if e.site.Class(key, nil) == media.Ignored {
				return nil
			}
			known, ok := e.index.get(key)
			if !ok {
				known, _ = e.fromMark(key)
			}
			if !differs(key, info, known) {
				return nil
			}
			now := time.Now()
			e.queue.mu.Lock()
			defer e.queue.mu.Unlock()
			it, _ := e.queue.change(aFile, key, s.root, rel, now)
			it.closed, it.wrote = true, true
			e.soil(it)
			e.queue.schedule(it, now)
			return nil
		},
		Err: func(rel string, err error) {
			if !errors.Is(err, fs.ErrNotExist) {
				e.log().Warn("a directory of a media root cannot be read", keyDir, e.site.Key(s.root, rel), keyError, err)
			}
		},
	})
}
