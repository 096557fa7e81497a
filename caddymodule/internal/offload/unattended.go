package offload

import (
	"cmp"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/deletes"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/trash"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// Many files that go at once outside requests may be a mistake at the shell, or a
// disk that is being emptied. Their deletes are withheld: the objects stay, and the
// files are not fetched either, until the admin has said which it was. A note file in the
// media root keeps that over a restart.

// unattendedRest is how long a delete outside a request rests, so that those
// that come with it are seen before it is passed on.
const unattendedRest = 2 * time.Second

// disposal is what becomes of the object of a file that is gone.
type disposal uint8

const (
	keepIt   disposal = iota
	trashIt           // deleted by way of the trash
	deleteIt          // deleted at once
)

// disposal tells what a delete that was seen means for the object.
//
// (Promise 8: "What a process deletes while the module watches is deleted: by a
// request at once, otherwise by way of the trash".)
func (e *Engine) disposal(s *work.Task) disposal {
	switch {
	case e.cfg.Deletes == DeletesNever || e.guard.IsGuest():
		return keepIt
	case s.Meant():
		return deleteIt
	case e.cfg.Deletes == DeletesDuringRequests && !s.AfterKill || (s.Kind == work.File && s.Presence != work.Deleted):
		return keepIt
	case e.cfg.Trash < 0:
		return deleteIt
	}
	return trashIt
}

// passOn reports whether a delete that was seen is to reach the bucket.
func (e *Engine) passOn(s *work.Task) bool { return e.disposal(s) != keepIt }

// admitsDeletes reports whether the deletes of keys outside requests are to be passed
// on. More than deleteLimit need not be given.
func (e *Engine) admitsDeletes(keys []string) bool {
	waiting := func(counted map[string]time.Time) int { return e.queue.DeletesBesides(counted, false) }
	return e.unattended.Admits(keys, waiting, e.deleteLimit(), time.Now())
}

// departing is a file that is gone, whose objects are about to be deleted.
type departing struct {
	s      *work.Task // which the file is of, or a directory above it; nil: the admin's word
	key    string
	names  []string     // of the objects
	etag   string       // of the only one
	reason trash.Reason // why they go to the trash in any case; "": trashFirst decides
}

// trashFirst copies to the trash, before they are deleted, the objects of files that went
// outside requests, or in requests with many others. It returns the errors by number.
func (e *Engine) trashFirst(all []departing) (errs []error) {
	many := e.manyByRequests(all)
	var copies []trash.Deleted
	var of []int // by copy
	for i := range all {
		d := &all[i]
		switch {
		case d.reason != "":
		case d.s == nil:
			continue // it is there
		case e.disposal(d.s) == trashIt:
			d.reason = trash.Outside
		case many && !d.s.Moved:
			d.reason = trash.Requests
		default:
			continue
		}
		for _, name := range d.names {
			copies, of = append(copies, trash.Deleted{Name: name, Reason: d.reason}), append(of, i)
		}
	}
	errs = make([]error, len(all))
	for j, err := range e.trash.Put(e.ctx, time.Now(), copies...) {
		errs[of[j]] = cmp.Or(errs[of[j]], err)
	}
	e.sayStrangers(all, errs)
	return errs
}

// withholds withholds the deletes of files outside requests if they are too many, and
// reports whether it did: their objects are kept, and the files are not fetched, until the
// admin says what is to become of them.
func (e *Engine) withholds(gone []foreign) bool {
	keys, files := make([]string, len(gone)), make([]deletes.File, len(gone))
	for i, f := range gone {
		keys[i], files[i] = f.key, deletes.File{Key: f.key, Root: f.root}
	}
	if len(keys) == 0 || e.admitsDeletes(keys) {
		return false
	}
	e.withheld.Add(files, time.Now())
	return true
}

// manyByRequests reports whether so many files went at once while requests ran that
// their objects go by way of the trash, too: nothing tells whether it was the app, or
// somebody at the shell meanwhile. They go at once all the same.
func (e *Engine) manyByRequests(all []departing) bool {
	var keys []string
	for _, d := range all {
		if d.s != nil && e.disposal(d.s) != trashIt && !d.s.Moved {
			keys = append(keys, d.key)
		}
	}
	now := time.Now()
	waiting := func(counted map[string]time.Time) int { return e.queue.DeletesBesides(counted, true) }
	if len(keys) == 0 || e.cfg.Trash < 0 || e.attended.Admits(keys, waiting, e.deleteLimit(), now) {
		return false
	}
	if e.attended.Says(now) {
		e.log().Warn("many media files were deleted at once while requests ran: their objects are in the trash: `media-offload trash list` shows them, `media-offload trash restore FILE...` brings files back")
	}
	return true
}

// deleteLimit is how many files may go within a burst.
func (e *Engine) deleteLimit() int { return e.shareOf(int(e.size.now())) }

// shareOf is how many of n may go without a question.
func (e *Engine) shareOf(n int) int { return deletes.Limit(e.cfg.MaxDeleteShare, n) }
