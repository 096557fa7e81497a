package offload

import (
	"cmp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/lease"
)

// Stats are counters since Start and the present state.
type Stats struct {
	// State is "starting", "running", "degraded" (the bucket does not answer),
	// "guest" (see package identity) or "stopped"; Reason says why in a sentence. While it
	// runs, Reason says what one of the Failing files meets, or what part of the bucket
	// cannot be listed.
	State, Reason string
	// Guest: this node changes nothing in the bucket, and what its app writes stays on
	// disk; Reason says what to do.
	Guest bool
	// Pending files wait to be committed, the oldest since OldestPending.
	Pending       int
	OldestPending time.Duration
	// Failing are those of them that fail again and again while the bucket takes
	// others, or an object that was stored to see that: see trial.
	Failing int
	// GuestFiles are the files that a guest's app wrote since the start, GuestDeletes
	// those files and directories that it deleted: they wait for nothing, and are not
	// pending.
	GuestFiles, GuestDeletes int
	// Committed files and bytes, Deleted objects, Retries after an error,
	// Refused files that the store can never hold, which are not pending.
	Committed, CommittedBytes, Deleted, Retries, Refused uint64
	// Withheld deletes wait for the admin's word, see [deletes.Settler].
	Withheld int
	// Ignored are the files that stay on disk because of a rule.
	Ignored Ignored
	// Requests that waited, and those of them that waited in vain.
	Held, HoldTimeouts uint64
	// Reconciled is when the last reconcile ended; Reconciling says that one runs.
	Reconciled  time.Time
	Reconciling bool
	// Conflicts counts files of which two contents are kept, be it that somebody
	// replaced the object, Fetched the files and bytes brought from other nodes,
	// RemovedFiles those that other nodes deleted.
	Conflicts, Fetched, FetchedBytes, RemovedFiles uint64
	// FetchBacklog is how many changes of other nodes are not on this disk yet.
	FetchBacklog int
	// Nodes is "several", "one" (LocalOwn, or the store does not let several
	// agree), or "" as long as that is not known.
	Nodes string
	// Log is the change log; zero if there are no other nodes. Names are those that
	// are claimed.
	Log   changelog.Stats
	Names lease.Stats
	// IndexSize is the number of keys whose state is in memory.
	IndexSize int
	// Watching names the implementation: "inotify" or "scan".
	Watching string
}

// counters are what Stats counts.
type counters struct {
	committed, bytes, deleted, retries, refused atomic.Uint64
	held, timeouts                              atomic.Uint64
	ignored                                     ignoredCount
	conflicts, fetched, fetchedBytes            atomic.Uint64
	removedFiles                                atomic.Uint64
	noLeases                                    sync.Once // the log line about leases
	turnedAway                                  sync.Once // the log line about names that are not let in
}

// Stats returns a snapshot.
func (e *Engine) Stats() Stats {
	s := Stats{
		State:     "running",
		Committed: e.count.committed.Load(), CommittedBytes: e.count.bytes.Load(),
		Deleted: e.count.deleted.Load(), Retries: e.count.retries.Load(), Refused: e.count.refused.Load(),
		Ignored: e.count.ignored.stats(),
		Held:    e.count.held.Load(), HoldTimeouts: e.count.timeouts.Load(),
		Conflicts: e.count.conflicts.Load(), Fetched: e.count.fetched.Load(),
		FetchedBytes: e.count.fetchedBytes.Load(), RemovedFiles: e.count.removedFiles.Load(),
		FetchBacklog: e.queue.HeardLen(),
		IndexSize:    e.index.Len(),
		Withheld:     e.withheld.Len(),
		Log:          e.logStats(), Names: e.leaser().Stats(),
	}
	switch {
	case e.shared():
		s.Nodes = "several"
	case e.onlyNode():
		s.Nodes = "one"
	}
	s.Reconciled, s.Reconciling, _ = e.recon.status()
	s.Pending, s.OldestPending = e.queue.Pending(time.Now())
	if n := e.unstored.Load(); n > 0 && s.Reconciled.IsZero() {
		s.Pending, s.OldestPending = s.Pending+int(n), time.Since(e.began)
	}
	if w := e.watcher.Load(); w != nil {
		s.Watching = (*w).Kind()
	}
	if err := e.trouble(); err != nil {
		s.State, s.Reason = "degraded", err.Error()
	} else if err := e.rootTrouble(); err != nil {
		s.State, s.Reason = "degraded", err.Error()
	} else {
		s.Failing, s.Reason = e.queue.Failing()
		if err := e.unlisted.status(); err != nil && s.Failing == 0 {
			s.Reason = err.Error()
		}
	}
	switch {
	case e.stopped():
		s.State = "stopped"
	case s.Reconciled.IsZero() && s.State == "running":
		s.State = "starting"
	}
	if reason := e.guard.GuestReason(); reason != "" && s.State != "stopped" {
		s.Guest = true
		s.Pending, s.OldestPending = 0, 0
		s.GuestFiles, s.GuestDeletes = e.guestKeeps()
		if s.State != "degraded" {
			s.State, s.Reason = "guest", reason
		}
	}
	return s
}

// trouble returns why the engine is not wholly well, or nil.
func (e *Engine) trouble() error {
	return cmp.Or(e.uploadTrouble(), e.health.Lacks())
}

// uploadTrouble returns why files may not be stored, or nil.
func (e *Engine) uploadTrouble() error {
	_, _, failed := e.recon.status()
	return cmp.Or(e.guard.Away(), e.watchTrouble(), e.health.Trouble(), e.reach.Trouble(), failed)
}

// watchTrouble returns why the media roots cannot be watched, or nil.
func (e *Engine) watchTrouble() error {
	if err := e.noWatch.Load(); err != nil {
		return *err
	}
	return nil
}

// logStats tells of the change log; zero if there are no other nodes.
func (e *Engine) logStats() changelog.Stats {
	if !e.claimsOfAll() {
		return changelog.Stats{}
	}
	return e.team.log.Stats()
}
