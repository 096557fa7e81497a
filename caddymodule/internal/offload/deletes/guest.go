package deletes

import (
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/watch"
)

// Guest are the deletes of a guest's app: they are gone for this node alone. The objects
// stay, but are not served in place of the files. What a guest writes needs no note: it is
// on disk.
//
// (Promise 8: "A deleted file does not come back by itself.")
type Guest struct {
	notes *Notes
	log   func() *slog.Logger

	mu      sync.Mutex
	gone    map[string]guestDelete // by key; that of a directory ends with a slash
	changed bool                   // since they were noted
	full    sync.Once              // the log line

	noting sync.Mutex // held while notes are brought up to date
}

// guestDelete is one of them.
type guestDelete struct {
	root  int
	in    watch.DirID // the media root in which that was seen
	meant bool        // by a request, or looked at since
}

// NewGuest returns what a guest has deleted: nothing, until Note has read its notes.
func NewGuest(notes *Notes, log func() *slog.Logger) *Guest {
	return &Guest{notes: notes, log: log, gone: make(map[string]guestDelete)}
}

// id is a key's in gone.
func id(key string, dir bool) string {
	if dir {
		return key + "/"
	}
	return key
}

// Add keeps a delete of a file, or of a directory, unless there are too many: seen in a
// directory at a media root, and meant or not.
func (g *Guest) Add(f File, dir bool, in watch.DirID, meant bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.add(id(f.Key, dir), guestDelete{f.Root, in, meant})
}

// add is Add under the lock.
func (g *Guest) add(id string, d guestDelete) {
	if len(g.gone) >= MaxNoted {
		return
	}
	g.gone[id] = d
	g.changed = true
}

// Remove notes that a file is there again.
func (g *Guest) Remove(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.gone[key]; ok {
		delete(g.gone, key)
		g.changed = true
	}
}

// Clear forgets all: this node is a member.
func (g *Guest) Clear() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.changed = g.changed || len(g.gone) > 0
	clear(g.gone)
}

// Has reports whether a file was deleted, or a directory above it.
func (g *Guest) Has(key string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.gone[key]; ok {
		return true
	}
	for dir, _ := bucket.SplitKey(key); dir != ""; dir, _ = bucket.SplitKey(dir) {
		if _, ok := g.gone[id(dir, true)]; ok {
			return true
		}
	}
	return false
}

// Len is how many files and directories were deleted.
func (g *Guest) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.gone)
}

// Note brings the notes up to date, after having read those that an earlier process left;
// admit is the door for their keys, and what they tell is dropped if this node is a member.
// rootsNow tells the directories at the media roots, nil for one that is not there.
func (g *Guest) Note(rootsNow func() []*watch.DirID, admit func(key string, dir bool) (root int, ok bool), member func() bool) {
	g.noting.Lock()
	defer g.noting.Unlock()
	for root := range g.notes.disks {
		g.recall(root, admit, member)
	}
	if !g.owes() {
		return
	}
	all := g.take(rootsNow())
	if g.Len() >= MaxNoted {
		g.full.Do(func() {
			g.log().Warn("as much was deleted on this server, a guest, as is remembered: other files that go are served from the bucket", "limit", MaxNoted)
		})
	}
	for root := range all {
		if !g.notes.Recalled(root) {
			if len(all[root]) > 0 {
				g.owe()
			}
			continue
		}
		if err := g.notes.Set(root, all[root]); err != nil {
			g.owe()
			g.log().Warn("what was deleted on this server, a guest, cannot be noted on disk: after a restart the bucket's files are served again",
				"dir", g.notes.disks[root].Dir(), "error", err)
		}
	}
}

// owes reports whether they have changed since they were noted.
func (g *Guest) owes() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.changed
}

// owe has them noted again.
func (g *Guest) owe() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.changed = true
}

// take returns by root what is to be noted. What went from a directory that is not the media root any more is no delete.
func (g *Guest) take(roots []*watch.DirID) (all [][]Noted) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.changed = false
	all = make([][]Noted, len(roots))
	for id, d := range g.gone {
		if !d.meant && (roots[d.root] == nil || *roots[d.root] != d.in) {
			delete(g.gone, id)
			continue
		}
		d.meant = true
		g.gone[id] = d
		key, dir := strings.CutSuffix(id, "/")
		all[d.root] = append(all[d.root], Noted{Key: key, Dir: dir})
	}
	for _, noted := range all {
		slices.SortFunc(noted, func(a, b Noted) int { return strings.Compare(a.Key, b.Key) })
	}
	return all
}

// recall reads what an earlier process noted of a root.
func (g *Guest) recall(root int, admit func(key string, dir bool) (root int, ok bool), member func() bool) {
	all, ok := g.notes.Recall(root)
	if !ok {
		return
	}
	all = slices.DeleteFunc(all, func(d Noted) bool { of, ok := admit(d.Key, d.Dir); return !ok || of != root })
	holds := g.notes.Holds(root)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.changed = g.changed || holds
	if member() {
		return // what it deleted as a guest is there again
	}
	for _, d := range all {
		g.add(id(d.Key, d.Dir), guestDelete{root: root, meant: true})
	}
}
