package offload

import (
	"io/fs"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
)

// findComplete looks at the files that changed after since and were not seen to
// be closed: a hard link, or a file that was given its name when it was written,
// never is. What no process has open for writing is complete. Where the kernel
// does not tell, a file that has several names is taken for a hard link, and all
// others wait until nothing has been written to them for a while.
func (e *Engine) findComplete(since uint64) {
	for _, it := range e.queue.unclosed(since) {
		writing, info, err := e.trees[it.root].Writing(it.rel)
		if err != nil || writing == local.Writers {
			continue // it is somebody else's to close, or gone
		}
		if writing == local.Untold {
			e.sayUntold(it.key)
			if !hasSeveralNames(info) {
				continue
			}
		}
		e.queue.setComplete(it)
	}
}

func (e *Engine) sayUntold(key string) {
	e.count.noLeases.Do(func() {
		e.log().Info("it cannot be seen which media files are open for writing, so one that is never closed (made "+
			"from a file without a name, say) is committed a second after the answer; to avoid that, run Caddy as the "+
			"user who owns the media or give it CAP_LEASE, and keep media on a file system with leases", keyKey, key)
	})
}

// hasSeveralNames reports whether a file has hard links.
func hasSeveralNames(info fs.FileInfo) bool {
	_, names, ok := local.Inode(info)
	return ok && names > 1
}

// unclosed returns the files that changed after since and are not known to be
// complete.
func (q *queue) unclosed(since uint64) (found []*item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for e := q.order.Back(); e != nil; e = e.Prev() {
		it := e.Value.(*item)
		if it.gen <= since {
			break
		}
		if !it.isComplete() && it.from == anEvent {
			found = append(found, it)
		}
	}
	return found
}

// setComplete notes that the content of an item was complete just now.
func (q *queue) setComplete(it *item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	it.complete = true
}
