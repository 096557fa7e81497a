package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/naming"
)

// retryAfter is what clients are told to wait when the bucket does not answer.
const retryAfter = 5 * time.Second

// keptOnReject are header fields of the app's answer that stay in the 503
// which takes its place. With this one WordPress' uploader asks again whether
// the upload succeeded, instead of leaving a broken attachment behind; that
// request waits for the files, too.
var keptOnReject = []string{"X-Wp-Upload-Attachment-Id"}

// serveWrite passes on a request that may write media and holds the answer
// until what was written is committed. A client whose file did not get the name
// that the app gave it is told a failure, whatever on_failure says: behind that
// name is another picture. p says how to rewrite the answer (nil:
// not at all).
//
// (Promise 1: "Durable before visible." Promise 6: "Before PHP runs for an
// upload, the node has caught up with the change log.")
func (h *Handler) serveWrite(w http.ResponseWriter, r *http.Request, next Next, use Use, q *requestPaths, p *page) error {
	req := h.begin(r, use.Engine())
	defer req.End()
	g := h.newGate(r, q, use.Turnout(), req)
	defer g.close()
	defer g.note(h.config.Server, r)
	inHeader := g.named()
	toApp, err := g.gather(g.withNames(g.withEnd(r), h.site), inHeader)
	if err != nil {
		return refuse(w, err)
	}
	toApp = h.withLocalURLs(h.withPace(toApp, g), q, &g.head)
	if err := g.enter(r, inHeader); err != nil {
		return refuse(w, err)
	}
	if g.early {
		req.AppRuns()
	}
	toApp = g.withHeldEnd(toApp)
	if p != nil {
		toApp = p.toApp(toApp)
	}
	rw := newResponseWriter(w, h.holding(r), p)
	defer rw.close()
	err = next.ServeHTTP(rw, toApp)
	rw.noMore()
	if rw.hijacked { // not HTTP any more: nothing to hold
		return err
	}
	var endErr error
	if err == nil {
		endErr = rw.endBody()
	}
	waitErr := h.wait(r, req)
	if refusal := g.refusal(); refusal != nil {
		return reject(rw, refusal, keptOnReject)
	}
	_, collided := errors.AsType[*naming.CollisionError](waitErr)

	rejected := waitErr != nil && h.config.Reject && !collided
	if rejected {
		req.Fail()
	}
	req.End() // how long its client takes for the answer keeps the names from nobody
	switch {
	case err != nil:
		return rw.fail(err)
	case endErr != nil:
		return rw.breakOff(&Error{http.StatusBadGateway, endErr})
	case collided:
		// No field is kept: what the app has made is not to be asked for.
		return reject(rw, waitErr, nil)
	case rejected:
		return reject(rw, waitErr, keptOnReject)
	}
	_ = rw.release() // an error here means that the client went away
	return nil
}

// holding says how the answer to r is held.
func (h *Handler) holding(r *http.Request) holding {
	return holding{buffer: h.config.HoldBuffer, time: h.config.Hold, head: r.Method == http.MethodHead}
}

// begin notes that r is about to be passed on. Where the watcher is not up yet,
// it waits for that, as long as it would hold the answer.
func (h *Handler) begin(r *http.Request, engine *offload.Engine) *offload.Request {
	ctx, cancel := context.WithTimeout(r.Context(), h.config.Hold)
	defer cancel()
	req := engine.Begin(ctx, h.clientOf(r))
	req.For(r.Host)
	req.ComesFrom(h.networkOf(r))
	return req
}

// wait waits until what the request wrote is committed, at most for the
// configured time. The result goes to the access log; the engine logs changes
// of state.
func (h *Handler) wait(r *http.Request, req *offload.Request) error {
	// The request's context, not the configuration's: a reload must not end it.
	ctx, cancel := withPatience(r.Context(), h.config.Hold)
	defer cancel()
	begun := time.Now()
	err := req.Wait(ctx)
	h.config.Server.Note(r, slog.Duration("media_offload_hold", time.Since(begun)))
	if pending, ok := errors.AsType[*offload.PendingError](err); ok {
		h.config.Server.Note(r, slog.Int("media_offload_pending", pending.Count))
	}
	return err
}

// reject puts a 503 in the place of the app's answer, but for some of its header
// fields, or aborts the connection if part of that is out already.
func reject(rw *responseWriter, cause error, keep []string) error {
	kept := make(http.Header)
	for _, name := range keep {
		if values, ok := rw.Header()[name]; ok {
			kept[name] = values
		}
	}
	err := rw.breakOff(&Error{http.StatusServiceUnavailable, cause})
	hdr := rw.ResponseWriter.Header()
	for name, values := range kept {
		hdr[name] = values
	}
	setRetryAfter(hdr)
	return err
}

func setRetryAfter(hdr http.Header) {
	hdr.Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
}

// clientOf identifies the client across requests, well enough to let a retry
// wait for what the first try wrote.
func (h *Handler) clientOf(r *http.Request) string {
	address := h.config.Server.ClientIP(r)
	if address == "" {
		address = r.RemoteAddr
	}
	return address + " " + r.UserAgent()
}
