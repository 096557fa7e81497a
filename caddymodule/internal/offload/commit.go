package offload

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

func (e *Engine) head(key string, class media.Class) (bucket.Info, error) {
	ctx, cancel := context.WithTimeout(e.ctx, callTimeout)
	defer cancel()
	return e.store.Head(ctx, e.objectName(key, class))
}

// md5Of returns the MD5 of the first size bytes of a file, in hex.
func md5Of(f *os.File, size int64) (string, error) {
	h := md5.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, size)); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Limits of single calls to the store, so that none is waited for without end.
const (
	callTimeout = 30 * time.Second
	// putTimeout bounds a transfer: it may take this long and a second more
	// for each 64 KiB.
	putTimeout = 60 * time.Second
	putRate    = 64 << 10
	// longestPut bounds that: the size of an object is what others say.
	longestPut = 24 * time.Hour
)

// errUnreadable: it is the file that fails, not the bucket.
var errUnreadable = errors.New("reading the file")

// storeFile stores a file's present content, of which now tells what is known.
func (e *Engine) storeFile(s *work.Task, f *os.File, info fs.FileInfo, now index.Entry, c condition) (bucket.Info, error) {
	ctx, cancel := e.putContext(info.Size())
	defer cancel()
	described, err := e.describe(s, f, info, now, c)
	if err != nil {
		return bucket.Info{}, err
	}
	content := &diskRead{from: f}
	stored, err := e.store.Put(ctx, e.objectName(s.Key, now.Class), content, info.Size(), bucket.PutOptions{
		Info:        described,
		Public:      now.Class == media.Public,
		IfNoneMatch: c.create, IfMatch: c.over,
	})
	if err != nil && content.failed.Load() {
		return bucket.Info{}, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	if err != nil {
		return stored, fmt.Errorf("storing %s: %w", s.Key, err)
	}
	return stored, nil
}

// describe returns what is stored with a file's content.
func (e *Engine) describe(s *work.Task, f *os.File, info fs.FileInfo, now index.Entry, c condition) (bucket.Info, error) {
	var head [512]byte
	n, err := f.ReadAt(head[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return bucket.Info{}, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return bucket.Info{
		ContentType:  media.ContentType(s.Rel, head[:n]),
		CacheControl: e.cfg.CacheControl(s.Key, now.Class),
		ModTime:      info.ModTime(),
		Meta:         e.meta(s, now.Found, c),
	}, nil
}

// diskRead is a file that a store reads: it knows whether it was the disk that failed.
type diskRead struct {
	from   io.ReaderAt
	failed atomic.Bool
}

func (s *diskRead) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.from.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		s.failed.Store(true)
	}
	return n, err
}

// changedMeanwhile ends a put of a file that was written to, replaced or
// removed while it was read: what was stored, if it was, is no state of the
// file, and another look is due.
func (e *Engine) changedMeanwhile(s *work.Task, stored index.Entry, err error) outcome {
	e.queue.Note(s, func(bool) {
		s.Item.Fresh = false
		if err == nil {
			stored.State = index.Dirty
			e.index.Set(s.Key, stored)
		}
	})
	return lookAgain(work.Rest)
}

// unchanged reports whether f is still the file at its path, with the size and
// time of now.
func unchanged(e *Engine, s *work.Task, f *os.File, now index.Entry) bool {
	return e.isStill(s.Root, s.Rel, f, now)
}

// isStill reports whether f is the file at a path, with the size and time of now.
func (e *Engine) isStill(root int, rel string, f *os.File, now index.Entry) bool {
	info, err := f.Stat()
	if err != nil || info.Size() != now.Size || info.ModTime().UnixNano() != now.ModTime {
		return false
	}
	there, err := e.trees[root].Stat(rel)
	return err == nil && os.SameFile(info, there)
}

// removeMisplaced deletes the object under the other class, if there may be
// one: what has become private must not stay public.
func (e *Engine) removeMisplaced(s *work.Task, st index.Standing) error {
	if st.Kept {
		return nil // this disk has no say in where it lies
	}
	class := st.Class
	name := s.Misplaced
	if known, ok := e.index.Get(s.Key); ok && known.Object() {
		if known.Class != class {
			name = e.objectName(s.Key, known.Class)
		}
	} else if m, ok := e.trees[s.Root].Mark(s.Rel); ok && m.Binding == e.marks.Binding(s.Key) && index.ClassOf(m.Class) != class {
		name = e.objectName(s.Key, index.ClassOf(m.Class))
	}
	if name == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(e.ctx, callTimeout)
	defer cancel()
	if err := e.store.Delete(ctx, name); err != nil {
		return fmt.Errorf("removing %s: %w", name, err)
	}
	return nil
}

// committed ends the work on a file of which the bucket has the present content.
func (e *Engine) committed(s *work.Task, now index.Entry, f *os.File) outcome {
	if err := e.removeMisplaced(s, now.Standing()); err != nil {
		return failed(err)
	}
	now = e.withPlace(s, now, f)
	if now.Kept {
		e.classes.SayKept(s.Key)
	}
	e.recon.touch(s.Key) // a comparison under way may have listed the bucket before
	e.queue.Note(s, func(latest bool) {
		noted := now
		if !latest {
			noted.State = index.Dirty
		}
		e.index.Set(s.Key, noted)
	})
	e.keepDirs(s.Key)
	// After the index is set, so that the event about the mark is known for
	// what it is. A file that has changed since makes the mark unfit, no more.
	e.marks.Put(s.Key, now, f)
	return outcome{}
}

// forget ends the work on a file of which there is nothing to know: it never leaves the
// disk, or it is gone, and its object too.
func (e *Engine) forget(s *work.Task) outcome {
	e.queue.Note(s, func(bool) { e.index.Forget(s.Key) })
	return outcome{}
}
