package offload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dustin/go-humanize/english"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/lease"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// leaser is the one whose claims count.
func (e *Engine) leaser() *lease.Leaser {
	if !e.claimsOfAll() {
		return e.team.own
	}
	return e.team.leases
}

// claimsOfAll reports whether names are claimed among all nodes, not only among this
// node's own requests.
func (e *Engine) claimsOfAll() bool {
	return e.team.leases != nil && !e.onlyNode() && !e.guard.IsGuest()
}

// otherNodes are those of the site, as a request sees them: see naming.Others.
type otherNodes struct{ e *Engine }

// Several implements naming.Others.
func (o otherNodes) Several() bool { return o.e.shared() }

// During implements naming.Others.
func (o otherNodes) During(ctx context.Context) (context.Context, func()) {
	return o.e.reach.During(ctx)
}

// CatchUp implements naming.Others.
func (o otherNodes) CatchUp(ctx context.Context) error { return o.e.team.log.CatchUp(ctx) }

// Bring implements naming.Others.
func (o otherNodes) Bring(ctx context.Context, stems []string, resembles func(key string) bool) error {
	e := o.e
	if err := o.fetchMissing(ctx, stems, resembles); err != nil {
		return err
	}
	w := &work.Wait{Done: make(chan struct{})}
	if items := e.queue.CollectHeard(w, resembles, time.Now()); len(items) > 0 {
		if err := o.await(ctx, w, items); err != nil {
			return err
		}
	}
	return o.watchFetched(ctx)
}

// await waits for items that w waits for.
func (o otherNodes) await(ctx context.Context, w *work.Wait, items []*work.Item) error {
	var cause error
	select {
	case <-w.Done:
		cause = w.Err
		if cause == nil {
			return nil
		}
	case <-ctx.Done():
		cause = ctx.Err()
	case <-o.e.life.Done():
		cause = errStopping
	}
	keys, last := o.e.queue.Abandon(w, items)
	if len(keys) == 0 {
		return nil
	}
	return fmt.Errorf("fetching what other nodes wrote (%s, first %s): %w", english.Plural(len(keys), "file", ""), keys[0], cmp.Or(last, cause))
}

// watchFetched returns when the directories of all files that were fetched until
// now are watched: the app may delete them at once, and a file that went before
// its directory was watched is not missed by anyone.
func (o otherNodes) watchFetched(ctx context.Context) error {
	e := o.e
	fetched := e.count.fetched.Load()
	if e.watched.Load() >= fetched {
		return nil
	}
	if err := e.barrier(ctx); err != nil {
		return fmt.Errorf("looking at what was fetched: %w", err)
	}
	e.watched.Store(fetched)
	return nil
}

// AllKnown implements naming.Others. It waits until the names of all media are known,
// unless the bucket is known not to answer. That it does not take some file is no reason:
// as long as the change log and the leases work the names are right, and the next file may
// be taken.
func (o otherNodes) AllKnown(ctx context.Context) error {
	e := o.e
	for !e.guard.IsGuest() {
		known, moved := e.team.known.All()
		if known && (e.onlyNode() || (e.reach.Trouble() == nil && e.guard.Away() == nil)) {
			return nil
		}
		if err := e.uploadTrouble(); err != nil {
			return fmt.Errorf("waiting for the bucket: %w", err)
		}
		if known {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the list of all media: %w", ctx.Err())
		case <-e.life.Done():
			return errStopping
		}
	}
	return nil
}

var errStopping = errors.New("stopping")

// Ready tells a load balancer whether this node answers reads, and whether
// uploads: those have to wait until the bucket is known to be the right one, and the
// names of all media are known. reason says what is missing; "" if nothing is.
func (e *Engine) Ready() (reads, uploads bool, reason string) {
	if e.stopped() {
		return false, false, "it is stopping"
	}
	if e.guard.IsGuest() { // its uploads wait for nobody
		return true, true, ""
	}
	known, _ := e.team.known.All()
	if err := e.uploadTrouble(); err != nil {
		return true, false, err.Error()
	}
	if !e.guard.HasLooked() {
		return true, false, "the bucket has not been looked at yet"
	}
	if !known {
		return true, false, "the list of all media is not complete yet"
	}
	if e.shared() {
		if behind := e.team.log.Stats().Behind; behind > unread {
			return true, false, fmt.Sprintf("the change log has not been read for %s", behind.Round(time.Second))
		}
	}
	return true, true, ""
}

// unread is how long the change log may not have been read on a node that takes
// uploads: several polls.
const unread = 5 * time.Second
