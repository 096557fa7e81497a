package offload

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// Config describes one site's engine.
type Config struct {
	Site  *media.Site
	Store bucket.Store

	// PublicPrefix and PrivatePrefix stand before the key in the names of
	// public and private objects; ControlPrefix before control objects.
	// Default: "media/", "private/", "offload/".
	PublicPrefix, PrivatePrefix, ControlPrefix string

	// Workers bounds the files that are committed at once. Default: 16.
	Workers int
	// Deletes says which deletes on disk are passed on to the bucket.
	// Default: DeletesDuringRequests.
	Deletes DeletePolicy
	// MaxDeleteShare is the share of a site's objects that a reconcile may
	// delete; above it (and above 10 objects) it deletes none and says so.
	// Default: 0.05.
	MaxDeleteShare float64
	// IndexSize bounds the keys whose state is kept in memory. Default: 262144.
	IndexSize int
	// CacheControl is stored with each object. Default: none.
	CacheControl func(key string, class media.Class) string
	// ScanInterval is the time between two looks at the disk where inotify is
	// not to be had. Default: 1s.
	ScanInterval time.Duration

	Logger *slog.Logger
}

// DeletePolicy says which deletes are passed on to the bucket.
type DeletePolicy string

const (
	// DeletesDuringRequests passes on what was removed while a request ran
	// that may write. What an admin removes by hand stays in the bucket.
	DeletesDuringRequests DeletePolicy = "requests"
	// DeletesAlways passes on every delete that is seen.
	DeletesAlways DeletePolicy = "always"
	// DeletesNever keeps every object.
	DeletesNever DeletePolicy = "never"
)

// Engine serves one site. Its methods may be called from several goroutines,
// before Start and after Stop too: then nothing is committed and nothing is
// known beyond what marks on the files tell.
type Engine struct{}

// New checks cfg and returns an engine that does nothing yet: no I/O, no
// goroutine.
func New(cfg Config) (*Engine, error) { return &Engine{}, nil }

// Start begins watching, reconciling and committing in the background and
// returns at once; the bucket may be away. A second call does nothing.
func (e *Engine) Start() {}

// Stop stops taking work, lets running commits end while ctx lasts, ends all
// goroutines and closes the store. What is not committed by then is found
// again by the next start. A second call does nothing.
func (e *Engine) Stop(ctx context.Context) error { return nil }

// SetLogger replaces the logger: an engine outlives the configuration that
// made it.
func (e *Engine) SetLogger(l *slog.Logger) {}

// Request is one request to the app that may write media.
type Request struct{}

// Begin notes that a request that may write is about to be passed to the app.
// client identifies who sent it across requests (address and user agent, say):
// a later request of the same client also waits for what an earlier one was
// told has failed. Call End when the answer is out.
func (e *Engine) Begin(client string) *Request { return &Request{} }

// Wait returns nil when every file that was written, renamed or deleted in a
// media root since Begin is committed, judged at the time of the call: call it
// when the app has ended its answer. It returns a *PendingError when ctx ends
// first, or as soon as the store has refused a file for good.
func (r *Request) Wait(ctx context.Context) error { return nil }

// Fail notes that the client is told that r failed although the app did its
// work: the client's next requests wait for r's files too.
func (r *Request) Fail() {}

// End ends the request. It does not wait. A second call does nothing.
func (r *Request) End() {}

// PendingError says that files are not committed yet. They stay queued.
type PendingError struct {
	Keys  []string // up to 10 of them
	Count int
	Cause error // the store's last error, or the context's
}

func (e *PendingError) Error() string { return "files are not committed yet" }
func (e *PendingError) Unwrap() error { return e.Cause }

// Object is what the engine knows of a committed object.
type Object struct {
	Key     string
	Class   media.Class
	ETag    string
	Size    int64
	ModTime time.Time
}

// Committed tells whether key's present content is known to be in the bucket,
// from memory and local disk alone.
func (e *Engine) Committed(key string) (Object, bool) { return Object{}, false }

// Local returns the file of key if it is on disk with its content, and
// fs.ErrNotExist if it is not; directories, symlinks and other special files
// do not count.
func (e *Engine) Local(key string) (fs.FileInfo, error) { return nil, fs.ErrNotExist }

// Open opens the object of a key in the bucket (bucket.ErrNotFound if there is
// none; ErrIgnored if key's class never leaves the disk).
func (e *Engine) Open(ctx context.Context, key string, opts bucket.GetOptions) (*bucket.Object, error) {
	return nil, bucket.ErrNotFound
}

// Stat tells about the object of a key: from memory if it is known there, else
// it asks the bucket. A key that was absent a moment ago is not asked for
// again at once.
func (e *Engine) Stat(ctx context.Context, key string) (bucket.Info, error) {
	return bucket.Info{}, bucket.ErrNotFound
}

// Presign returns a URL that reads the object of key until ttl has passed.
func (e *Engine) Presign(ctx context.Context, key string, ttl time.Duration) (string, error) {
	return "", bucket.ErrUnsupported
}

// Class returns the class of key, knowing the .htaccess files on disk.
func (e *Engine) Class(key string) media.Class { return media.Ignored }

// ErrIgnored: the key's class never leaves the disk.
var ErrIgnored = errors.New("never leaves the disk")

// Stats are counters since Start and the present state.
type Stats struct {
	// State is "starting", "running", "degraded" (the bucket does not answer)
	// or "stopped"; Reason says why in a sentence.
	State, Reason string
	// Pending files wait to be committed, the oldest since OldestPending.
	Pending       int
	OldestPending time.Duration
	// Committed files and bytes, Deleted objects, Retries after an error,
	// Refused files that the store can never hold.
	Committed, CommittedBytes, Deleted, Retries, Refused uint64
	// Requests that waited, and those of them that waited in vain.
	Held, HoldTimeouts uint64
	// Reconciled is when the last reconcile ended; Reconciling says that one runs.
	Reconciled  time.Time
	Reconciling bool
	// IndexSize is the number of keys whose state is in memory.
	IndexSize int
	// Watching names the implementation: "inotify" or "scan".
	Watching string
}

// Stats returns a snapshot.
func (e *Engine) Stats() Stats { return Stats{} }
