package identity

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/health"
)

// AwayError says that what is where the bucket should be is not the bucket that
// this disk's files are in. Nothing is written to it, and nothing that it lacks is
// taken for deleted.
type AwayError struct{ Reason string }

func (e *AwayError) Error() string { return "the bucket is away: " + e.Reason }

// Is implements errors.Is.
func (e *AwayError) Is(target error) bool { return target == health.ErrAway }

// identity says whether the bucket is the one that this disk knows.
type identity struct {
	looking sync.Mutex // held while somebody looks at the bucket
	raising sync.Mutex // held while raiseWrites runs

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

// admit decides about a directory that is about to be used as the bucket.
func (g *Guard) admit(fresh bool, read func(key string, limit int64) ([]byte, error)) error {
	if fresh {
		return g.judge(nil)
	}
	data, err := read(g.siteKey(), maxFile)
	if errors.Is(err, bucket.ErrNotFound) {
		return g.judge(nil)
	}
	if err != nil {
		return fmt.Errorf("reading the bucket's identity: %w", err)
	}
	return g.judge(data)
}

func (g *Guard) siteKey() string { return g.cfg.Prefix + ObjectName }

// judge decides by the identity that the bucket has (nil: none) whether it is the
// one that this disk knows.
func (g *Guard) judge(data []byte) error {
	g.identity.mu.Lock()
	defer g.identity.mu.Unlock()
	return g.judgeLocked(data)
}

// judgeSince is judge, unless there was a verdict since the one that the caller knew
// before it looked.
func (g *Guard) judgeSince(verdicts uint64, data []byte) (late bool, err error) {
	g.identity.mu.Lock()
	defer g.identity.mu.Unlock()
	if g.identity.verdicts != verdicts {
		return true, nil
	}
	return false, g.judgeLocked(data)
}

// judgeLocked is judge. The caller holds mu.
func (g *Guard) judgeLocked(data []byte) error {
	i := &g.identity
	g.loadIdentity()
	reason := ""
	var found File
	switch {
	case data == nil && i.known.id == "":
		return nil // a new one
	case data == nil:
		reason = "it has no identity any more (" + g.siteKey() + "): it was emptied, or a disk is not mounted"
	default:
		var err error
		if found, err = ParseFile(data); err != nil {
			reason = fmt.Sprintf("its identity (%s) cannot be read: %v", g.siteKey(), err)
		} else if i.known.id != "" && found.ID != i.known.id {
			reason = "it is another site's, or was replaced by a new one"
		}
	}
	if reason != "" {
		return g.goesAway(reason)
	}
	if i.known.id == "" {
		i.known = known{id: found.ID, era: found.Era}
	}
	g.isThere(found)
	return nil
}

// goesAway notes that the bucket is away. The caller holds mu.
func (g *Guard) goesAway(reason string) error {
	i := &g.identity
	was := i.away
	i.away = &AwayError{reason}
	i.verdicts++
	i.known.doubted = true
	if was == nil {
		g.cfg.Log().Error("the bucket is away: nothing is stored or deleted until it is back, and files wait on disk. "+
			"Mount or bring back what should be there; if the bucket was replaced on purpose, run `media-offload adopt`",
			keyBucket, g.cfg.Store.String(), "reason", reason)
	}
	return i.away
}

// isThere notes that the bucket is the right one. The caller holds mu.
func (g *Guard) isThere(found File) {
	i := &g.identity
	g.judgeRole(found, found.ID == i.knew)
	wasAway, wasOlder, wasPutBack := i.away != nil, i.older, i.putBack
	i.away, i.looked = nil, time.Now()
	i.verdicts++
	i.putBack = wasPutBack || found.Era != i.known.era || found.Writes < i.known.writes
	i.older = wasOlder || i.putBack || i.known.doubted
	i.era = found.Era
	g.seeWrites(found.Writes)
	if wasAway {
		g.cfg.Log().Info("the bucket is back; disk and bucket are compared", keyBucket, g.cfg.Store.String())
	}
	if i.putBack && !wasPutBack && i.known.era != adoptedEra && !g.IsGuest() {
		g.sayOlder()
	}
	if wasAway || i.older && !wasOlder || i.putBack && !wasPutBack {
		g.cfg.Node.Doubt()
	}
}

func (g *Guard) sayOlder() {
	g.cfg.Log().Warn("the bucket is in an older state than the one that this server knows: files that it lacks are stored again", keyBucket, g.cfg.Store.String())
}

// Away returns why the bucket is away, or nil.
func (g *Guard) Away() error {
	g.identity.mu.Lock()
	defer g.identity.mu.Unlock()
	return g.identity.away
}

// HasLooked reports whether it is known if the bucket is the right one.
func (g *Guard) HasLooked() bool {
	g.identity.mu.Lock()
	defer g.identity.mu.Unlock()
	return g.identity.away != nil || !g.identity.looked.IsZero()
}

// usable returns nil if the bucket is the right one, as far as is known; the first
// caller looks.
func (g *Guard) usable(ctx context.Context) error {
	i := &g.identity
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
	return g.lookAtIdentity(ctx)
}

// Check looks whether the bucket is the right one now.
func (g *Guard) Check(ctx context.Context) error {
	g.identity.looking.Lock()
	defer g.identity.looking.Unlock()
	return g.lookAtIdentity(ctx)
}

// lookAtIdentity reads the identity, and makes one where there may be a new one.
// The caller holds looking.
func (g *Guard) lookAtIdentity(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for range maxTurns {
		verdicts := g.verdictsNow()
		data, _, err := g.readSite(ctx)
		absent := errors.Is(err, bucket.ErrNotFound)
		if err != nil && !absent {
			return fmt.Errorf("looking at the bucket's identity: %w", err)
		}
		late, err := g.judgeSince(verdicts, data)
		switch {
		case late:
			continue
		case err != nil || !absent:
			return err
		}
		err = g.createSite(ctx)
		if err != nil && !errors.Is(err, bucket.ErrExists) {
			return fmt.Errorf("looking at the bucket's identity: %w", err)
		} // what stands there now counts
	}
	return errors.New("looking at the bucket's identity: it changes with each look")
}

func (g *Guard) verdictsNow() uint64 {
	g.identity.mu.Lock()
	defer g.identity.mu.Unlock()
	return g.identity.verdicts
}

func (g *Guard) readSite(ctx context.Context) (data []byte, etag string, err error) {
	o, err := g.cfg.Store.Get(ctx, g.siteKey(), bucket.GetOptions{AtMost: maxFile})
	if errors.Is(err, bucket.ErrTooLarge) {
		return []byte{}, "", nil // it names no site
	}
	if err != nil {
		return nil, "", err
	}
	defer o.Body.Close()
	data, err = io.ReadAll(io.LimitReader(o.Body, maxFile))
	return data, o.ETag, err
}

func (g *Guard) createSite(ctx context.Context) error {
	f := File{Version: fileVersion, ID: rand.Text(), Era: rand.Text()}
	f.add(g.membership.hosts())
	err := g.writeSite(ctx, f, bucket.PutOptions{IfNoneMatch: true})
	if errors.Is(err, bucket.ErrUnsupported) { // one node, then
		err = g.writeSite(ctx, f, bucket.PutOptions{})
	}
	if err == nil {
		g.prove("it made the bucket's identity")
	}
	return err
}

func (g *Guard) writeSite(ctx context.Context, f File, opts bucket.PutOptions) error {
	data, err := json.Marshal(f)
	if err != nil {
		return err
	}
	opts.ContentType = "application/json"
	_, err = g.cfg.Store.Put(ctx, g.siteKey(), bytes.NewReader(data), int64(len(data)), opts)
	return err
}

// awayEvery is how often a bucket that is away is looked for.
const awayEvery = time.Second

// Run looks at the bucket now and then, and notes what it finds, until ctx ends.
func (g *Guard) Run(ctx context.Context) {
	tick := time.NewTicker(min(awayEvery, g.cfg.Look))
	defer tick.Stop()
	refuses := false
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			g.note()
			return
		}
		g.identity.mu.Lock()
		due := g.identity.away != nil || (!g.identity.looked.IsZero() && time.Since(g.identity.looked) >= g.cfg.Look)
		g.identity.mu.Unlock()
		if due {
			if err := g.CheckState(ctx); err != nil && !errors.Is(err, health.ErrAway) {
				g.cfg.Log().Debug("looking at the bucket", keyError, err) // who needs the bucket meets it too
				g.cfg.Node.Meets(err)
			}
		}
		refuses = g.checkStore(ctx, refuses)
		g.NameHosts(ctx)
		g.note()
		g.compareAgain()
	}
}

// checkStore has the bucket tried where the store tells by itself that it takes no files,
// though nobody stores any. It reports whether that is still to be believed; before, that it
// was: a store that is wrong is tried no more than now and then.
func (g *Guard) checkStore(ctx context.Context, before bool) (refuses bool) {
	g.identity.mu.Lock()
	there := g.identity.away == nil && !g.identity.looked.IsZero()
	g.identity.mu.Unlock()
	if !there || g.cfg.Node.IsDown() {
		return false
	}
	err := g.cfg.Store.Check(ctx)
	refuses = err != nil && !errors.Is(err, health.ErrAway) && ctx.Err() == nil
	if refuses {
		g.cfg.Node.Refused(!before)
	}
	return refuses
}

// Adopt makes the bucket as it is now the one of this disk: it was replaced on
// purpose, or this node is a guest in it and should be a member. What it lacks is
// stored again.
func (g *Guard) Adopt(ctx context.Context) error {
	i := &g.identity
	i.looking.Lock()
	defer i.looking.Unlock()
	if g.IsGuest() && g.Away() == nil {
		return g.adoptAsGuest(ctx)
	}
	i.mu.Lock()
	g.loadIdentity()
	had := i.known
	i.known, i.away, i.looked = known{}, nil, time.Time{}
	i.mu.Unlock()
	err := g.lookAtIdentity(ctx)
	i.mu.Lock()
	defer i.mu.Unlock()
	if err != nil {
		i.known = had
		return fmt.Errorf("taking the bucket as it is: %w", err)
	}
	g.prove(adopted)
	if had.id == "" {
		return nil
	}
	i.known.era, i.older, i.putBack = adoptedEra, true, true // until all is stored
	g.recheck()
	g.cfg.Node.Doubt()
	return nil
}
