package web

import (
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload"
)

// errPrivate goes to the error routes and the log. The client is not told that
// there is such a file.
var errPrivate = errors.New("the file is private, and private_reads is deny")

// closed reports whether a request is for a private file by its own URL. Apache
// would refuse it by the app's .htaccess, which no other server reads:
// file_server would send it to all who know the URL. The method does not matter:
// file_server lists directories by any.
//
// A path that was rewritten to another one is that one's to judge, unless only
// its beginning was cut off.
//
// (Promise 7: "Private stays private.")
func (h *Handler) closed(engine *offload.Engine, q *requestPaths) bool {
	if !h.config.DenyPrivate {
		return false
	}
	if h.closedPath(engine, q.current.Path) {
		return true
	}
	return q.rewritten() && strings.HasSuffix(cleaned(q.original.Path), cleaned(q.current.Path)) && h.closedPath(engine, q.original.Path)
}

// cleaned is a decoded path in the form in which file_server looks it up. It
// does not allocate for one that is clean but for a slash at its end.
func cleaned(decoded string) string {
	if rest := strings.TrimSuffix(decoded, "/"); strings.HasPrefix(rest, "/") {
		return path.Clean(rest)
	}
	return path.Clean("/" + decoded)
}

// closedPath judges a decoded path. Another form of it must not be a way in.
func (h *Handler) closedPath(engine *offload.Engine, decoded string) bool {
	key, ok := h.site.KeyOfFile(cleaned(decoded))
	if !ok {
		return false
	}
	if engine.Closed(key) {
		return h.onDisk(key) // for what is not there, the app has an answer
	}
	// A directory's own URL may show what is in it.
	return strings.HasSuffix(decoded, "/") && engine.Closed(key+"/a") && h.onDisk(key)
}

// closedTunnel is closed for a request that is passed on as it is: to ask for
// another protocol must not be a way in either.
func (h *Handler) closedTunnel(r *http.Request) bool {
	use := h.config.Acquire()
	if use == nil {
		return false
	}
	defer use.Release()
	q := h.newRequestPaths(r)
	return h.closed(use.Engine(), &q)
}

// noteRedirect tells the log if an answer of the app's sends the client to a private
// file, which it will not get: WooCommerce's "redirect only" does. Once is enough:
// all such downloads end like that.
func (h *Handler) noteRedirect(r *http.Request, hdr http.Header, engine *offload.Engine) {
	if !h.config.DenyPrivate || h.toldOfRedirect.Load() {
		return
	}
	u, err := url.Parse(hdr.Get("Location"))
	if err != nil || u.Path == "" || u.Host != "" && !h.isSiteOrigin("https://"+u.Host, r.Host) || !h.closedPath(engine, u.Path) {
		return
	}
	if !h.toldOfRedirect.Swap(true) {
		h.config.Log.Warn("the app sends visitors to a private file by a redirect; they get status 404: "+
			"have the app send the file itself or name it by X-Accel-Redirect or X-Sendfile, which this module sends "+
			"(in WooCommerce: Products, Downloadable products, File download method), or set private_reads app, and then "+
			"anyone who knows the address gets it (docs/apps.md: Private downloads)",
			"from", r.URL.Path, "to", u.Path)
	}
}
