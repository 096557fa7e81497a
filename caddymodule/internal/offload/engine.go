package offload

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/deletes"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/health"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/identity"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/naming"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/standing"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/trash"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/watch"
)

// Config describes one site's engine.
type Config struct {
	Site  *media.Site
	Store bucket.Store

	// PublicPrefix and PrivatePrefix stand before the key in the names of
	// public and private objects; ControlPrefix before control objects.
	// Default: "media/", "private/", "offload/".
	PublicPrefix, PrivatePrefix, ControlPrefix string

	// Local says whose media are on this node's disk. Default: LocalOwn.
	Local LocalPolicy
	// Workers bounds the files that are committed at once. Default: 16.
	Workers int
	// Deletes says which deletes on disk are passed on to the bucket.
	// Default: DeletesAlways.
	Deletes DeletePolicy
	// Trash is how long objects stay in the trash whose files were deleted outside
	// requests. Default: 30 days. Negative: such deletes do without the trash.
	Trash time.Duration
	// MaxDeleteShare is the share of a site's objects that a reconcile may
	// delete; above it (and above 10 objects) it deletes none and says so.
	// Default: 0.05.
	MaxDeleteShare float64
	// IndexSize bounds the keys whose state is kept in memory. Default: 262144.
	IndexSize int
	// CacheControl is stored with each object. Default: none.
	CacheControl func(key string, class media.Class) string
	// Inspector looks through files that may name others. Default: one that
	// finds that all are to be used at home.
	Inspector Inspector
	// Poll is the time between two looks for other nodes' changes. Default: 1s.
	Poll time.Duration
	// LeaseTTL is how long a node that was killed keeps the names that its
	// requests had claimed. Default: 10s, at least 3s.
	LeaseTTL time.Duration
	// RequestsPerClient is how many requests from one network claim names at the
	// same time; further ones wait for one of these. Default: any number.
	RequestsPerClient int
	// Look is the time between two looks whether the bucket is still the one that
	// this disk knows. Default: 1m.
	Look time.Duration
	// LostAfter is how long an object must be gone, without a word in the change log,
	// to be stored again: who deletes one tells of that just after. Default: 1m.
	LostAfter time.Duration
	// ScanInterval is the time between two looks at the disk where inotify is
	// not to be had. Default: 1s.
	ScanInterval time.Duration

	Logger *slog.Logger
}

// LocalPolicy says whose media a node keeps on its disk.
type LocalPolicy string

const (
	// LocalAll: the media of all nodes that share the bucket. Each node has a
	// full copy; changes go through a log in the bucket.
	LocalAll LocalPolicy = "all"
	// LocalOwn: what this node's app wrote. For one node, or several on one
	// shared directory; nothing is written to the bucket but media and its identity.
	LocalOwn LocalPolicy = "own"
)

// DeletePolicy says which deletes are passed on to the bucket.
type DeletePolicy string

const (
	// DeletesDuringRequests passes on what was removed while a request ran
	// that may write. What an admin removes by hand stays in the bucket.
	DeletesDuringRequests DeletePolicy = "requests"
	// DeletesAlways passes on every delete that is seen; one that happens outside
	// a request by way of the trash.
	DeletesAlways DeletePolicy = "always"
	// DeletesNever keeps every object.
	DeletesNever DeletePolicy = "never"
)

// Engine serves one site. Its methods may be called from several goroutines,
// before Start and after Stop too: then nothing is committed and nothing is
// known beyond what marks on the files tell.
type Engine struct {
	cfg      Config
	logger   atomic.Pointer[slog.Logger]
	site     *media.Site
	store    bucket.Store
	control  bucket.Store  // for control objects
	trees    []*local.Tree // by root
	bucketID string        // binds marks to this bucket

	index   *index.Index
	queue   *work.Queue
	marks   *standing.Marks
	classes *standing.Classes
	links   links
	said    *lru.Cache[string, struct{}] // keys whose refusal was logged
	// ignoredTold are rules, and kinds of files, of which the log has told.
	ignoredTold *lru.Cache[string, struct{}]
	health      *health.Monitor
	reach       *health.Reach
	guard       *identity.Guard
	count       counters

	requests  requests
	powerCut  powerCut
	rootsSeen rootsSeen
	restore   sync.Mutex // held while a restore runs
	recon     reconciler
	unstored  atomic.Int64 // see countUnstored
	size      objectCount
	names     *naming.Book

	unattended  deletes.Count // deletes outside requests
	attended    deletes.Count // of requests
	withheld    *deletes.Withheld
	settler     *deletes.Settler
	guest       *deletes.Guest
	guestMost   int // maxGuestItems, or less in a test; the queue's lock guards it
	guestForgot int // files that a guest wrote, and that the queue forgot; its lock guards it
	trash       *trash.Trash
	joining     joining
	deleteNotes deleteNotes
	team        team
	backlog     backlog
	deletedKeys *lru.Cache[string, struct{}] // that were counted as deleted, and not seen since
	lacking     lacking
	unlisted    unlisted
	goneDirs    *lru.Cache[string, struct{}] // keys of directories that other nodes removed
	placed      *lru.Cache[string, placed]   // what was brought from other nodes last
	watched     atomic.Uint64                // of the files that were fetched, those whose directories are watched

	life context.Context // ends with Stop: no new work is begun
	stop context.CancelFunc
	ctx  context.Context // ends when Stop has waited long enough
	kill context.CancelFunc

	began    time.Time // set by Start
	probed   bool      // touched by the reconcile loop only
	startOne sync.Once
	stopOne  sync.Once
	loops    sync.WaitGroup // goroutines of the engine
	work     sync.WaitGroup // commits under way

	dispatcher *dispatcher

	watcher  atomic.Pointer[watch.Watcher]
	noWatch  atomic.Pointer[error] // why the media roots cannot be watched
	watching chan struct{}         // closed when watcher is set
}

// New checks cfg and returns an engine that does nothing yet: no I/O, no
// goroutine.
func New(cfg Config) (*Engine, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	ctx, kill := context.WithCancel(context.Background())
	life, stop := context.WithCancel(ctx)
	e := &Engine{
		cfg: cfg, site: cfg.Site,
		queue: work.New(), said: newLRU[struct{}](1024), ignoredTold: newLRU[struct{}](1024),
		life: life, stop: stop, ctx: ctx, kill: kill,
		watching: make(chan struct{}),
	}
	e.dispatcher = newDispatcher(e)
	e.logger.Store(cfg.Logger)
	for _, root := range cfg.Site.Roots() {
		e.trees = append(e.trees, local.NewTree(root.Dir))
	}
	sum := sha256.Sum256([]byte(cfg.Store.String() + "\x00" + cfg.PublicPrefix + "\x00" + cfg.PrivatePrefix))
	e.bucketID = hex.EncodeToString(sum[:8])
	e.guard = identity.New(identity.Config{
		Store: cfg.Store, Prefix: cfg.ControlPrefix, Binding: e.bucketID,
		Roots: e.trees, Look: cfg.Look, Log: e.log, Node: guardedNode{e},
	})
	e.store = e.guard.Store()
	e.guestMost = maxGuestItems
	e.health = health.New(health.Config{
		Store: e.store, Queue: e.queue, Log: e.log,
		Node:   func() string { return e.team.self() },
		Object: e.objectName,
		Ours:   func(err error) bool { return errors.Is(err, identity.ErrGuest) },
	})
	e.team.known = naming.NewKnown()
	e.reach = health.NewReach(health.ReachConfig{
		Store: e.store, Prefix: cfg.ControlPrefix,
		Node:    func() string { return e.team.self() },
		Changed: e.team.known.Nudge,
	})
	e.names = naming.NewBook(naming.Config{Leaser: e.leaser, Others: otherNodes{e}})
	e.control = e.reach.Control()
	e.rememberDeletes()
	e.index = index.New(cfg.IndexSize, e.withheld.Remove)
	e.recon.init()
	e.goneDirs, e.placed = newLRU[struct{}](1<<12), newLRU[placed](1<<14)
	e.deletedKeys = newLRU[struct{}](1 << 16)
	e.trash = e.newTrash()
	e.settler = deletes.NewSettler(e.withheld, e.trash, withheldSite{e})
	e.marks = standing.NewMarks(e.bucketID, cfg.Inspector.Rules, e.log)
	e.classes = standing.NewClasses(cfg.Site, e.trees, e.index, e.marks, e.log)
	if err := e.joinTeam(); err != nil {
		return nil, err
	}
	return e, nil
}

func (c *Config) complete() error {
	if c.Site == nil || c.Store == nil {
		return errors.New("offload needs a site and a store")
	}
	c.PublicPrefix = cmp.Or(c.PublicPrefix, "media/")
	c.PrivatePrefix = cmp.Or(c.PrivatePrefix, "private/")
	c.ControlPrefix = cmp.Or(c.ControlPrefix, "offload/")
	c.Local = cmp.Or(c.Local, LocalOwn)
	c.Workers = cmp.Or(c.Workers, 16)
	c.Deletes = cmp.Or(c.Deletes, DeletesAlways)
	c.Trash = cmp.Or(c.Trash, 30*24*time.Hour)
	c.MaxDeleteShare = cmp.Or(c.MaxDeleteShare, 0.05)
	c.IndexSize = cmp.Or(c.IndexSize, 1<<18)
	c.ScanInterval = cmp.Or(c.ScanInterval, time.Second)
	c.Look = cmp.Or(c.Look, time.Minute)
	c.LostAfter = cmp.Or(c.LostAfter, time.Minute)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.CacheControl == nil {
		c.CacheControl = func(string, media.Class) string { return "" }
	}
	if c.Inspector.Inspect == nil {
		c.Inspector = Inspector{Rules: "none", Inspect: func(string, io.Reader, func(string) media.Class) media.Place { return media.PlaceAtHome }}
	}
	switch c.Deletes {
	case DeletesDuringRequests, DeletesAlways, DeletesNever:
	default:
		return fmt.Errorf("deletes: %q is none of requests, always, never", c.Deletes)
	}
	if c.Local != LocalAll && c.Local != LocalOwn {
		return fmt.Errorf("local: %q is none of all, own", c.Local)
	}
	if c.Workers < 1 || c.IndexSize < 1 || c.MaxDeleteShare < 0 || c.MaxDeleteShare > 1 {
		return errors.New("workers and index size must be positive, the share of deletes between 0 and 1")
	}
	return c.checkPrefixes()
}

// checkPrefixes refuses prefixes of which one contains another: what is
// private would lie below what is public.
func (c *Config) checkPrefixes() error {
	all := []string{c.PublicPrefix, c.PrivatePrefix, c.ControlPrefix}
	for i, a := range all {
		if !strings.HasSuffix(a, "/") {
			return fmt.Errorf("prefix %q must end with a slash", a)
		}
		for j, b := range all {
			if i != j && strings.HasPrefix(b, a) {
				return fmt.Errorf("prefix %q lies below prefix %q: each needs a folder of its own", b, a)
			}
		}
	}
	return nil
}

// Start begins watching, reconciling and committing in the background and
// returns at once; the bucket may be away. A second call does nothing.
func (e *Engine) Start() {
	e.startOne.Do(func() {
		if e.stopped() {
			return
		}
		e.began = time.Now()
		e.loops.Go(e.watch)
		e.loops.Go(e.dispatcher.run)
		e.loops.Go(e.reconcileLoop)
		e.loops.Go(e.requestsLoop)
		e.loops.Go(func() { e.guard.Run(e.life) })
		e.loops.Go(func() { e.health.Run(e.life) })
		if e.cfg.Local == LocalAll {
			e.loops.Go(func() { e.reach.Run(e.life) })
		}
	})
}

// Stop stops taking work, lets running commits end while ctx lasts, ends all
// goroutines and closes the store. What is not committed by then is found
// again by the next start. A second call does nothing.
func (e *Engine) Stop(ctx context.Context) (err error) {
	e.stopOne.Do(func() {
		e.takeLastEvents(ctx)
		e.stop()
		e.startOne.Do(func() {}) // a Start after this does nothing
		idle := make(chan struct{})
		go func() {
			e.loops.Wait()
			e.work.Wait()
			close(idle)
		}()
		select {
		case <-idle:
		case <-ctx.Done():
		}
		e.leave(ctx)
		e.kill()
		<-idle
		if !e.began.IsZero() {
			e.noteBases()
			e.noteDeletes()
			e.noteGuestDeletes()
			e.renewNote(time.Now())
		}
		err = e.store.Close()
		for _, t := range e.trees {
			err = errors.Join(err, t.Close())
		}
	})
	return err
}

// takeLastEvents takes what was changed until now from the watcher: a delete is to
// be noted.
func (e *Engine) takeLastEvents(ctx context.Context) {
	if e.watcher.Load() == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lastEvents)
	defer cancel()
	_ = e.barrier(ctx) // what was not seen is found by the next start
}

// lastEvents bounds the wait for the watcher when the engine stops.
const lastEvents = 2 * time.Second

// SetLogger replaces the logger: an engine outlives the configuration that
// made it.
func (e *Engine) SetLogger(l *slog.Logger) { e.logger.Store(l) }

func (e *Engine) log() *slog.Logger { return e.logger.Load() }

// stopped reports whether Stop was called.
func (e *Engine) stopped() bool { return e.life.Err() != nil }

// objectName returns the name in the store of key's object.
func (e *Engine) objectName(key string, class media.Class) string {
	if class == media.Private {
		return e.cfg.PrivatePrefix + key
	}
	return e.cfg.PublicPrefix + key
}

// newLRU returns a cache of a size that is known to be positive.
func newLRU[T any](size int) *lru.Cache[string, T] {
	cache, err := lru.New[string, T](size)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return cache
}
