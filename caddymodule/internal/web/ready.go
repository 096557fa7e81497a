package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload"
)

// With several servers, an app that looks whether a file's name is taken must
// see what the others wrote, and no two of them may look at the same moment. So
// a request that may write reaches the app's code only when the engine says
// that this server is ready for it:
//
//   - Names in the URL or the header are claimed before the request is
//     forwarded. Unless it is a POST with a body, for the whole of which PHP waits,
//     the engine is asked then.
//   - Names in a body are found while it streams to the app, and its end is
//     kept back until the engine is ready (see heldBody).
//   - The first bytes of a body that may bring names are read before it is
//     forwarded. A request whose name another one has, as far as is known by then,
//     is gathered, and waits there until the engine is ready, without keeping one of
//     PHP's few processes from the other (see gather.go).
//
// A body that does not get on keeps its names from nobody: see pace.go.

// gate keeps one request from the app until the engine is ready for it. The
// body may be read by another goroutine than the handler's, and after that.
type gate struct {
	req    *offload.Request
	shared *Turnout
	method string
	wait   time.Duration
	reject bool // rather a 503 than the app's run too early
	early  bool // the app may be at work before it has all of the request

	ctx    context.Context
	cancel context.CancelFunc

	scanner *media.NameScanner // nil: the body holds no names
	paced   *pacedBody         // nil: the body may take its time
	body    gathered
	whole   bool // all of the body is gathered
	head    share

	mu        sync.Mutex
	stems     []string      // of the names so far
	contended bool          // another request on this server brings one of them
	asked     bool          // the engine was asked
	news      bool          // a name came since then
	waited    time.Duration // for the engine
	refused   error         // why the app did not get the end of the request
	closed    bool
}

// catchUpWait is how long a request without names waits at most: while the
// bucket is away, logins and comments must not take as long as uploads.
const catchUpWait = 3 * time.Second

// errNotReady is why the app does not get the end of a request. To Caddy's
// reverse proxy it looks as if the client had gone away, since it is no fault of
// the upstream's.
type errNotReady struct{ cause error }

func (e *errNotReady) Error() string {
	return "this server is not ready for uploads: " + e.cause.Error()
}
func (e *errNotReady) Unwrap() []error { return []error{e.cause, context.Canceled} }

// newGate notes the names in r's URL and header.
func (h *Handler) newGate(r *http.Request, q *requestPaths, t *Turnout, req *offload.Request) *gate {
	g := &gate{
		req: req, shared: t,
		method: r.Method, wait: h.config.ReadyWait, reject: h.config.Reject,
		early: startsEarly(r),
		head:  share{of: &heads},
		body:  gathered{room: share{of: &gathering, client: h.networkOf(r)}},
	}
	g.ctx, g.cancel = context.WithCancel(r.Context())
	for _, name := range h.site.RequestNames(media.RequestInfo{
		Method: r.Method, Path: q.original.Path, Query: q.original.RawQuery, Header: r.Header,
	}) {
		g.name(name)
	}
	return g
}

// name notes a name that the request brings.
func (g *gate) name(name string) {
	stem := media.NameStem(name)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || slices.Contains(g.stems, stem) {
		return
	}
	g.req.Name(name)
	g.stems, g.news = append(g.stems, stem), true
	g.contended = g.shared.enter(stem) || g.contended
}

// named reports whether any name came so far.
func (g *gate) named() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.stems) > 0
}

// isContended reports whether another request on this server brings one of the
// names.
func (g *gate) isContended() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.contended
}

// gather returns r, or r with a body that is all there if it is to have names, or to
// wait for them, before it is forwarded. inHeader says that there are names in URL or
// header.
func (g *gate) gather(r *http.Request, inHeader bool) (*http.Request, error) {
	if !hasBody(r) || r.ContentLength >= GatherLimit || !(g.early && inHeader) && !g.isContended() {
		return r, nil
	}
	err := g.body.fill(r.Body)
	if g.body.noFile != nil {
		g.shared.warnNoFile(g.body.noFile)
	}
	switch {
	case err == nil:
		g.whole = true
		return withBody(r, g.body.reader(), r.ContentLength), nil
	case errors.Is(err, errNoRoom):
		return withBody(r, io.MultiReader(g.body.reader(), r.Body), r.ContentLength), nil
	}
	return nil, fmt.Errorf("reading a body: %w", err) // no more comes of it
}

// enter waits before a request is forwarded, if it is known by now that it should: until
// the engine is ready, if all of it is there or the app may be at work then, else for
// other requests of the same names. An error means that the app must not see it.
func (g *gate) enter(r *http.Request, inHeader bool) error {
	known := inHeader || g.isContended()
	switch {
	case g.whole:
		return g.pass()
	case g.early && !hasBody(r):
		err := g.pass()
		if hasContent(r) { // whose end cannot be waited for
			g.req.Rest()
		}
		return err
	case known:
		if err := g.turn(); err != nil || !g.early {
			return err
		}
		return g.pass()
	}
	return nil
}

// turn waits for other requests of the same names, no longer than configured.
func (g *gate) turn() error {
	ctx, cancel := withPatience(g.ctx, g.wait)
	defer cancel()
	begun := time.Now()
	err := g.req.Turn(ctx)
	return g.answered(err, min(g.wait, time.Since(begun)))
}

// pass waits until the engine is ready for the request, all in all no longer
// than configured. An error means that the app must not see its end.
func (g *gate) pass() error {
	left, ask := g.ask()
	if !ask {
		return nil
	}
	if g.scanner != nil && g.scanner.Over() {
		g.shared.warnOver()
	}
	ctx, cancel := withPatience(g.ctx, left)
	defer cancel()
	begun := time.Now()
	err := g.req.Ready(ctx)
	if err == nil && g.early && g.req.Interrupted() {
		return g.refuse(errTaken)
	}
	return g.answered(err, min(left, time.Since(begun)))
}

// errTaken: by the header of a request an app may have chosen a name that was another
// request's since, because the body came too slowly or this server stood still.
var errTaken = errors.New("the request took too long, and another one had its file's name meanwhile")

// refuse keeps the end of the request from the app.
func (g *gate) refuse(cause error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refused = &errNotReady{cause}
	return g.refused
}

// ask reports whether the engine must be asked, and for how long at most: again
// if names came since, or if it does not have the names any more that it had, for
// the app has seen nothing yet.
func (g *gate) ask() (left time.Duration, ask bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	// Who has waited for its turn needs a moment more to have the names again.
	left = max(g.wait-g.waited, min(g.wait, catchUpWait))
	if len(g.stems) == 0 { // nobody else can be in its way, only the bucket
		left = min(left, catchUpWait)
	}
	lapsed := g.asked && g.req.Lapsed()
	if lapsed {
		left = g.wait
	}
	ask = !g.asked || lapsed || g.news && left > 0
	g.asked, g.news = true, false
	return left, ask
}

// answered decides by the engine's answer.
func (g *gate) answered(err error, took time.Duration) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waited += took
	switch {
	case err == nil:
		g.shared.inTime()
		return nil
	case g.ctx.Err() != nil: // the client went away, or the app has answered
		return g.ctx.Err()
	}
	g.shared.late(err)
	if !g.strict() {
		return nil
	}
	g.refused = &errNotReady{err}
	return g.refused
}

// strict reports whether the request must not come too early: one that brings
// names, or changes something that has one. A page of the admin area, a login
// or a comment must work without the bucket.
func (g *gate) strict() bool {
	switch g.method {
	case http.MethodGet:
		return false
	case http.MethodPost:
		return g.reject && len(g.stems) > 0
	}
	return g.reject
}

// refusal is why the app did not get the end of the request, nil if it did.
func (g *gate) refusal() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.refused
}

// close ends all waiting.
func (g *gate) close() {
	g.cancel()
	if g.paced != nil {
		g.paced.end()
	}
	g.head.free()
	g.body.free()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	g.shared.leave(g.stems)
}

// note adds to the access log for how long the request was kept back.
func (g *gate) note(server Server, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waited > 0 {
		server.Note(r, slog.Duration("media_offload_ready", g.waited))
	}
}

// Turnout is what the requests that may write to one engine share: the names that they
// bring.
type Turnout struct {
	log    *slog.Logger
	mu     sync.Mutex
	stems  map[string]int // how many requests bring a name with this stem
	isLate atomic.Bool
	isOver atomic.Bool
	noFile atomic.Bool
}

// NewTurnout returns that of an engine, whose log it is.
func NewTurnout(log *slog.Logger) *Turnout {
	return &Turnout{log: log, stems: make(map[string]int)}
}

// Bringing returns how many requests bring a name with this stem (media.NameStem).
func (t *Turnout) Bringing(stem string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stems[stem]
}

// enter notes that a request brings a name, and reports whether another one
// does.
func (t *Turnout) enter(stem string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stems[stem]++
	return t.stems[stem] > 1
}

func (t *Turnout) leave(stems []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, stem := range stems {
		if t.stems[stem]--; t.stems[stem] == 0 {
			delete(t.stems, stem)
		}
	}
}

// late and inTime log the changes between being ready in time and not.
func (t *Turnout) late(err error) {
	if !t.isLate.Swap(true) {
		t.log.Warn("this server was not ready for a request in time: names may be given twice until it is (both files are kept)", "error", err)
	}
}

func (t *Turnout) inTime() {
	if t.isLate.Load() && t.isLate.Swap(false) {
		t.log.Info("this server is ready for uploads again")
	}
}

// warnOver logs, once, that there are requests whose names cannot all be found.
func (t *Turnout) warnOver() {
	if !t.isOver.Swap(true) {
		t.log.Warn("a request brings more or longer file names than are looked at, or a body that cannot be read; such uploads go on without a claim on their names")
	}
}

// warnNoFile logs, once, that bodies cannot be gathered in files.
func (t *Turnout) warnNoFile(err error) {
	if !t.noFile.Swap(true) {
		t.log.Warn("uploads cannot be kept in temporary files until all of them is there, so slow ones may keep names from others for a time; see to TMPDIR",
			slog.Any("error", err))
	}
}

// refuse answers a request that must not reach the app.
func refuse(w http.ResponseWriter, err error) error {
	if _, ok := errors.AsType[*errNotReady](err); !ok {
		return &Error{statusClientClosed, err}
	}
	setRetryAfter(w.Header())
	return &Error{http.StatusServiceUnavailable, err}
}
