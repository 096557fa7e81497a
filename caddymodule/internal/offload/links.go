package offload

import (
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// maxLinks bounds the names of hard links that are remembered. Beyond it a change
// through another name is found by the next comparison of disk and bucket.
const maxLinks = 1 << 16

// links knows which names in the roots one file has: what is written through one
// of them is the content of all, and the watcher tells of that one only.
type links struct {
	mu    sync.Mutex
	names map[local.FileID][]linkName
	count int
	// sought is how many names a file had when all roots were last searched for
	// them: more than are known if some are outside.
	sought map[local.FileID]uint64
}

type linkName struct {
	key  string
	root int
	rel  string
}

// see remembers a name of a file that has several.
func (l *links) see(info fs.FileInfo, name linkName) {
	id, n, ok := local.Inode(info)
	if !ok || n < 2 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count >= maxLinks || slices.Contains(l.names[id], name) {
		return
	}
	if l.names == nil {
		l.names = make(map[local.FileID][]linkName)
	}
	l.names[id] = append(l.names[id], name)
	l.count++
}

// others returns the other names that are known of a file, and whether the roots
// are to be searched for more.
func (l *links) others(id local.FileID, n uint64, key string) (others []linkName, search bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range l.names[id] {
		if name.key != key {
			others = append(others, name)
		}
	}
	if uint64(len(others)+1) >= n || l.sought[id] == n {
		return others, false
	}
	if l.sought == nil || len(l.sought) >= maxLinks {
		l.sought = make(map[local.FileID]uint64)
	}
	l.sought[id] = n
	return others, true
}

// forget drops a name that is not the file's any more.
func (l *links) forget(id local.FileID, name linkName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.names[id]
	after := slices.DeleteFunc(before, func(x linkName) bool { return x == name })
	l.count -= len(before) - len(after)
	if l.names[id] = after; len(after) == 0 {
		delete(l.names, id)
	}
}

// reachLinks puts the other names of a file that was written into the queue. What
// is there because of that goes no further.
func (e *Engine) reachLinks(s *work.Task, info fs.FileInfo) {
	id, n, ok := local.Inode(info)
	if !ok || n < 2 {
		return
	}
	e.links.see(info, linkName{s.Key, s.Root, s.Rel})
	if !s.Written || s.Linked {
		return
	}
	others, search := e.links.others(id, n, s.Key)
	for _, name := range others {
		there, err := e.trees[name.root].Stat(name.rel)
		if err != nil || !sameFile(there, id) {
			e.links.forget(id, name)
			continue
		}
		e.lookAtLink(s, name)
	}
	if !search {
		return
	}
	for root := range e.trees {
		e.queue.Lock()
		it, _ := e.queue.Change(work.Search, e.site.Key(root, ""), root, "", time.Now())
		s.Item.Spread = true
		e.queue.Schedule(it, time.Now())
		e.queue.Unlock()
	}
}

func sameFile(info fs.FileInfo, id local.FileID) bool {
	is, _, ok := local.Inode(info)
	return ok && is == id
}

// lookAtLink has another name of the file of s looked at.
func (e *Engine) lookAtLink(s *work.Task, name linkName) {
	now := time.Now()
	e.queue.Lock()
	defer e.queue.Unlock()
	it, isNew := e.queue.Change(work.File, name.key, name.root, name.rel, now)
	e.queue.Found(it, work.Present)
	it.Complete, it.Wrote = true, true
	it.Linked = it.Linked || isNew
	it.InRequest = it.InRequest || s.InRequest
	s.Item.Spread = true
	e.soil(it)
	e.queue.Schedule(it, now)
}

// search looks for names of files that have several.
func (e *Engine) search(s *work.Task) outcome {
	err := e.walkChanges(s, func(key string, info fs.FileInfo, known index.Entry) bool {
		if !hasSeveralNames(info) {
			return false
		}
		if root, rel, ok := e.site.Locate(key); ok {
			e.links.see(info, linkName{key, root, rel})
		}
		return known.State != index.Committed || known.Size != info.Size() || known.ModTime != info.ModTime().UnixNano()
	})
	if err != nil {
		return outcome{how: unreadable, err: err}
	}
	return outcome{}
}
