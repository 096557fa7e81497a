package dir

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// hashAtOnce is the default of store.hashAtOnce: some seconds of reading. Anybody
// who can write to the directory can put a sparse file of any size there.
const hashAtOnce = 1 << 30

// reading is the hashing, in the background, of a file that took longer than who
// asked for it would wait: one at a time, and what is found is recorded.
type reading struct {
	life    context.Context
	end     context.CancelFunc
	key     atomic.Pointer[string] // nil: none
	readers sync.WaitGroup
}

const unreadPrefix = "unread-"

// isUnread reports whether an ETag is that of a file that had not been hashed.
func isUnread(etag string) bool { return strings.HasPrefix(etag, unreadPrefix) }

// unreadETag stands for the ETag of a file that has not been hashed, and is that of
// no content.
func unreadETag(info fs.FileInfo) string {
	id := identify(info)
	return fmt.Sprintf(unreadPrefix+"%d-%d-%s", info.Size(), id.Inode, id.ModTime)
}

// readRate is how many bytes a second are read at most, in the best case: who waits for
// less time than that takes need not begin.
const readRate = 4 << 30

// hashOrLater is hashVersion for as long as the caller waits; then a large file is
// read on in the background, and so is at once what cannot be read in that time.
func (d *store) hashOrLater(ctx context.Context, f *os.File, info fs.FileInfo, key string, rec *record) (*version, error) {
	if info.Size() <= d.hashAtOnce {
		return hashVersion(ctx, f, key, rec)
	}
	if now := d.reading.key.Load(); now != nil && *now == key {
		_ = f.Close()
		return nil, bucket.ErrUnread
	}
	if end, ok := ctx.Deadline(); ok && time.Until(end).Seconds() < float64(info.Size())/readRate {
		_ = f.Close()
		d.readOn(key)
		return nil, fmt.Errorf("%w: %d bytes", bucket.ErrUnread, info.Size())
	}
	v, err := hashVersion(ctx, f, key, rec)
	if err != nil && ctx.Err() != nil {
		d.readOn(key)
		return nil, fmt.Errorf("%w: %d bytes", bucket.ErrUnread, info.Size())
	}
	return v, err
}

// readOn hashes a file in the background, unless another is being hashed.
func (d *store) readOn(key string) {
	r := &d.reading
	if r.life.Err() != nil || !r.key.CompareAndSwap(nil, &key) {
		return
	}
	r.readers.Go(func() {
		defer r.key.Store(nil)
		if err := d.readNow(r.life, key); err != nil {
			d.log.Debug("hashing a large file", "object_key", key, "error", err)
		}
	})
}

func (d *store) readNow(ctx context.Context, key string) error {
	root, err := d.open(ctx)
	if err != nil {
		return err
	}
	f, _, err := openRegular(root, key)
	if err != nil {
		return err
	}
	rec, err := readRecord(root, metaName(key))
	if err != nil {
		_ = f.Close()
		return err
	}
	v, err := hashVersion(ctx, f, key, rec)
	if err != nil {
		return err
	}
	d.remember(ctx, root, v)
	return v.file.Close()
}
