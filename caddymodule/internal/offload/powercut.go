package offload

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// A file system writes down names, sizes and times before content, and content half a
// minute after the app wrote it. So a disk that lost its power may have of the last files
// the beginning only, or NULs, or nothing, while the bucket has them whole. (Files that
// are fetched are written down before they have their names: see package local.)
//
// Until all files were compared once since the machine was started, a file is taken for
// what a power cut left of its object if
//   - its mark is of just its time, but of a larger size; or
//   - it is no newer than the file that was stored, it is shorter or has a hole, and it has
//     no byte but NULs that is not the object's.
//
// So what an app or an admin made shorter stays that, as its time is a new one. What is
// left is kept aside, unless all of it is in the object.
//
// (Promise 2: "Nothing is lost.")

// powerCut tells whether files may be what a power cut left of them.
type powerCut struct {
	compared atomic.Bool // all files have been compared in this process' time
	over     atomic.Bool // and what was found is dealt with, in an earlier process' time perhaps
}

func (c *powerCut) suspected() bool { return !c.over.Load() }

// bootID names the time since the machine was started, "" if the system has no name for it.
var bootID = sync.OnceValue(func() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
})

// recallCompared finds out whether an earlier process has compared all files since the
// machine was started.
func (e *Engine) recallCompared() {
	for _, t := range e.trees {
		if id := bootID(); id == "" || t.DirNote("", local.AttrCompared) != id {
			return
		}
	}
	e.powerCut.over.Store(true)
}

// noteCompared notes on the roots that all files have been compared since the machine was
// started, once what was found is dealt with.
func (e *Engine) noteCompared() {
	if !e.powerCut.suspected() || !e.powerCut.compared.Load() || e.queue.BackgroundLen() > 0 {
		return
	}
	e.powerCut.over.Store(true)
	for _, t := range e.trees {
		if err := t.SetDirNote("", local.AttrCompared, bootID()); err != nil {
			e.log().Debug("noting that all files have been compared", keyDir, t.Dir(), keyError, err)
		}
	}
}

// mayBeTorn reports whether a file may be what a power cut left of it: the app has not
// written it in this process' time.
func (e *Engine) mayBeTorn(s *work.Task) bool { return e.powerCut.suspected() && !s.Rewritten }

// isTorn reports whether a file of this time and size is what a power cut left of the
// version that its mark tells of.
func isTorn(m local.Mark, info fs.FileInfo) bool {
	return m.ModTime == info.ModTime().UnixNano() && info.Size() < m.Size
}

// seeTorn finds out whether the file is what a power cut left of the object, and how much
// of it is the object's.
func (e *Engine) seeTorn(s *work.Task, x *sight) error {
	marked := x.file == verdict.TornFile
	if !marked && (x.stored.ModTime.Before(x.info.ModTime()) || !x.lacksContent(x.stored.Size)) {
		return nil
	}
	rest, err := e.isRest(x, e.objectName(s.Key, x.under))
	if err != nil {
		return fmt.Errorf("comparing what is left of %s: %w", s.Key, err)
	}
	if rest {
		x.file, x.object, x.rest = verdict.TornFile, verdict.OtherObject, true
	}
	return nil
}

// lacksContent reports whether something of a file of that size may be missing.
func (x *sight) lacksContent(size int64) bool {
	return x.info.Size() < size || x.info.Size() == size && local.HasHole(x.f)
}

// isRest reports whether there is nothing in a file but NULs and what its object has in
// the same place, and less than that.
func (e *Engine) isRest(x *sight, name string) (bool, error) {
	size := x.info.Size()
	if size > x.stored.Size {
		return false, nil
	}
	if size == 0 {
		return x.stored.Size > 0, nil
	}
	ctx, cancel := e.putContext(size)
	defer cancel()
	o, err := e.store.Get(ctx, name, bucket.GetOptions{IfMatch: x.stored.ETag, Length: size})
	if err != nil {
		return false, err
	}
	defer o.Body.Close()
	rest, same, err := compareRest(io.NewSectionReader(x.f, 0, size), o.Body)
	return rest && (!same || size < x.stored.Size), err
}

// compareRest reports whether all bytes of a file are the object's or NULs, and whether
// they are just the object's.
func compareRest(file, object io.Reader) (rest, same bool, err error) {
	same = true
	var got, want [32 << 10]byte
	for {
		n, err := io.ReadFull(file, got[:])
		if n > 0 {
			if _, err := io.ReadFull(object, want[:n]); err != nil {
				return false, false, err
			}
		}
		for i, b := range got[:n] {
			if b == want[i] {
				continue
			}
			if same = false; b != 0 {
				return false, false, nil
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return true, same, nil
		case err != nil:
			return false, false, err
		}
	}
}

// mend puts an object in place of what a power cut left of its file, which is kept aside
// unless all of it is the object's.
func (e *Engine) mend(s *work.Task, x *sight) outcome {
	kept := ""
	if !x.rest {
		var err error
		if kept, err = e.storeSeen(s.Key, x); err != nil {
			return failed(fmt.Errorf("keeping what is left of %s: %w", s.Key, err))
		}
	}
	if !unchanged(e, s, x.f, x.entry("")) {
		return outcome{how: changed}
	}
	size := x.info.Size()
	o := e.bring(s, x, s.Untold())
	if o.how != done {
		return o
	}
	said := []any{keyKey, s.Key, "left", size, "size", x.stored.Size}
	if kept != "" {
		e.count.conflicts.Add(1)
		said = append(said, "kept_as", kept)
	}
	e.log().Warn("a power cut left a file without all its content; it was fetched from the bucket", said...)
	return o
}

// wholeMark returns the mark on a file, unless a power cut may have left holes in that.
func (e *Engine) wholeMark(root int, rel string) (local.Mark, bool) {
	f, err := e.trees[root].Open(rel)
	if err != nil {
		return local.Mark{}, false
	}
	defer f.Close()
	m, ok := local.ReadMark(f)
	return m, ok && !(e.powerCut.suspected() && local.HasHole(f))
}
