package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/inspect"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/publiccheck"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/web"
)

// engines are the engines of this process by the hash of their settings. A
// reload that changes none of these keeps the engine, with its holds and its
// knowledge.
var engines = caddy.NewUsagePool()

// stopping counts the engines that nobody refers to any more but that requests
// of an old config still use.
var stopping sync.WaitGroup

const (
	// stopTimeout is how long the commits of an engine may take that is being
	// stopped. The next start finds what they leave.
	stopTimeout = 5 * time.Second
	// requestsTimeout is how long an engine without a config is kept for
	// requests that began under its old one.
	requestsTimeout = 15 * time.Minute
)

// engineSettings is all of a config that makes an engine what it is.
type engineSettings struct {
	Media     media.Config
	Bucket    BucketConfig
	Local     string
	Deletes   string
	Trash     caddy.Duration
	Workers   int
	IndexSize int

	UploadsPerClient int

	CacheControl        string
	CacheControlPrivate string
	CacheControlRules   []CacheControlRule
}

// engineSettings returns the settings with placeholders replaced.
func (h *Handler) engineSettings() (engineSettings, error) {
	s := engineSettings{
		Local: h.Local, Deletes: h.Deletes, Trash: h.Trash, Workers: h.Workers, IndexSize: h.IndexSize,
		UploadsPerClient: h.UploadsPerClient,
		CacheControl:     h.CacheControl, CacheControlPrivate: h.CacheControlPrivate, CacheControlRules: h.CacheControlRules,
		Media: media.Config{
			Public: h.Public, Private: h.Private, Ignore: h.Ignore,
			NoRewrite: h.NoRewrite, MayWrite: h.MayWrite,
		},
	}
	var err error
	if s.Bucket, err = h.Bucket.resolve(); err != nil {
		return s, err
	}
	if h.App != nil {
		s.Media.Preset, s.Media.BasePath, s.Media.Subsites = h.App.Preset, h.App.BasePath, h.App.Subsites
		if s.Media.DocRoot, err = replacePlaceholders(h.App.DocRoot); err != nil {
			return s, fmt.Errorf("app: %w", err)
		}
		if s.Media.DocRoot != "" && !filepath.IsAbs(s.Media.DocRoot) {
			return s, fmt.Errorf("app: %q is not an absolute path: write it from / on", s.Media.DocRoot)
		}
	}
	for _, r := range h.Roots {
		dir, err := replacePlaceholders(r.Dir)
		if err != nil {
			return s, fmt.Errorf("root: %w", err)
		}
		s.Media.Roots = append(s.Media.Roots, media.Root{Name: r.Name, Dir: dir, URL: r.URL})
	}
	for _, a := range h.Aliases {
		s.Media.Aliases = append(s.Media.Aliases, media.Alias{URL: a.URL, Root: a.Root, Dir: a.Dir})
	}
	return s, nil
}

// key identifies the settings without telling them: there are secrets in them.
func (s *engineSettings) key() (string, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("identifying the engine: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// newEngine makes an engine that does nothing yet.
func (s *engineSettings) newEngine(site *media.Site, log *switchedLog) (*sharedEngine, error) {
	cache, err := s.cachePolicy()
	if err != nil {
		return nil, err
	}
	inspector, err := inspect.New(site, s.Media)
	if err != nil {
		return nil, err
	}
	logger := log.logger()
	store, prefix, err := s.Bucket.open(logger)
	if err != nil {
		return nil, err
	}
	e := &sharedEngine{
		log: log, turnout: web.NewTurnout(logger), bucket: store.String(), dir: s.Bucket.dir(), idle: make(chan struct{}),
		prefixes: []string{prefix + s.Bucket.PublicPrefix, prefix + s.Bucket.PrivatePrefix, prefix + s.Bucket.ControlPrefix},
	}
	look := time.Minute
	if e.dir != "" {
		look = time.Second // that costs a directory nothing, and mounts come and go
	}
	e.engine, err = offload.New(offload.Config{
		Site:          site,
		Store:         store,
		PublicPrefix:  e.prefixes[0],
		PrivatePrefix: e.prefixes[1],
		ControlPrefix: e.prefixes[2],
		Local:         offload.LocalPolicy(s.Local),
		Workers:       s.Workers,
		Deletes:       offload.DeletePolicy(s.Deletes),
		Trash:         time.Duration(s.Trash),
		IndexSize:     s.IndexSize,
		Look:          look,

		RequestsPerClient: s.UploadsPerClient,

		CacheControl: cache.value,
		Inspector:    inspector,
		Logger:       logger,
	})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return e, nil
}

// sharedEngine is an engine with those who use it: handlers, which come and go
// with configs, and requests, which may outlive their config.
type sharedEngine struct {
	engine *offload.Engine
	log    *switchedLog
	key    string // of the pool
	site   string // names the site for people and in metrics
	bucket string // names the bucket, without secrets
	dir    string // of a file:// bucket, else empty
	// prefixes are what the names begin with that the engine has for its own in
	// the bucket.
	prefixes []string
	roots    string // the media roots

	begin sync.Once

	turnout *web.Turnout // of the requests that may write
	cors    publiccheck.Count

	// requests is the number of requests under way, plus retired.
	requests atomic.Int64
	idle     chan struct{} // closed when retired and without requests
	idleOnce sync.Once
}

// retired is added to sharedEngine.requests when the last handler is gone.
const retired = math.MinInt64 / 2

// acquireEngine returns the engine for the settings, a new one or the one that
// another handler or an older config uses. Each call needs one giveBack.
func acquireEngine(s engineSettings, site *media.Site, logger *slog.Logger) (*sharedEngine, error) {
	key, err := s.key()
	if err != nil {
		return nil, err
	}
	value, _, err := engines.LoadOrNew(key, func() (caddy.Destructor, error) {
		e, err := s.newEngine(site, newSwitchedLog(logger))
		if err != nil {
			return nil, err
		}
		e.key = key
		for i, root := range site.Roots() {
			if i == 0 {
				e.site = root.Dir
			}
			e.roots += root.Dir + "\x00"
		}
		if s.Media.DocRoot != "" {
			e.site = s.Media.DocRoot
		}
		return e, nil
	})
	if err != nil {
		return nil, err
	}
	return value.(*sharedEngine), nil
}

// start starts the engine; only the first call does anything.
func (e *sharedEngine) start() { e.begin.Do(e.engine.Start) }

// acquire keeps the engine alive for a request until release. If the engine was
// stopped, because the request comes from a config that was replaced long
// ago, acquire returns the engine that has its media roots now, or nil.
func (e *sharedEngine) acquire() *sharedEngine {
	if e.hold() {
		return e
	}
	var successor *sharedEngine
	engines.Range(func(_, value any) bool {
		if other := value.(*sharedEngine); other.roots == e.roots && other.hold() {
			successor = other
		}
		return successor == nil
	})
	return successor
}

func (e *sharedEngine) hold() bool {
	if e.requests.Add(1) > 0 {
		return true
	}
	e.release()
	return false
}

// release ends what acquire began.
func (e *sharedEngine) release() {
	if e.requests.Add(-1) == retired {
		e.idleOnce.Do(func() { close(e.idle) })
	}
}

// giveBack ends h's use of the engine.
func (e *sharedEngine) giveBack(h *Handler) error {
	e.log.drop(h)
	_, err := engines.Delete(e.key)
	return err
}

// Destruct implements caddy.Destructor: no config refers to the engine any
// more. Requests that still use it keep it for a while. It waits for them only
// if the process ends, since a reload must not.
func (e *sharedEngine) Destruct() error {
	if e.requests.Add(retired) == retired {
		e.idleOnce.Do(func() { close(e.idle) })
	}
	select {
	case <-e.idle:
		return e.stop()
	default:
	}
	if caddy.Exiting() {
		e.waitForRequests(stopTimeout)
		return e.stop()
	}
	stopping.Go(func() {
		e.waitForRequests(requestsTimeout)
		if err := e.stop(); err != nil {
			processLogger().Warn("stopping an engine", "site", e.site, "error", err)
		}
	})
	return nil
}

func (e *sharedEngine) waitForRequests(timeout time.Duration) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-e.idle:
	case <-timer.C:
	}
}

func (e *sharedEngine) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return e.engine.Stop(ctx)
}

var _ caddy.Destructor = (*sharedEngine)(nil)
