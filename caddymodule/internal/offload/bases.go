package offload

import (
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// A file that takes the place of another under its name (a rename, move_uploaded_file,
// rsync) bears no mark, so after a restart nothing would tell that it was made of the
// version that the bucket has: it would look like one of two that two nodes wrote, and
// lose its name. So where such a file waits for the bucket, it is marked with the version
// that was there before it.
//
// (Promise 2: "Nothing is lost.")

// basis is a file that waits, and the version that it was made of.
type basis struct {
	work.Target
	version index.Entry
}

// noteBases marks the files that wait for the bucket and have not been marked so.
func (e *Engine) noteBases() {
	if !e.shared() || e.guard.IsGuest() || !e.joining.isOver() {
		return
	}
	for _, b := range e.basesToNote() {
		e.noteBase(b)
	}
}

// basesToNote returns the files that have new content since the last call.
func (e *Engine) basesToNote() (all []basis) {
	e.queue.Lock()
	defer e.queue.Unlock()
	for _, t := range e.queue.TakeUnbased() {
		if known, ok := e.index.Peek(t.Key); ok && known.Based() {
			all = append(all, basis{t, known})
		}
	}
	return all
}

// noteBase marks a file with the version that it was made of. A mark that it bears
// already tells the same.
func (e *Engine) noteBase(b basis) {
	f, err := e.trees[b.Root].Open(b.Rel)
	if err != nil {
		return // it went, which has its own event
	}
	defer f.Close() // only read
	if mark, ok := local.ReadMark(f); ok && mark.Binding == e.marks.Binding(b.Key) {
		return
	}
	info, err := f.Stat()
	if err != nil {
		return
	}
	now := b.version
	now.Size, now.ModTime, now.Found = info.Size()+1, noTime, index.Finding{} // no mark of this content
	e.marks.Put(b.Key, now, f)
}

// noTime is the modification time, in Unix nanoseconds, of no file.
const noTime = -1
