package caddymodule

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/web"
	"go.uber.org/zap"
)

// ServeHTTP sends a request its way, see package web.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	err := h.web.ServeHTTP(w, r, next)
	if failed, ok := errors.AsType[*web.Error](err); ok {
		return caddyhttp.Error(failed.Status, failed.Err)
	}
	return err
}

// newWeb returns the ways of requests that the config asks for.
func (h *Handler) newWeb(cache *cachePolicy) (*web.Handler, error) {
	config := web.Config{
		Site:    h.site,
		Engine:  h.engine.engine,
		Acquire: h.engine.use,
		Server:  caddyServer{},
		Log:     h.engine.log.logger(),

		Health: h.Health,

		PublicURL:  h.PublicURL,
		Public:     h.public,
		URLVersion: h.URLVersion,
		SiteHosts:  h.SiteHosts,

		Serve:           web.Serve(h.Serve),
		PresignTTL:      time.Duration(h.PresignTTL),
		MissingIsForApp: h.Missing == missingApp,
		DenyPrivate:     h.PrivateReads == privateDeny,
		CacheControl:    cache.value,

		Hold:          time.Duration(h.Hold),
		HoldBuffer:    int(h.HoldBuffer),
		ReadyWait:     time.Duration(h.ReadyWait),
		Reject:        h.OnFailure == onFailureReject,
		SlowBody:      h.SlowBody,
		SlowBodyAfter: time.Duration(h.SlowBodyAfter),
	}
	if h.App != nil {
		config.BasePath = h.App.BasePath
	}
	return web.New(config)
}

// use returns the engine for a request, started, or nil; see acquire.
func (e *sharedEngine) use() web.Use {
	used := e.acquire()
	if used == nil {
		return nil
	}
	used.start()
	return used
}

// Engine implements web.Use.
func (e *sharedEngine) Engine() *offload.Engine { return e.engine }

// Turnout implements web.Use.
func (e *sharedEngine) Turnout() *web.Turnout { return e.turnout }

// Release implements web.Use.
func (e *sharedEngine) Release() { e.release() }

// caddyServer is what Caddy knows of a request.
type caddyServer struct{}

// OriginalURL is the URL before rewrite, try_files and handle_path.
func (caddyServer) OriginalURL(r *http.Request) *url.URL {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		return original.URL
	}
	return nil
}

// WithOriginalURL implements web.Server.
func (caddyServer) WithOriginalURL(ctx context.Context, u *url.URL) context.Context {
	original, ok := ctx.Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok {
		return ctx
	}
	original.URL = u
	return context.WithValue(ctx, caddyhttp.OriginalRequestCtxKey, original)
}

// ClientIP is the address that trusted_proxies lets Caddy believe in.
func (caddyServer) ClientIP(r *http.Request) string {
	address, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	return address
}

// FromTrustedProxy reports whether trusted_proxies names the peer.
func (caddyServer) FromTrustedProxy(r *http.Request) bool {
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	return trusted
}

// Note adds a field to the access log.
func (caddyServer) Note(r *http.Request, attr slog.Attr) {
	fields, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields)
	if !ok {
		return
	}
	switch v := attr.Value; v.Kind() {
	case slog.KindDuration:
		fields.Set(zap.Duration(attr.Key, v.Duration()))
	case slog.KindInt64:
		fields.Set(zap.Int64(attr.Key, v.Int64()))
	default:
		fields.Set(zap.Any(attr.Key, v.Any()))
	}
}

var (
	_ web.Server = caddyServer{}
	_ web.Use    = (*sharedEngine)(nil)
)
