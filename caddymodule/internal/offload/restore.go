package offload

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
)

// Restored counts what a restore did so far.
type Restored struct {
	// Objects looked at; Files and Bytes brought back; Present were on disk
	// already; Failed could not be brought back.
	Objects, Files, Bytes, Present, Failed int64
	// Error is the first of the failures.
	Error string
}

// ErrRestoring: a restore is running already.
var ErrRestoring = errors.New("a restore of this site is running already")

// restoreWorkers is how many objects are fetched at once.
const restoreWorkers = 8

// restoring is the state of a running restore.
type restoring struct {
	mu   sync.Mutex
	done Restored
}

// Restore brings back every file that is in the bucket and not on disk. Files
// on disk are left alone, whatever the bucket holds. report is called about
// each second with the state. The error is why the bucket could not be listed;
// what could not be brought back is counted.
//
// (Promise 9: "`restore` brings every file back; then the module can be
// removed.")
func (e *Engine) Restore(ctx context.Context, report func(Restored)) (Restored, error) {
	if !e.restore.TryLock() {
		return Restored{}, ErrRestoring
	}
	defer e.restore.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.life, cancel)()

	var r restoring
	stop := r.tell(report)
	defer stop()
	for _, class := range []media.Class{media.Public, media.Private} {
		if err := e.restoreClass(ctx, class, &r); err != nil {
			return r.state(), fmt.Errorf("listing the bucket: %w", err)
		}
	}
	return r.state(), nil
}

// tell calls report each second until the result is called.
func (r *restoring) tell(report func(Restored)) (stop func()) {
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				report(r.state())
			case <-ended:
				return
			}
		}
	}()
	return func() { close(ended); <-done }
}

func (r *restoring) state() Restored {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done
}

func (r *restoring) count(f func(*Restored)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.done)
}

// failed counts what could not be brought back.
func (r *restoring) failed(err error) {
	r.count(func(s *Restored) {
		s.Failed++
		if s.Error == "" {
			s.Error = err.Error()
		}
	})
}

func (e *Engine) restoreClass(ctx context.Context, class media.Class, r *restoring) error {
	var workers sync.WaitGroup
	defer workers.Wait()
	free := make(chan struct{}, restoreWorkers)
	for o, err := range e.objects(ctx, class, "") {
		if _, ok := e.leavesOut(class, err); ok {
			r.failed(err)
			continue
		}
		if err != nil {
			return err
		}
		r.count(func(s *Restored) { s.Objects++ })
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		workers.Go(func() {
			defer func() { <-free }()
			e.restoreObject(ctx, o, class, r)
		})
	}
	return nil
}

func (e *Engine) restoreObject(ctx context.Context, o object, class media.Class, r *restoring) {
	if _, err := e.trees[o.root].Stat(o.rel); err == nil {
		r.count(func(s *Restored) { s.Present++ })
		return
	}
	err := e.fetch(ctx, o, class)
	switch {
	case errors.Is(err, fs.ErrExist):
		r.count(func(s *Restored) { s.Present++ })
	case err != nil:
		r.failed(fmt.Errorf("restoring %s: %w", o.key, err))
	default:
		r.count(func(s *Restored) { s.Files++; s.Bytes += o.Size })
	}
}

// fetch puts the file of an object on disk. It takes its place only if it is
// what the store says it is.
func (e *Engine) fetch(ctx context.Context, listed object, class media.Class) error {
	o, err := e.store.Get(ctx, listed.Info.Key, bucket.GetOptions{})
	if err != nil {
		return err
	}
	defer o.Body.Close()
	sum := md5.New()
	st := e.classes.UnderPlace(listed.key, e.classes.Rule(listed.key), class)
	return e.trees[listed.root].Place(listed.rel, local.Placement{
		Content: io.TeeReader(o.Body, sum),
		Size:    o.Size,
		ModTime: o.ModTime,
		Marked:  st.Kept,
		Mark: func(f *os.File, info fs.FileInfo) (local.Mark, error) {
			if err := verify(o.Info, sum); err != nil {
				return local.Mark{}, err
			}
			now := index.EntryOf(st, info, o.ETag)
			now.Found = e.inspect(listed.key, f, now)
			return e.marks.Of(listed.key, now), nil
		},
	})
}

// errNotAsSaid: an object is not what the store says of it. That says nothing of others.
var errNotAsSaid = errors.New("the object is not what the bucket says of it")

func verify(info bucket.Info, sum hash.Hash) error {
	want, got := info.ContentMD5(), hex.EncodeToString(sum.Sum(nil))
	if want != "" && want != got {
		return fmt.Errorf("%w: the content has MD5 %s, not %s", errNotAsSaid, got, want)
	}
	return nil
}
