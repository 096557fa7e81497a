package offload

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// placed is a file that was brought from the bucket, so that the event about it
// is known for what it is.
type placed struct {
	info fs.FileInfo
}

// isPlaced reports whether a file is just as it was brought.
func (e *Engine) isPlaced(key string, info fs.FileInfo) bool {
	p, ok := e.placed.Get(key)
	return ok && os.SameFile(p.info, info) && p.info.Size() == info.Size() && p.info.ModTime().Equal(info.ModTime())
}

// source is a body that remembers why it could not be read: what fails then is
// the bucket, not the disk.
type source struct {
	io.Reader
	err error
}

func (r *source) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// bring puts the object that was seen on disk, in place of the file that was
// seen. tell: the other nodes may not know of it.
func (e *Engine) bring(s *work.Task, x *sight, tell bool) outcome {
	ctx, cancel := e.putContext(x.stored.Size)
	defer cancel()
	o, err := e.store.Get(ctx, e.objectName(s.Key, x.under), bucket.GetOptions{IfMatch: x.stored.ETag})
	switch {
	case errors.Is(err, bucket.ErrNotFound), errors.Is(err, bucket.ErrChanged):
		return outcome{how: changed}
	case err != nil:
		return failed(fmt.Errorf("fetching %s: %w", s.Key, err))
	}
	defer o.Body.Close()
	sum := md5.New()
	body := &source{Reader: o.Body}
	var now index.Entry
	undo := func() {}
	st := e.classes.UnderPlace(s.Key, x.rule, x.under)
	p := local.Placement{
		Content: io.TeeReader(body, sum), Size: o.Size, ModTime: o.ModTime, Marked: st.Kept,
		Mark: func(f *os.File, info fs.FileInfo) (local.Mark, error) {
			if err := verify(o.Info, sum); err != nil {
				body.err = err
				return local.Mark{}, err
			}
			now = index.EntryOf(st, info, o.ETag)
			now.Found = e.inspect(s.Key, f, now)
			e.placed.Add(s.Key, placed{info: info})
			// Before it is there: the app may remove it at once.
			undo = e.index.Expect(s.Key, o.ETag)
			return e.marks.Of(s.Key, now), nil
		},
	}
	if x.file == verdict.NoFile {
		err = e.trees[s.Root].Place(s.Rel, p)
	} else {
		err = e.trees[s.Root].Replace(s.Rel, p, func(_ *os.File, info fs.FileInfo) bool { return sameVersion(x.info, info) })
	}
	if err != nil {
		undo()
		return e.notBrought(s, err, body.err)
	}
	e.health.Answered()
	e.count.fetched.Add(1)
	e.count.fetchedBytes.Add(uint64(o.Size))
	if tell {
		if err := e.announce([]changelog.Change{changeOf(s.Key, now)}, s); err != nil {
			return failed(err)
		}
	}
	e.queue.Note(s, func(latest bool) {
		if !latest {
			now.State = index.Dirty
		}
		e.index.Set(s.Key, now)
	})
	if st.Kept {
		e.classes.SayKept(s.Key)
	}
	if st.Class != x.rule && !st.Kept {
		// An .htaccess on this disk closes what another node made public: it
		// moves to the private ones.
		e.look(foreign{s.Key, s.Root, s.Rel, x.rule}, verdict.PutElsewhere)
	}
	return outcome{}
}

// sameVersion reports whether a file was not written since it was seen.
func sameVersion(seen, now fs.FileInfo) bool {
	return os.SameFile(seen, now) && seen.Size() == now.Size() && seen.ModTime().Equal(now.ModTime())
}

// notBrought deals with a file that could not be put on disk.
func (e *Engine) notBrought(s *work.Task, err, fromStore error) outcome {
	var stranded *local.StrandedError
	switch {
	case errors.As(err, &stranded):
		e.rescue(s.Root, stranded.Rel, s.Key)
		return outcome{how: changed}
	case errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist), errors.Is(err, local.ErrKept):
		if _, statErr := e.trees[s.Root].Stat(s.Rel); statErr == nil {
			return lookAgainAtBoth(keptFor)
		}
	case fromStore != nil:
		return failed(fmt.Errorf("fetching %s: %w", s.Key, fromStore))
	case errors.Is(err, fs.ErrNotExist):
		return outcome{how: changed} // the app removed what was to be replaced
	}
	return outcome{how: unplaced, err: err}
}

// keptFor is how long a file that the app is writing is left alone.
const keptFor = 200 * time.Millisecond

// removeLocal removes a file that another node deleted.
func (e *Engine) removeLocal(s *work.Task, x *sight) outcome {
	if e.queue.Superseded(s) {
		return lookAgainAtBoth(work.Rest)
	}
	// First, so that the event about it is known for what it is.
	e.queue.Lock()
	e.index.Forget(s.Key)
	e.index.Set(s.Key, index.Entry{State: index.Removed})
	e.queue.Unlock()
	err := e.trees[s.Root].Remove(s.Rel, func(_ *os.File, info fs.FileInfo) bool { return sameVersion(x.info, info) })
	var stranded *local.StrandedError
	switch {
	case errors.As(err, &stranded):
		e.rescue(s.Root, stranded.Rel, s.Key)
		return outcome{how: changed}
	case errors.Is(err, local.ErrKept):
		return lookAgainAtBoth(keptFor)
	case err != nil:
		return outcome{how: unplaced, err: err}
	}
	e.count.removedFiles.Add(1)
	e.placed.Remove(s.Key)
	e.queue.Note(s, func(latest bool) {
		if latest {
			e.index.Set(s.Key, index.Entry{State: index.Removed})
		}
	})
	return outcome{}
}

// removeKeeping removes a file whose object is gone, though no node has told that it
// deleted it: its content goes to the trash first.
func (e *Engine) removeKeeping(s *work.Task, x *sight) outcome {
	switch told, err := e.toldMeanwhile(s); {
	case err != nil:
		return failed(err)
	case told:
		return lookAgain(0)
	}
	if err := e.trashFile(s, x); err != nil {
		return failed(err)
	}
	return e.removeLocal(s, x)
}

// dirRest is how long a directory that another node removed has to be empty here
// before it goes, so that it does not go from under an app that has just looked.
const dirRest = 2 * time.Second

// removeGoneDirs removes the directories that other nodes removed, once they are
// empty.
func (e *Engine) removeGoneDirs(now time.Time) {
	for _, key := range e.goneDirs.Keys() {
		root, rel, ok := e.site.Locate(key)
		if !ok {
			continue
		}
		gone, err := e.trees[root].RemoveEmptyDirs(rel, now.Add(-dirRest))
		if err != nil {
			e.log().Debug("removing a directory that another node removed", keyDir, key, keyError, err)
		}
		if gone {
			e.goneDirs.Remove(key)
		}
	}
}

// keepBoth stores the file's content aside in the bucket and puts the object
// that has its name in its place.
func (e *Engine) keepBoth(s *work.Task, x *sight) outcome {
	if e.ownsName(s, x) {
		return e.takeName(s, x)
	}
	name, err := e.storeSeen(s.Key, x)
	if err != nil {
		return failed(fmt.Errorf("keeping the content of %s: %w", s.Key, err))
	}
	if !unchanged(e, s, x.f, x.entry("")) {
		return outcome{how: changed}
	}
	e.lostName(s) // before who waits for the file goes on
	o := e.bring(s, x, true)
	if o.how == done {
		e.count.conflicts.Add(1)
		e.log().Warn("two nodes stored different files under one name; the bucket's keeps the name, the other content is kept aside",
			keyKey, s.Key, "kept_as", name)
	}
	return o
}

// storeAside stores content that has lost its name, once for each content, of which sum is
// the MD5 in hex.
func (e *Engine) storeAside(key string, f *os.File, info fs.FileInfo, sum string) (name string, err error) {
	raw, err := hex.DecodeString(sum)
	if err != nil {
		return "", err
	}
	name = conflictName(e.cfg.ControlPrefix, key, sum)
	ctx, cancel := e.putContext(info.Size())
	defer cancel()
	_, err = e.store.Put(ctx, name, f, info.Size(), bucket.PutOptions{MD5: raw, Info: bucket.Info{
		ContentType: media.ContentType(key, nil), ModTime: info.ModTime(),
		Meta: map[string]string{metaNode: e.team.self()},
	}})
	return name, err
}

// storeSeen is storeAside of a file that was seen.
func (e *Engine) storeSeen(key string, x *sight) (name string, err error) {
	sum, err := x.md5()
	if err != nil {
		return "", err
	}
	return e.storeAside(key, x.f, x.info, sum)
}

// storeRead is storeAside of content that was not read yet.
func (e *Engine) storeRead(key string, f *os.File, info fs.FileInfo) (name string, err error) {
	sum, err := md5Of(f, info.Size())
	if err != nil {
		return "", err
	}
	return e.storeAside(key, f, info, sum)
}

// conflictName is where content is kept that lost its name. Keys at the limit
// of what a store takes are cut.
func conflictName(control, key, sum string) string {
	const most = 900
	if len(key) > most {
		key = key[:most]
	}
	name := control + "conflict/" + key + "/" + sum
	if bucket.CheckKey(name) != nil {
		return control + "conflict/" + sum
	}
	return name
}

// rescue keeps the content of a file that lost its name to another one.
func (e *Engine) rescue(root int, rel, key string) {
	t := e.trees[root]
	f, err := t.Open(rel)
	if err != nil {
		e.log().Error("a file that lost its name to another one cannot be read; it stays where it is", keyKey, key, keyFile, rel, keyError, err)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return
	}
	if m, ok := local.ReadMark(f); !ok || m.Size != info.Size() || m.ModTime != info.ModTime().UnixNano() {
		name, err := e.storeRead(key, f, info)
		if err != nil {
			e.log().Error("a file that lost its name to another one could not be stored; it stays where it is until the next start",
				keyKey, key, keyFile, rel, keyError, err)
			return
		}
		e.names.Lost(key, math.MaxUint64)
		e.count.conflicts.Add(1)
		e.log().Warn("a file lost its name to another one; its content is kept aside", keyKey, key, "kept_as", name)
	}
	if err := t.RemoveLeftover(rel); err != nil {
		e.log().Debug("removing a file that was kept aside", keyFile, rel, keyError, err)
	}
}

// look asks for a look at a key, because the disk may lack what others wrote.
func (e *Engine) look(f foreign, why verdict.Cause) {
	e.lookFor(f, work.News{Why: why}, time.Now())
}

// lookFor asks for a look at a key because of a change.
func (e *Engine) lookFor(f foreign, c work.News, due time.Time) {
	e.queue.Lock()
	defer e.queue.Unlock()
	e.queue.Schedule(e.queue.Hear(f.key, f.root, f.rel, c, time.Now()), due)
}
