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
	for _, it := range e.queue.Unclosed(since) {
		writing, info, err := e.trees[it.Root].Writing(it.Rel)
		if err != nil || writing == local.Writers {
			continue // it is somebody else's to close, or gone
		}
		if writing == local.Untold {
			e.sayUntold(it.Key)
			if !hasSeveralNames(info) {
				continue
			}
		}
		e.queue.SetComplete(it)
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
