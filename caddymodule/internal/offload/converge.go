package offload

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// maxTurns is how often one piece of work looks at a key whose object changes
// under it.
const maxTurns = 4

// largePut is the size in bytes from which on stores take an object in parts,
// and some then ignore conditions. The object is looked at before and after
// instead; between the two only the name's lease keeps others away.
const largePut = 16 << 20

// sight is what is seen of one key.
type sight struct {
	file    verdict.FileState
	f       *os.File // nil if there is none
	info    fs.FileInfo
	class   media.Class
	kept    bool          // as of standing
	rule    media.Class   // the class by the rules alone
	own     bool          // this disk's rules had it stored under another class
	base    string        // ETag of the version that this disk held last; "" unknown
	unheld  bool          // it held none
	doubt   bool          // the base has to be confirmed by a look
	asGuest bool          // this disk held no version, and has no say over others: see joining
	content string        // MD5 in hex, once asked for
	torn    bool          // it may be what a power cut left
	rest    bool          // all that is left of it is in the object
	over    string        // the version that was replaced by storing the file
	found   index.Finding // of the content that was stored

	object verdict.ObjectState
	stored bucket.Info // the object, if one was seen
	under  media.Class // its class
}

func (x *sight) close() {
	if x.f != nil {
		_ = x.f.Close() // only read
	}
}

// entry is what the index and the mark say once the object with this ETag is
// the file's.
func (x *sight) entry(etag string) index.Entry {
	now := index.EntryOf(index.Standing{Class: x.class, Kept: x.kept}, x.info, etag)
	now.Found = x.found
	return now
}

// converge makes disk and bucket agree on one key.
func (e *Engine) converge(s *work.Task) outcome {
	look := s.Elsewhere
	for range maxTurns {
		if o := e.convergeOnce(s, look); o.how != changed {
			return o
		}
		look = true
	}
	return lookAgainAtBoth(work.Rest)
}

// convergeOnce does what the present state asks for; changed: that state was found to
// be another one meanwhile.
func (e *Engine) convergeOnce(s *work.Task, look bool) outcome {
	x, err := e.seeFile(s)
	if err != nil {
		return outcome{how: unreadable, err: err}
	}
	defer x.close()
	switch {
	case x.file == verdict.NoFile && (!s.Elsewhere || !e.shared()):
		return foundGone()
	case x.class == media.Ignored:
		return e.forget(s)
	}
	if x.info != nil {
		e.reachLinks(s, x.info)
	}
	// What has become private leaves the public folder first; the file itself is
	// on disk, so nothing can be lost in between.
	if x.file != verdict.NoFile && x.rule == media.Private {
		if err := e.removeMisplaced(s, index.Standing{Class: x.rule}); err != nil {
			return failed(err)
		}
	}
	if s.Why == verdict.PutElsewhere && s.Version != "" && x.file == verdict.CleanFile && x.base == s.Version && x.class == s.Under && !s.Unannounced {
		return e.committed(s, x.entry(x.base), x.f) // this very version is here
	}
	if look || x.doubt || e.looksFirst(s, x) {
		switch err := e.seeObject(s, x); {
		case errors.Is(err, bucket.ErrNotFound), errors.Is(err, bucket.ErrChanged):
			return outcome{how: changed}
		case err != nil:
			return failed(err)
		}
	}
	if x.file == verdict.NoFile && (e.index.Holds(s.Key, x.stored.ETag) || storedBy(s, x.stored)) {
		// It went from this very disk: is it this node's app that deleted it?
		file, dir := e.seesDelete(s)
		switch {
		case file:
			return foundGone()
		case dir:
			return lookAgainAtBoth(keptFor) // once that is dealt with
		}
	}
	return e.carryOut(verdict.Of(x.file, x.object, e.causeOf(s, x), !e.shared() && !x.asGuest), s, x)
}

// carryOut does what a verdict says.
func (e *Engine) carryOut(v verdict.Verdict, s *work.Task, x *sight) outcome {
	switch v {
	case verdict.Agreed:
		return e.agree(s, x)
	case verdict.Adopt:
		return e.confirm(s, x, x.stored.ETag, s.Untold() || e.isOwn(x.stored))
	case verdict.PutAny:
		return e.put(s, x, condition{})
	case verdict.PutNew:
		return e.put(s, x, condition{create: e.shared(), returned: e.shared() && x.isReturned(s.Why)})
	case verdict.PutOver:
		return e.put(s, x, condition{over: x.base})
	case verdict.PutKeeping:
		return e.putKeeping(s, x)
	case verdict.PutOverStrangers:
		return e.putOverStrangers(s, x)
	case verdict.Fetch:
		if !e.isRootThere(s.Root) {
			return e.leaveInBucket(s, x) // it is fetched when the root is back
		}
		if s.Version == "" && x.file == verdict.NoFile && e.withheld.Covers(s.Key, x.stored.Stored) {
			return e.leaveInBucket(s, x)
		}
		return e.bring(s, x, s.Untold())
	case verdict.Mend:
		return e.mend(s, x)
	case verdict.FetchKeeping:
		return e.bringKeeping(s, x)
	case verdict.RemoveFile:
		return e.removeLocal(s, x)
	case verdict.RemoveKeeping:
		return e.removeKeeping(s, x)
	}
	return e.keepBoth(s, x)
}

// putKeeping stores the file over the object that was seen, whose content is kept
// aside first: nothing but its writer says that it was on this disk.
func (e *Engine) putKeeping(s *work.Task, x *sight) outcome {
	aside, err := e.copyAside(s.Key, x.under, x.stored)
	switch {
	case errors.Is(err, bucket.ErrNotFound), errors.Is(err, bucket.ErrChanged):
		return outcome{how: changed}
	case err != nil:
		return failed(fmt.Errorf("keeping what was stored as %s: %w", s.Key, err))
	}
	o := e.put(s, x, condition{over: x.stored.ETag, returned: x.isReturned(s.Why)})
	if o.how == done {
		e.keptAside(s, x, aside)
	}
	return o
}

// isReturned reports whether storing the file puts back what the bucket has lost, which
// need not be what another node has.
func (x *sight) isReturned(why verdict.Cause) bool {
	return x.file == verdict.CleanFile && why.MayBeLost()
}

// leaveInBucket leaves the object where it is, and the disk without a file of it.
func (e *Engine) leaveInBucket(s *work.Task, x *sight) outcome {
	st := e.classes.UnderPlace(s.Key, x.rule, x.under)
	e.know(s, index.Entry{State: index.BucketOnly, Class: st.Class, Kept: st.Kept, Size: x.stored.Size, ETag: x.stored.ETag})
	return outcome{}
}

// know sets what is known of an item's key.
func (e *Engine) know(s *work.Task, x index.Entry) {
	e.queue.Note(s, func(bool) { e.index.Set(s.Key, x) })
}

// looksFirst reports whether the object is to be looked at although nothing is in
// doubt. Who writes alone needs it only for what a comparison found: that has seen the
// listing. Where others write too, the condition of a Put tells of what they stored,
// but for one that failed before and for a large file.
func (e *Engine) looksFirst(s *work.Task, x *sight) bool {
	if !e.shared() {
		return s.From == work.Comparison || x.asGuest || x.torn
	}
	return s.Attempts > 0 || s.From == work.Comparison && x.file == verdict.CleanFile || x.info != nil && x.info.Size() > largePut
}

// keptAside notes that the file keeps its name, and what the bucket had is kept aside.
func (e *Engine) keptAside(s *work.Task, x *sight, aside string) {
	if x.file != verdict.CleanFile { // the app replaced what had been here
		e.log().Info("what was replaced is kept aside", keyKey, s.Key, "kept_as", aside)
		return
	}
	e.count.conflicts.Add(1)
	e.log().Warn("the bucket came back with another version of a file than this server has; the server's keeps the name, the other content is kept aside",
		keyKey, s.Key, "kept_as", aside)
}

// causeOf tells a change of the app's from a look that only found the file
// there.
func (e *Engine) causeOf(s *work.Task, x *sight) verdict.Cause {
	if s.Why != verdict.OwnChange || x.info == nil || !e.logged() {
		return s.Why
	}
	if s.From == work.Comparison || !s.Wrote || (!s.Elsewhere && e.isPlaced(s.Key, x.info)) {
		return verdict.OwnLook
	}
	return verdict.OwnChange
}

// seeFile looks at the disk.
func (e *Engine) seeFile(s *work.Task) (*sight, error) {
	st := e.classes.Of(s.Key)
	x := &sight{class: st.Class, kept: st.Kept, rule: st.Class}
	if st.Kept {
		x.rule = media.Public
	}
	f, err := e.trees[s.Root].Open(s.Rel)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, local.ErrNotRegular):
		return x, nil
	case err != nil:
		return nil, err
	}
	if x.info, err = f.Stat(); err != nil {
		_ = f.Close()
		return nil, err
	}
	x.f = f
	known, ok := e.index.Get(s.Key)
	x.unheld = ok && known.Unheld
	mark, marked := local.ReadMark(f)
	marked = marked && mark.Binding == e.marks.Binding(s.Key)
	held := e.index.HoldsAny(s.Key)
	x.file, x.torn = verdict.StrangeFile, e.mayBeTorn(s)
	switch {
	case ok && known.Based():
		e.compareFile(s, x, known)
	case marked && (!held || e.index.Holds(s.Key, mark.ETag)):
		e.compareFile(s, x, index.Entry{Class: index.ClassOf(mark.Class), Kept: mark.Class == index.LetterKept, Size: mark.Size, ModTime: mark.ModTime, ETag: mark.ETag})
		if x.torn && x.file == verdict.ChangedFile && isTorn(mark, x.info) {
			x.file = verdict.TornFile
		}
		x.doubt = x.file == verdict.TornFile || x.file == verdict.CleanFile && !held
	case held:
		x.file, x.doubt = verdict.ChangedFile, true // a look will tell whether it is the base that is there
	}
	if x.asGuest = e.joining.asGuest(s); x.asGuest && x.file == verdict.ChangedFile {
		x.file, x.base, x.doubt = verdict.StrangeFile, "", false
	}
	return x, nil
}

// compareFile finds out whether the file is the version that base describes.
func (e *Engine) compareFile(s *work.Task, x *sight, base index.Entry) {
	if base.Class != x.class {
		x.own = !base.Kept
		return // its object has another name: for the present one it is strange
	}
	x.base, x.file = base.ETag, verdict.ChangedFile
	if base.Size != x.info.Size() {
		return
	}
	sameTime := base.ModTime == x.info.ModTime().UnixNano()
	if sameTime && (!s.Wrote || s.From == work.Comparison || e.isPlaced(s.Key, x.info)) {
		x.file = verdict.CleanFile
		return
	}
	want := bucket.Info{ETag: base.ETag}.ContentMD5()
	if want == "" {
		x.doubt = true // its object tells the checksum
		return
	}
	if sum, err := x.md5(); err == nil && sum == want {
		x.file = verdict.CleanFile
	}
}

// seeObject looks at the bucket.
func (e *Engine) seeObject(s *work.Task, x *sight) error {
	first := x.class
	if known, ok := e.index.Get(s.Key); ok && known.Object() && x.file == verdict.NoFile {
		first = known.Class
	}
	info, class, err := e.lookUp(s, x, first)
	if errors.Is(err, bucket.ErrNotFound) {
		x.object = verdict.NoObject
		return nil
	}
	if err != nil {
		return err
	}
	x.stored, x.under, x.object = info, class, verdict.OtherObject
	if x.file != verdict.NoFile && class != x.class && x.rule == media.Public && !x.own && !e.site.SaidPublic(s.Key) {
		e.follow(s, x)
	}
	switch {
	case x.file == verdict.NoFile:
	case class != x.class:
		x.object = verdict.NoObject // it is elsewhere what it is not by the rules of this disk
	case x.file != verdict.StrangeFile && (info.ETag == x.base || x.base == "" && e.index.Holds(s.Key, info.ETag)):
		x.object, x.base = verdict.BaseObject, info.ETag
		if x.file == verdict.ChangedFile && x.hasContent(info) {
			x.object = verdict.SameObject
		}
	case x.hasContent(info):
		x.object = verdict.SameObject
	case !x.unheld && !x.asGuest && e.wasHere(info) && (x.file != verdict.CleanFile):
		x.object = verdict.HeldObject
	}
	if x.object == verdict.OtherObject && x.file == verdict.CleanFile && s.Wrote && s.From != work.Comparison && !s.Elsewhere {
		// The app has just put an old version there, with its mark.
		x.file = verdict.StrangeFile
		if e.wasHere(info) {
			x.object = verdict.HeldObject
		}
	}
	isBased := x.file == verdict.CleanFile || x.file == verdict.ChangedFile && s.Wrote && s.From != work.Comparison
	if x.object == verdict.OtherObject && isBased && !tells(s, info) {
		x.object = verdict.UntoldObject
	}
	if x.object == verdict.UntoldObject && x.file == verdict.CleanFile && wasReturned(info) {
		x.object = verdict.ReturnedObject
	}
	if x.torn && x.object != verdict.NoObject && x.object != verdict.SameObject {
		return e.seeTorn(s, x)
	}
	return nil
}

// lookUp finds the object of an item's key. Who writes alone has it only under the
// file's class, and believes the listing in which a comparison has just seen it, or not.
func (e *Engine) lookUp(s *work.Task, x *sight, first media.Class) (bucket.Info, media.Class, error) {
	switch {
	case e.shared():
		return e.headAny(s.Key, first, x.file == verdict.NoFile || s.Elsewhere || s.From == work.Comparison)
	case s.From == work.Comparison && s.Listed == nil:
		return bucket.Info{}, x.class, bucket.ErrNotFound
	case s.From == work.Comparison && s.Listed.ContentMD5() != "" && !(x.torn && x.lacksContent(s.Listed.Size)):
		return *s.Listed, x.class, nil
	}
	info, err := e.head(s.Key, x.class)
	return info, x.class, err
}

// headAny looks for the object of a key, under the other class too if any is.
func (e *Engine) headAny(key string, first media.Class, anyClass bool) (bucket.Info, media.Class, error) {
	other := media.Private
	if first == media.Private {
		other = media.Public
	}
	classes := []media.Class{first, other}
	if first == media.Ignored {
		classes = []media.Class{media.Public, media.Private}
	}
	if !anyClass {
		classes = classes[:1]
	}
	for _, class := range classes {
		info, err := e.head(key, class)
		if errors.Is(err, bucket.ErrNotFound) {
			continue
		}
		return info, class, err
	}
	return bucket.Info{}, first, bucket.ErrNotFound
}

// isOwn reports whether an object was stored from this disk.
func (e *Engine) isOwn(info bucket.Info) bool { return info.Meta[metaNode] == e.team.self() }

// wasHere reports whether a version of an object was certainly on this disk,
// although memory does not know of it any more: it was stored from here, or
// long before this disk was filled from the bucket.
func (e *Engine) wasHere(info bucket.Info) bool {
	return e.isOwn(info) || (!info.Stored.IsZero() && info.Stored.Before(e.began.Add(-clockSlack)) && e.filled())
}

// hasContent reports whether an object has the file's content.
func (x *sight) hasContent(info bucket.Info) bool {
	if x.f == nil || info.Size != x.info.Size() || info.ContentMD5() == "" {
		return false
	}
	sum, err := x.md5()
	return err == nil && sum == info.ContentMD5()
}

func (x *sight) md5() (string, error) {
	if x.content != "" {
		return x.content, nil
	}
	sum, err := md5Of(x.f, x.info.Size())
	if err == nil {
		x.content = sum
	}
	return sum, err
}

// agree notes that nothing is to be done.
func (e *Engine) agree(s *work.Task, x *sight) outcome {
	switch {
	case x.file != verdict.NoFile && x.object != verdict.NoObject:
		return e.confirm(s, x, x.base, s.Unannounced)
	case x.file != verdict.NoFile:
		e.know(s, index.Entry{State: index.Removed})
		return outcome{}
	case s.Unannounced:
		if err := e.announce([]changelog.Change{{Op: changelog.Delete, Key: s.Key}}, s); err != nil {
			return failed(err)
		}
	}
	return e.forget(s)
}

// follow makes a file what its object is, of which the other nodes have moved the
// place: no rule of this disk speaks against it.
func (e *Engine) follow(s *work.Task, x *sight) {
	st := e.classes.UnderPlace(s.Key, x.rule, x.under)
	x.class, x.kept = st.Class, st.Kept
	e.queue.Lock()
	defer e.queue.Unlock()
	if known, ok := e.index.Peek(s.Key); ok {
		known.Class, known.Kept = st.Class, st.Kept
		e.index.Set(s.Key, known)
	} else if x.base != "" {
		e.index.Set(s.Key, index.Entry{State: index.Dirty, Class: st.Class, Kept: st.Kept, Size: x.info.Size(), ETag: x.base})
	}
}
