package web

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/csp"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/publiccheck"
	"github.com/media-offload/caddy-media-offload/rewrite"
)

// Config is what a Handler goes by. What its words mean is told in the module's own
// configuration.
type Config struct {
	Site   *media.Site
	Engine *offload.Engine // that of the configuration; requests use what Acquire returns
	// Acquire returns the engine for a request, nil if the site has none any more. The
	// request releases it.
	Acquire func() Use
	Server  Server
	Log     *slog.Logger // may be used after the configuration has ended

	Health string // the URL path of the health answer; "": none

	// Pages.
	PublicURL  string             // of the folder of public objects, ends with a slash; "": pages stay as they are
	Public     *publiccheck.Check // of that; nil without it
	URLVersion bool
	SiteHosts  []string // besides that of the request

	// Media reads.
	Serve           Serve
	PresignTTL      time.Duration
	MissingIsForApp bool // a file that is nowhere; else it is answered here, where the app would not make it
	DenyPrivate     bool // reads of private files by their own URLs; else they are the app's to answer
	BasePath        string
	CacheControl    func(key string, class media.Class) string

	// Requests that may write.
	Hold          time.Duration
	HoldBuffer    int
	ReadyWait     time.Duration
	Reject        bool // with status 503 what is not committed, or not ready, in time; else it passes
	SlowBody      int64
	SlowBodyAfter time.Duration
}

// Serve is how an object is served whose file is not on disk.
type Serve string

// Ways to serve an object.
const (
	ServeProxy    Serve = "proxy"    // it is streamed
	ServeRedirect Serve = "redirect" // to the public URL
	ServePresign  Serve = "presign"  // by a redirect to a URL that expires
)

// Server is what stands before a Handler, and knows of requests what is not in them.
type Server interface {
	// OriginalURL is the URL that the client sent, nil if it is not known.
	OriginalURL(r *http.Request) *url.URL
	// WithOriginalURL returns ctx, which is that of a request whose OriginalURL is
	// known, with another one.
	WithOriginalURL(ctx context.Context, u *url.URL) context.Context
	// ClientIP is the client's address, "" if it is not known.
	ClientIP(r *http.Request) string
	// FromTrustedProxy reports whether what r says of its way is true.
	FromTrustedProxy(r *http.Request) bool
	// Note adds to what the access log says of r.
	Note(r *http.Request, attr slog.Attr)
}

// Use is the use of an engine by one request.
type Use interface {
	Engine() *offload.Engine
	Turnout() *Turnout
	Release()
}

// Next is the handler that a request goes on to: the app, or what stands before it.
type Next interface {
	ServeHTTP(w http.ResponseWriter, r *http.Request) error
}

// nextFunc is a function as a Next.
type nextFunc func(w http.ResponseWriter, r *http.Request) error

// ServeHTTP implements Next.
func (f nextFunc) ServeHTTP(w http.ResponseWriter, r *http.Request) error { return f(w, r) }

// Error is why a request was not answered: the server is to answer with the status.
type Error struct {
	Status int
	Err    error
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("status %d: %v", e.Status, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Handler sends requests their ways. It is safe for concurrent use.
type Handler struct {
	config Config
	site   *media.Site

	rewriter   *rewrite.Rewriter // nil: pages stay as they are
	isolated   *rewrite.Rewriter // for pages that require Cross-Origin-Resource-Policy
	resolved   *resolvedURLs
	pages      *pageMemory
	validators *validators
	reverse    *rewrite.Reverse // nil: request bodies stay as they are
	csp        *csp.Source      // nil: policies stay as they are

	plainPublic bool // pages that come by https stay as they are

	originHosts []string                       // of SiteHosts, in lower case, without ports
	reconciled  atomic.Pointer[offload.Engine] // the engine, once it has compared disk and bucket

	toldOfRedirect atomic.Bool // see noteRedirect
}

// New returns a handler. It does no I/O.
func New(config Config) (*Handler, error) {
	h := &Handler{config: config, site: config.Site}
	h.originHosts = h.corsHosts()
	if config.PublicURL == "" {
		return h, nil
	}
	if err := h.prepareRewriting(); err != nil {
		return nil, err
	}
	return h, nil
}

// prepareRewriting prepares the rewriting of pages, and of what comes back.
func (h *Handler) prepareRewriting() (err error) {
	if h.csp, err = csp.New(h.config.PublicURL); err != nil {
		return fmt.Errorf("public_url: %w", err)
	}
	h.plainPublic = IsPlainPublic(h.config.PublicURL)
	h.resolved = newResolvedURLs()
	h.pages = newPageMemory(h.changes)
	h.validators = newValidators(h.changes)
	config := rewrite.Config{
		Hosts:    h.config.SiteHosts,
		Prefixes: h.site.Prefixes(),
		Resolve:  h.resolve,
		Changes:  h.changes,
		Policy:   h.policy,
	}
	if h.rewriter, err = rewrite.New(config); err != nil {
		return err
	}
	config.Resolve, config.Changes = h.resolveIsolated, nil // too rare to be remembered
	if h.isolated, err = rewrite.New(config); err != nil {
		return err
	}
	return h.prepareReverse()
}
