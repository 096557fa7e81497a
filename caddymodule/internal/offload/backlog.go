package offload

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
)

// backlog remembers, in a few bytes for each name, which objects of the first
// listing have no file yet and are not in the queue either: a new node knows
// all names long before it has all content.
type backlog struct {
	mu    sync.Mutex
	dirs  []string
	index map[string]uint32
	names []nameInDir // sorted once the listing is complete
}

// nameInDir is the hash of a name's stem, and the directory where it is.
type nameInDir struct{ stem, dir uint32 }

func stemHash(stem string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(stem))
	return h.Sum32()
}

// add notes a key.
func (b *backlog) add(key string) {
	dir, name := bucket.SplitKey(key)
	b.mu.Lock()
	defer b.mu.Unlock()
	at, ok := b.index[dir]
	if !ok {
		if b.index == nil {
			b.index = make(map[string]uint32)
		}
		at = uint32(len(b.dirs))
		b.dirs = append(b.dirs, dir)
		b.index[dir] = at
	}
	x := nameInDir{stemHash(media.NameStem(name)), at}
	if n := len(b.names); n > 0 && b.names[n-1] == x {
		return // sizes of one image follow one another
	}
	b.names = append(b.names, x)
}

// complete makes the backlog ready to be asked.
func (b *backlog) complete() {
	b.mu.Lock()
	defer b.mu.Unlock()
	slices.SortFunc(b.names, func(x, y nameInDir) int {
		if x.stem != y.stem {
			return int(int64(x.stem) - int64(y.stem))
		}
		return int(int64(x.dir) - int64(y.dir))
	})
	b.names = slices.Clip(slices.Compact(b.names))
	b.index = nil
}

// clear forgets all.
func (b *backlog) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dirs, b.index, b.names = nil, nil, nil
}

// dirsOf returns the directories with names of this stem.
func (b *backlog) dirsOf(stem string) (dirs []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := stemHash(stem)
	i, _ := slices.BinarySearchFunc(b.names, h, func(x nameInDir, h uint32) int { return int(int64(x.stem) - int64(h)) })
	for ; i < len(b.names) && b.names[i].stem == h; i++ {
		dirs = append(dirs, b.dirs[b.names[i].dir])
	}
	return dirs
}

// maxDirsLooked bounds the directories that are listed for one request.
const maxDirsLooked = 16

// fetchMissing puts into the queue what the backlog has of the request's names.
func (o otherNodes) fetchMissing(ctx context.Context, stems []string, resembles func(key string) bool) error {
	listed := 0
	for _, stem := range stems {
		for _, dir := range o.e.backlog.dirsOf(stem) {
			if listed++; listed > maxDirsLooked {
				return nil
			}
			if err := o.fetchFrom(ctx, dir, resembles); err != nil {
				return fmt.Errorf("looking for files of similar names in %s: %w", dir, err)
			}
		}
	}
	return nil
}

// fetchFrom puts into the queue what a directory of the bucket has and the disk
// has not.
func (o otherNodes) fetchFrom(ctx context.Context, dir string, resembles func(key string) bool) error {
	e := o.e
	for _, class := range []media.Class{media.Public, media.Private} {
		below := ""
		if dir != "" {
			below = dir + "/"
		}
		for o, err := range e.objects(ctx, class, below) {
			if bucket.IsUnlisted(err) {
				continue // nobody knows of it
			}
			if err != nil {
				return err
			}
			if strings.Contains(o.key[len(below):], "/") || !resembles(o.key) {
				continue
			}
			if _, err := e.trees[o.root].Stat(o.rel); errors.Is(err, fs.ErrNotExist) {
				e.look(o.foreign, verdict.PutElsewhere)
			}
		}
	}
	return nil
}
