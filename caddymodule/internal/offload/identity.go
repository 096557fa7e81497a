package offload

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/health"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
)

// siteFile is the control object that names the site to which a bucket and prefix
// belong.
type siteFile struct {
	Version int `json:"v"`
	// ID is random, and never changes.
	ID string `json:"id"`
	// Era is random, and another one after the bucket was put back to an older
	// state: a node that knows the earlier one has files that the bucket lost.
	Era string `json:"era"`
	// Writes grows where there is no change log: see raiseWrites.
	Writes uint64 `json:"writes,omitempty"`
	siteHosts
}

const (
	siteName    = "site" // below the control prefix
	siteVersion = 1
	maxSiteFile = 2 << 20 // more than maxHosts can take
)

func parseSiteFile(data []byte) (siteFile, error) {
	var f siteFile
	if err := json.Unmarshal(data, &f); err != nil {
		return f, fmt.Errorf("no JSON of an identity: %w", err)
	}
	if f.Version != siteVersion {
		return f, fmt.Errorf("format version %d, this program knows %d", f.Version, siteVersion)
	}
	if !isToken(f.ID) || !isToken(f.Era) {
		return f, errors.New("it has no id")
	}
	f.check()
	return f, nil
}

// isToken reports whether s can be what rand.Text returned, so that it can stand
// in a note.
func isToken(s string) bool {
	return len(s) >= 16 && len(s) <= 64 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

// AwayError says that what is where the bucket should be is not the bucket that
// this disk's files are in. Nothing is written to it, and nothing that it lacks is
// taken for deleted.
type AwayError struct{ Reason string }

func (e *AwayError) Error() string { return "the bucket is away: " + e.Reason }

// Is implements errors.Is.
func (e *AwayError) Is(target error) bool { return target == health.ErrAway }

func isAway(err error) bool {
	_, ok := errors.AsType[*AwayError](err)
	return ok
}

// known is what this disk notes of its bucket.
type known struct {
	id, era  string // "" if it has none yet
	position uint64 // in the change log, that this node has come to
	writes   uint64 // of the identity: see raiseWrites
	// doubted: it was away, and has not been compared since, also by an earlier process.
	doubted bool
}

// identity says whether the bucket is the one that this disk knows.
type identity struct {
	looking sync.Mutex // held while somebody looks at the bucket

	mu     sync.Mutex
	loaded bool
	known  known
	knew   string    // the id that an earlier process has noted
	looked time.Time // when the bucket was found to be the right one; zero: not yet
	away   error     // why it is not
	// verdicts counts what was found of the bucket: a look that began before the last
	// one saw what may not be there any more.
	verdicts uint64
	// older: the bucket was away, or put back to an older state. Until all has been
	// compared, what it lacks is not taken for deleted, but stored again. rewound: its
	// change log is an older one, and the other nodes have been told.
	older, rewound bool
	// putBack: it is older not only because it was away: what it has may be older than
	// the files.
	putBack bool
	again   bool   // another comparison is due once the queue is empty
	era     string // the bucket's, when it was looked at
	noted   string // the note as it was written last
	counted uint64 // what was written until known.writes
	writes  uint64 // of the identity, when it was looked at
}

// adoptedEra stands for that of a bucket that was adopted, until it has all that is on
// disk: it differs from any, so that the next process goes on.
const adoptedEra = "AAAAAAAAAAAAAAAA"

// noteDoubted ends the note about a bucket that is doubted.
const noteDoubted = "doubted"

// noteOf and parseNote are what stands on a root.
func (e *Engine) noteOf(k known) string {
	note := fmt.Sprintf("1 %s %s %s %d", e.bucketID, k.id, k.era, k.position)
	if k.writes > 0 {
		note += fmt.Sprintf(" %d", k.writes)
	}
	if k.doubted {
		note += " " + noteDoubted
	}
	return note
}

func (e *Engine) parseNote(s string) (k known, ok bool) {
	s, k.doubted = strings.CutSuffix(s, " "+noteDoubted)
	f := strings.Split(s, " ")
	if len(f) == 5 {
		f = append(f, "0")
	}
	if len(f) != 6 || f[0] != "1" || f[1] != e.bucketID || !isToken(f[2]) || !isToken(f[3]) {
		return k, false
	}
	position, err1 := strconv.ParseUint(f[4], 10, 64)
	writes, err2 := strconv.ParseUint(f[5], 10, 64)
	k.id, k.era, k.position, k.writes = f[2], f[3], position, writes
	return k, err1 == nil && err2 == nil
}

// load reads the notes, once. The caller holds mu.
func (e *Engine) loadIdentity() {
	i := &e.identity
	if i.loaded {
		return
	}
	i.loaded = true
	for _, t := range e.trees {
		if k, ok := e.parseNote(t.DirNote("", local.AttrBucket)); ok && (i.known.id == "" || k.position > i.known.position || k.writes > i.known.writes) {
			i.known = k
		}
	}
	i.knew = i.known.id
}

// noteBucket keeps the notes on the roots up to date.
func (e *Engine) noteBucket() {
	i := &e.identity
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.known.id == "" {
		return
	}
	if position, ok := e.positionNow(); ok && !i.older && i.away == nil {
		i.known.position = max(i.known.position, position)
	}
	note := e.noteOf(i.known)
	for _, t := range e.trees {
		if i.noted == note && t.DirNote("", local.AttrBucket) == note {
			continue
		}
		if err := t.SetDirNote("", local.AttrBucket, note); err != nil {
			e.log().Debug("noting which bucket the files are in", keyDir, t.Dir(), keyError, err)
		}
	}
	i.noted = note
}

// positionNow is up to which entry of the change log all has come to this disk; not
// ok while some has not, or may not have been told of.
func (e *Engine) positionNow() (position uint64, ok bool) {
	if !e.shared() {
		return 0, false
	}
	position = e.team.log.Stats().Position
	return position, e.queue.HeardLen() == 0 && e.recon.isSettled()
}

// positionBefore is the position of an earlier process of this node, from which on
// the change log tells what others did meanwhile; 0 if it had none, or the bucket was put
// back, so that its log may be another one. behind: if the log does not go on from there,
// that is because this node was away for long, or ended before its place was noted.
func (e *Engine) positionBefore() (position uint64, behind bool) {
	i := &e.identity
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.putBack {
		return 0, false
	}
	return i.known.position, i.knew != ""
}

// admit decides about a directory that is about to be used as the bucket.
func (e *Engine) admit(fresh bool, read func(key string, limit int64) ([]byte, error)) error {
	if fresh {
		return e.judge(nil)
	}
	data, err := read(e.siteKey(), maxSiteFile)
	if errors.Is(err, bucket.ErrNotFound) {
		return e.judge(nil)
	}
	if err != nil {
		return fmt.Errorf("reading the bucket's identity: %w", err)
	}
	return e.judge(data)
}

func (e *Engine) siteKey() string { return e.cfg.ControlPrefix + siteName }

// judge decides by the identity that the bucket has (nil: none) whether it is the
// one that this disk knows.
func (e *Engine) judge(data []byte) error {
	e.identity.mu.Lock()
	defer e.identity.mu.Unlock()
	return e.judgeLocked(data)
}

// judgeSince is judge, unless there was a verdict since the one that the caller knew
// before it looked.
func (e *Engine) judgeSince(verdicts uint64, data []byte) (late bool, err error) {
	e.identity.mu.Lock()
	defer e.identity.mu.Unlock()
	if e.identity.verdicts != verdicts {
		return true, nil
	}
	return false, e.judgeLocked(data)
}

// judgeLocked is judge. The caller holds mu.
func (e *Engine) judgeLocked(data []byte) error {
	i := &e.identity
	e.loadIdentity()
	reason := ""
	var found siteFile
	switch {
	case data == nil && i.known.id == "":
		return nil // a new one
	case data == nil:
		reason = "it has no identity any more (" + e.siteKey() + "): it was emptied, or a disk is not mounted"
	default:
		var err error
		if found, err = parseSiteFile(data); err != nil {
			reason = fmt.Sprintf("its identity (%s) cannot be read: %v", e.siteKey(), err)
		} else if i.known.id != "" && found.ID != i.known.id {
			reason = "it is another site's, or was replaced by a new one"
		}
	}
	if reason != "" {
		return e.isAway(reason)
	}
	if i.known.id == "" {
		i.known = known{id: found.ID, era: found.Era}
	}
	e.isThere(found)
	return nil
}

// isAway notes that the bucket is away. The caller holds mu.
func (e *Engine) isAway(reason string) error {
	i := &e.identity
	was := i.away
	i.away = &AwayError{reason}
	i.verdicts++
	i.known.doubted = true
	if was == nil {
		e.log().Error("the bucket is away: nothing is stored or deleted until it is back, and files wait on disk. "+
			"Mount or bring back what should be there; if the bucket was replaced on purpose, run `media-offload adopt`",
			keyBucket, e.store.String(), "reason", reason)
	}
	return i.away
}

// isThere notes that the bucket is the right one. The caller holds mu.
func (e *Engine) isThere(found siteFile) {
	i := &e.identity
	e.judgeRole(found, found.ID == i.knew)
	wasAway, wasOlder, wasPutBack := i.away != nil, i.older, i.putBack
	i.away, i.looked = nil, time.Now()
	i.verdicts++
	i.putBack = wasPutBack || found.Era != i.known.era || found.Writes < i.known.writes
	i.older = wasOlder || i.putBack || i.known.doubted
	i.era = found.Era
	i.seeWrites(&e.recon, found.Writes)
	if wasAway {
		e.log().Info("the bucket is back; disk and bucket are compared", keyBucket, e.store.String())
	}
	if i.putBack && !wasPutBack && i.known.era != adoptedEra && !e.isGuest() {
		e.sayOlder()
	}
	if wasAway || i.older && !wasOlder || i.putBack && !wasPutBack {
		e.doubt()
	}
}

// doubt has all compared with the bucket, and what is being worked on looked at
// once more, which the comparison leaves to those who do.
func (e *Engine) doubt() {
	e.queue.DoubtRunning()
	e.recon.want(everything, window{})
}

func (e *Engine) sayOlder() {
	e.log().Warn("the bucket is in an older state than the one that this server knows: files that it lacks are stored again", keyBucket, e.store.String())
}

// awayReason returns why the bucket is away, or nil.
func (e *Engine) awayReason() error {
	e.identity.mu.Lock()
	defer e.identity.mu.Unlock()
	return e.identity.away
}

// usable returns nil if the bucket is the right one, as far as is known; the first
// caller looks.
func (e *Engine) usable(ctx context.Context) error {
	i := &e.identity
	i.mu.Lock()
	away, looked := i.away, !i.looked.IsZero()
	i.mu.Unlock()
	if away != nil || looked {
		return away
	}
	i.looking.Lock()
	defer i.looking.Unlock()
	i.mu.Lock()
	away, looked = i.away, !i.looked.IsZero()
	i.mu.Unlock()
	if away != nil || looked {
		return away
	}
	return e.lookAtIdentity(ctx)
}

// checkIdentity looks whether the bucket is the right one now.
func (e *Engine) checkIdentity(ctx context.Context) error {
	e.identity.looking.Lock()
	defer e.identity.looking.Unlock()
	return e.lookAtIdentity(ctx)
}

// lookAtIdentity reads the identity, and makes one where there may be a new one.
// The caller holds looking.
func (e *Engine) lookAtIdentity(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for range maxTurns {
		verdicts := e.verdictsNow()
		data, _, err := e.readSite(ctx)
		absent := errors.Is(err, bucket.ErrNotFound)
		if err != nil && !absent {
			return fmt.Errorf("looking at the bucket's identity: %w", err)
		}
		late, err := e.judgeSince(verdicts, data)
		switch {
		case late:
			continue
		case err != nil || !absent:
			return err
		}
		err = e.createSite(ctx)
		if err != nil && !errors.Is(err, bucket.ErrExists) {
			return fmt.Errorf("looking at the bucket's identity: %w", err)
		} // what stands there now counts
	}
	return errors.New("looking at the bucket's identity: it changes with each look")
}

func (e *Engine) verdictsNow() uint64 {
	e.identity.mu.Lock()
	defer e.identity.mu.Unlock()
	return e.identity.verdicts
}

func (e *Engine) readSite(ctx context.Context) (data []byte, etag string, err error) {
	o, err := e.cfg.Store.Get(ctx, e.siteKey(), bucket.GetOptions{AtMost: maxSiteFile})
	if errors.Is(err, bucket.ErrTooLarge) {
		return []byte{}, "", nil // it names no site
	}
	if err != nil {
		return nil, "", err
	}
	defer o.Body.Close()
	data, err = io.ReadAll(io.LimitReader(o.Body, maxSiteFile))
	return data, o.ETag, err
}

func (e *Engine) createSite(ctx context.Context) error {
	f := siteFile{Version: siteVersion, ID: rand.Text(), Era: rand.Text()}
	f.add(e.membership.hosts())
	err := e.writeSite(ctx, f, bucket.PutOptions{IfNoneMatch: true})
	if errors.Is(err, bucket.ErrUnsupported) { // one node, then
		err = e.writeSite(ctx, f, bucket.PutOptions{})
	}
	if err == nil {
		e.prove("it made the bucket's identity")
	}
	return err
}

func (e *Engine) writeSite(ctx context.Context, f siteFile, opts bucket.PutOptions) error {
	data, err := json.Marshal(f)
	if err != nil {
		return err
	}
	opts.ContentType = "application/json"
	_, err = e.cfg.Store.Put(ctx, e.siteKey(), bytes.NewReader(data), int64(len(data)), opts)
	return err
}

// awayEvery is how often a bucket that is away is looked for.
const awayEvery = time.Second

// identityLoop looks at the identity now and then, and notes what it finds.
func (e *Engine) identityLoop() {
	tick := time.NewTicker(min(awayEvery, e.cfg.Look))
	defer tick.Stop()
	refuses := false
	for {
		select {
		case <-tick.C:
		case <-e.life.Done():
			e.noteBucket()
			return
		}
		e.identity.mu.Lock()
		due := e.identity.away != nil || (!e.identity.looked.IsZero() && time.Since(e.identity.looked) >= e.cfg.Look)
		e.identity.mu.Unlock()
		if due {
			if err := e.checkState(e.life); err != nil && !isAway(err) {
				e.log().Debug("looking at the bucket", keyError, err) // who needs the bucket meets it too
				e.readsFail(media.Public, err)
			}
		}
		refuses = e.checkStore(refuses)
		e.nameHosts(e.life)
		e.noteBucket()
		e.compareAgain()
	}
}

// checkStore has the bucket tried where the store tells by itself that it takes no files,
// though nobody stores any. It reports whether that is still to be believed; before, that it
// was: a store that is wrong is tried no more than now and then.
func (e *Engine) checkStore(before bool) (refuses bool) {
	e.identity.mu.Lock()
	there := e.identity.away == nil && !e.identity.looked.IsZero()
	e.identity.mu.Unlock()
	if !there || e.health.IsDown() {
		return false
	}
	err := e.cfg.Store.Check(e.life)
	refuses = err != nil && !isAway(err) && e.life.Err() == nil
	if refuses {
		e.health.Doubt(media.Public, 0, !before)
	}
	return refuses
}

// compareAgain asks for the next comparison with an older state when what the last
// one found has been stored: only one that finds nothing ends it, since a kill
// forgets the queue.
func (e *Engine) compareAgain() {
	e.identity.mu.Lock()
	due := e.identity.again && e.queue.BackgroundLen() == 0
	if due {
		e.identity.again = false
	}
	e.identity.mu.Unlock()
	if due {
		e.recon.want(everything, window{})
	}
}

// compared notes the end of a comparison with an older state that found lost files.
func (e *Engine) compared(ctx context.Context, lost int) error {
	if lost == 0 {
		return e.caughtUp(ctx)
	}
	e.identity.mu.Lock()
	defer e.identity.mu.Unlock()
	e.identity.again = true
	return nil
}

// checkState looks whether the bucket is the right one, and not an older state of
// it.
func (e *Engine) checkState(ctx context.Context) error {
	if err := e.checkIdentity(ctx); err != nil {
		return err
	}
	if e.onlyNode() {
		return e.raiseWrites(ctx)
	}
	if !e.shared() {
		return nil // not known yet
	}
	i := &e.identity
	i.mu.Lock()
	position, told := max(i.known.position, e.team.log.Stats().Position), i.rewound
	i.mu.Unlock()
	if told {
		return nil
	}
	goesOn, err := e.team.log.Continues(ctx, position)
	if err != nil || goesOn {
		return err
	}
	return e.foundOlder(ctx)
}

// foundOlder notes that the bucket is in an older state, and lets the other nodes
// know.
func (e *Engine) foundOlder(ctx context.Context) error {
	i := &e.identity
	i.mu.Lock()
	i.older, i.rewound, i.putBack = true, true, true
	era := i.era
	i.mu.Unlock()
	e.sayOlder()
	if err := e.beginEra(ctx, era); err != nil {
		e.log().Warn("other servers could not be told that the bucket is in an older state", keyError, err)
	}
	e.team.log.Recheck()
	e.doubt()
	return nil
}

// beginEra replaces an era, unless another node did.
func (e *Engine) beginEra(ctx context.Context, old string) error {
	return e.changeSite(ctx, func(f *siteFile) bool {
		if f.Era != old {
			return false
		}
		f.Era = rand.Text()
		return true
	})
}

// isOlder reports whether the bucket is in an older state, of which nothing that
// it lacks is taken for deleted.
func (e *Engine) isOlder() bool {
	e.identity.mu.Lock()
	defer e.identity.mu.Unlock()
	return e.identity.older
}

// olderCause is why what disk and bucket differ in is looked at; ok is false if the
// bucket is as this disk knows it.
func (e *Engine) olderCause() (why verdict.Cause, ok bool) {
	e.identity.mu.Lock()
	defer e.identity.mu.Unlock()
	if e.identity.putBack {
		return verdict.BucketOlder, true
	}
	return verdict.BucketBack, e.identity.older
}

// caughtUp notes that all was compared with the older state.
func (e *Engine) caughtUp(ctx context.Context) error {
	data, _, err := e.readSite(ctx)
	if err != nil {
		return fmt.Errorf("looking at the bucket's identity: %w", err)
	}
	f, err := parseSiteFile(data)
	if err != nil {
		return fmt.Errorf("reading the bucket's identity: %w", err)
	}
	i := &e.identity
	i.mu.Lock()
	defer i.mu.Unlock()
	if f.ID == i.known.id {
		i.older, i.rewound, i.putBack, i.known.doubted = false, false, false, false
		i.known.era, i.known.position, i.known.writes = f.Era, e.logStats().Position, f.Writes
	}
	return nil
}

// Adopt makes the bucket as it is now the one of this disk: it was replaced on
// purpose, or this node is a guest in it and should be a member. What it lacks is
// stored again.
func (e *Engine) Adopt(ctx context.Context) error {
	i := &e.identity
	i.looking.Lock()
	defer i.looking.Unlock()
	if e.isGuest() && e.awayReason() == nil {
		return e.adoptAsGuest(ctx)
	}
	i.mu.Lock()
	e.loadIdentity()
	had := i.known
	i.known, i.away, i.looked = known{}, nil, time.Time{}
	i.mu.Unlock()
	err := e.lookAtIdentity(ctx)
	i.mu.Lock()
	defer i.mu.Unlock()
	if err != nil {
		i.known = had
		return fmt.Errorf("taking the bucket as it is: %w", err)
	}
	e.prove(adopted)
	if had.id == "" {
		return nil
	}
	i.known.era, i.older, i.putBack = adoptedEra, true, true // until all is stored
	if e.shared() {
		e.team.log.Recheck()
	}
	e.doubt()
	return nil
}
