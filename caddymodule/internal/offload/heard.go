package offload

import (
	"strings"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
)

// maxHeard bounds the items of others' changes; beyond it disk and bucket are
// compared as a whole instead.
const maxHeard = 50_000

// largeFetch is the size in bytes from which on a request waits for a file of
// another node only if its name resembles one of the request's.
const largeFetch = 32 << 20

// everyDir stands in the change log for all media roots: no app's directory has
// this name, because what begins with a dot is no media.
const everyDir = ".media-offload"

// apply puts others' changes into the queue.
func (e *Engine) apply(changes []changelog.Change) {
	now := time.Now()
	e.queue.Lock()
	defer e.queue.Unlock()
	for i := range changes {
		e.hear(&changes[i], now)
	}
}

// hear puts one change of another node into the queue, whose lock the caller
// holds.
func (e *Engine) hear(c *changelog.Change, now time.Time) {
	if c.Op == changelog.DeleteBelow && c.Key == everyDir {
		e.recon.want(e.recon.blur(everything), window{})
		return
	}
	if c.Op == changelog.DeleteBelow {
		if dir, ok := e.letInDir(c.Key); ok {
			e.goneDirs.Add(c.Key, struct{}{})
			e.recon.want(e.recon.blur(scope{dir.root, dir.rel}), window{})
		}
		return
	}
	f, ok := e.letIn(c.Key)
	if !ok {
		return
	}
	known, _ := e.index.Peek(c.Key)
	x := index.Entry{State: index.Removed, Class: known.Class}
	it := news{why: verdict.DeletedElsewhere, version: c.ETag}
	if c.Op == changelog.Delete {
		e.withheld.remove(c.Key)
	}
	if c.Op == changelog.Delete && c.ETag != "" {
		e.admitted.contested(c.Key, c.ETag)
	}
	if c.Op == changelog.Delete && c.ETag != "" && known.Over == c.ETag && known.ETag != c.ETag {
		// The other node deleted what this one had just replaced, and may have
		// hit the new version.
		it.why = verdict.OtherDeleted
	}
	if c.Op == changelog.Put {
		x = index.Entry{State: index.Announced, Class: f.believe(c.Class), Size: c.Size, ETag: c.ETag}
		if !c.ModTime.IsZero() {
			x.ModTime = c.ModTime.UnixNano()
		}
		it = news{why: verdict.PutElsewhere, version: c.ETag, told: c.ETag, under: x.Class, size: c.Size}
		e.keepDirs(c.Key)
	}
	here := known.State == index.Committed && known.ETag == c.ETag && known.Class == x.Class && c.Op == changelog.Put
	if known.State != index.Dirty && !here {
		e.index.Set(c.Key, x)
	}
	if e.queue.heardSize() >= maxHeard {
		e.recon.want(e.recon.blur(everything), window{})
		return
	}
	e.recon.touch(c.Key)
	e.queue.schedule(e.queue.hear(f.key, f.root, f.rel, it, now), now)
}

// keepDirs notes that the directories of a key are there again.
func (e *Engine) keepDirs(key string) {
	if e.goneDirs.Len() == 0 {
		return
	}
	for dir, _ := splitLast(key); dir != ""; dir, _ = splitLast(dir) {
		e.goneDirs.Remove(dir)
	}
}

// splitLast splits a key at its last slash.
func splitLast(key string) (dir, name string) {
	i := strings.LastIndexByte(key, '/')
	if i < 0 {
		return "", key
	}
	return key[:i], key[i+1:]
}

// hear merges another node's change into the item of its key. The caller holds
// mu and schedules the item.
func (q *queue) hear(key string, root int, rel string, c news, now time.Time) *item {
	q.gen++
	it := q.items[key]
	switch {
	case it == nil:
		it = &item{target: target{aFile, key, root, rel}, since: now, heapIndex: -1, from: others}
		it.elem = q.order.PushBack(it)
		q.items[key] = it
	case it.from == comparison:
		q.unschedule(it)
		it.from = others
		q.freeBackground()
	}
	if it.heard != 0 && it.why.Outlasts(c.why) {
		c.why = it.why
	}
	if c.told == "" {
		c.told = it.told
	}
	it.gen, it.heard, it.news = q.gen, q.gen, c
	q.heard[it] = struct{}{}
	return it
}

// heardOf reports whether another node's change of the item came since it was
// taken to be worked on.
func (q *queue) heardOf(s *task) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return s.item.heard > s.gen
}

// unhear notes that others' changes up to gen have been dealt with.
func (q *queue) unhear(it *item, gen uint64) {
	if it.heard > gen {
		return
	}
	it.heard, it.hurried, it.news = 0, false, news{}
	delete(q.heard, it)
}

// lookAgain returns an item to be looked at again, in the bucket too.
func (q *queue) lookAgain(s *task, due time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	it := s.item
	it.heapIndex = -1
	if it.heard == 0 {
		it.why, it.version = verdict.PutElsewhere, ""
	}
	it.heard = it.gen
	if it.gen == s.gen {
		q.found(it, present)
	}
	q.heard[it] = struct{}{}
	q.schedule(it, due)
}

// lookToo has the bucket looked at for a key of which an event has told, because
// a reconcile found a difference that need not be that event's. The caller holds
// mu.
func (q *queue) lookToo(key string, root int, rel string, why verdict.Cause) {
	if it := q.items[key]; it != nil && it.heard != 0 && !why.MayBeLost() {
		why = it.why
	}
	now := time.Now()
	q.schedule(q.hear(key, root, rel, news{why: why}, now), now)
}

// doubtRunning has all files looked at once more that are being worked on: what
// was stored in a bucket just before it went need not be in the one that came back.
func (q *queue) doubtRunning() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range q.items {
		if it.kind == aFile && it.running() {
			q.lookToo(it.key, it.root, it.rel, verdict.BucketOlder)
		}
	}
}

// collectHeard makes w wait for others' changes that were heard until now and
// hurries them: all but large files, and such as were tried in vain, whose names
// resemble none of the request's, and of what a reconcile found only what resembles
// one.
func (q *queue) collectHeard(w *wait, resembles func(key string) bool, now time.Time) []*item {
	q.mu.Lock()
	defer q.mu.Unlock()
	var found []*item
	for it := range q.heard {
		if (it.from == comparison || it.size > largeFetch || it.attempts >= refusals) && !resembles(it.key) {
			continue
		}
		w.left++
		it.waiters = append(it.waiters, waiter{gen: it.gen, on: w})
		found = append(found, it)
		q.hurry(it, now)
	}
	return found
}

// hurry puts an item before those that nobody waits for.
func (q *queue) hurry(it *item, now time.Time) {
	if it.hurried {
		return
	}
	scheduled := it.scheduled()
	q.unschedule(it)
	it.hurried = true
	due := it.due
	if it.attempts == 0 && due.After(now) {
		due = now
	}
	if scheduled {
		q.schedule(it, due)
	}
}
