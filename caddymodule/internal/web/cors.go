package web

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/publiccheck"
)

// A page may use a font of another origin, or read a picture of it in a canvas,
// only if the answer allows its origin (Fetch standard, section 3.3, "CORS
// protocol"). Once the public URL is on another host, that concerns media.
// Where this module answers under that host, or a CDN fetches from it, it
// allows the site's own hosts, and any page to embed the files. These are simple requests: no preflight comes
// before them.

// corsHosts are the hosts besides the request's whose pages may read media, in
// lower case and without ports.
func (h *Handler) corsHosts() []string {
	hosts := make([]string, len(h.config.SiteHosts))
	for i, host := range h.config.SiteHosts {
		hosts[i] = hostname(host)
	}
	return hosts
}

// hasCORS reports whether media of this site are used by pages of another host.
func (h *Handler) hasCORS() bool { return h.config.PublicURL != "" || len(h.config.SiteHosts) > 0 }

// withCORS returns the writer for the answer to a read of a media file, which
// allows the origin that asks if it is one of the site's.
//
// (Promise 7: "Private stays private.")
func (h *Handler) withCORS(w http.ResponseWriter, r *http.Request, engine *offload.Engine, key string) http.ResponseWriter {
	if !h.hasCORS() {
		return w
	}
	// Also for those who are not allowed, or do not ask: a cache must not give
	// their answer to one who is.
	w.Header().Add("Vary", "Origin")
	if engine.Class(key) != media.Public {
		return w
	}
	cw := &corsWriter{wrapper: wrapper{w}}
	if origin := r.Header["Origin"]; len(origin) == 1 && h.isSiteOrigin(origin[0], r.Host) {
		cw.origin = origin[0]
	}
	return cw
}

// isSiteOrigin reports whether an origin is one of the site's: of the host that
// is asked, or of one that the configuration names, with any port.
func (h *Handler) isSiteOrigin(origin, host string) bool {
	scheme, rest, ok := strings.Cut(origin, "://")
	if !ok || scheme != "https" && scheme != "http" {
		return false
	}
	name := hostname(rest)
	return name != "" && (name == hostname(host) || slices.Contains(h.originHosts, name))
}

// corsWriter allows one origin to read the answer, and pages that require
// Cross-Origin-Resource-Policy to embed it, unless the next handler said who may.
// (Pages that do not require it may embed what is public anyway.)
type corsWriter struct {
	wrapper
	origin  string // "": none
	decided bool
}

// WriteHeader implements http.ResponseWriter.
func (w *corsWriter) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.decide()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *corsWriter) decide() {
	if w.decided {
		return
	}
	w.decided = true
	hdr := w.Header()
	if w.origin != "" && len(hdr[publiccheck.AllowOrigin]) == 0 {
		hdr.Set(publiccheck.AllowOrigin, w.origin)
	}
	if len(hdr[publiccheck.ResourcePolicy]) == 0 {
		hdr.Set(publiccheck.ResourcePolicy, "cross-origin")
	}
}

// Write implements http.ResponseWriter.
func (w *corsWriter) Write(p []byte) (int, error) {
	w.decide()
	return w.ResponseWriter.Write(p)
}

// ReadFrom keeps sendfile.
func (w *corsWriter) ReadFrom(r io.Reader) (int64, error) {
	w.decide()
	return w.wrapper.ReadFrom(r)
}

// FlushError implements the flushing of http.ResponseController.
func (w *corsWriter) FlushError() error {
	w.decide()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// withoutCORS returns the writer for an answer that the app lets this module
// send: who may read it is for the app to say.
func withoutCORS(w http.ResponseWriter) http.ResponseWriter {
	if cw, ok := w.(*corsWriter); ok {
		return cw.ResponseWriter
	}
	return w
}

var (
	_ http.ResponseWriter = (*corsWriter)(nil)
	_ io.ReaderFrom       = (*corsWriter)(nil)

	_ interface{ FlushError() error } = (*corsWriter)(nil)
)

// hostname returns a host without its port, in lower case.
func hostname(host string) string {
	u := url.URL{Host: strings.ToLower(host)}
	return u.Hostname()
}
