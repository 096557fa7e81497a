package identity

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/health"
)

// Guard stands between a node and its bucket. Its methods may be called from several
// goroutines.
type Guard struct {
	cfg        Config
	identity   identity
	membership membership
	stored     health.Sample
}

// Config is what a guard is made of.
type Config struct {
	// Store is the bucket, as nobody else should use it: see Guard.Store.
	Store bucket.Store
	// Prefix stands before the names of control objects.
	Prefix string
	// Binding names the bucket in notes on this disk.
	Binding string
	// Roots bear the notes: each that of the bucket, the first that of the role.
	Roots []*local.Tree
	// Look is the time between two looks at the identity.
	Look time.Duration
	Log  func() *slog.Logger
	Node Node
}

// Node is what a guard asks of its node, and tells it. Some calls come while locks of the
// guard are held: the node must not call the guard from within, but for what it has noted
// of the role (IsGuest, IsMember).
type Node interface {
	// Name names this disk, on this machine.
	Name() string

	// BecomeGuest ends all that waits for the bucket: it is another site's.
	BecomeGuest()
	// BecomeMember lets the work begin. It calls enter, which makes the node a member,
	// while nothing else works. wasGuest: it was a guest until now. joins: what is on the
	// disk may be a guest's.
	BecomeMember(wasGuest, joins bool, enter func())
	// Joins reports whether what is on the disk may still be a guest's.
	Joins() bool

	// Compare has disk and bucket compared.
	Compare()
	// Doubt has them compared, and all looked at again that is being worked on: the bucket
	// was away, or is in an older state.
	Doubt()
	// Blur says that others, without a change log, may have deleted anything.
	Blur()
	// IsIdle reports whether all has been done that a comparison has found.
	IsIdle() bool

	// Nodes reports whether this node is alone, and the change log of several; neither is
	// known at first.
	Nodes() (alone bool, log Log)
	// Position is up to which entry of the change log all has come to this disk; not ok
	// while some has not, or may not have been told of.
	Position() (position uint64, ok bool)
	// Written counts what this node has stored and deleted.
	Written() uint64

	// Meets tells of an error of a look, which others may meet.
	Meets(err error)
	// IsDown reports whether it is known that the bucket takes no files.
	IsDown() bool
	// Refused says that the store tells by itself that it takes no files. fresh: since just
	// now.
	Refused(fresh bool)
}

// Log is the change log.
type Log interface {
	Stats() changelog.Stats
	// Continues reports whether the log is the one that had an entry of a number.
	Continues(ctx context.Context, position uint64) (bool, error)
	// Recheck has it looked at from its beginning.
	Recheck()
}

// New returns a guard that has looked at nothing yet. The store is to be used through it
// alone from now on.
func New(cfg Config) *Guard {
	g := &Guard{cfg: cfg}
	g.membership.before = sync.OnceValue(g.wasMember)
	cfg.Store.Admit(g.admit)
	return g
}

// Store is the store as the node is to use it.
func (g *Guard) Store() bucket.Store { return guarded{g.cfg.Store, g} }

// newest is the newest entry of the change log that is known; 0 without one.
func (g *Guard) newest() uint64 {
	if _, log := g.cfg.Node.Nodes(); log != nil {
		return log.Stats().Position
	}
	return 0
}

// recheck has the change log looked at from its beginning, if there is one.
func (g *Guard) recheck() {
	if _, log := g.cfg.Node.Nodes(); log != nil {
		log.Recheck()
	}
}
