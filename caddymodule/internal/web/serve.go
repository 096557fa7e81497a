package web

import (
	"net/http"
	"net/url"
)

// ServeHTTP sends a request one of four ways: media read, may write, page, or
// straight to the next handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next Next) error {
	if h.isHealth(r) {
		return h.serveHealth(w, r)
	}
	if isTunnel(r) {
		if h.closedTunnel(r) {
			return &Error{http.StatusNotFound, errPrivate}
		}
		return next.ServeHTTP(w, r)
	}
	use := h.config.Acquire()
	if use == nil { // the site was taken out of the configuration
		return next.ServeHTTP(w, r)
	}
	defer use.Release()
	engine := use.Engine()
	next = h.withSendfile(next, engine)

	q := h.newRequestPaths(r)
	if h.closed(engine, &q) {
		return &Error{http.StatusNotFound, errPrivate}
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		if key, isMedia := h.mediaKey(r, &q); key != "" {
			return h.serveMedia(w, r, &q, next, engine, key)
		} else if isMedia {
			return next.ServeHTTP(w, r)
		}
	}
	p := h.newPage(r, &q)
	if len(r.Header["If-Match"]) > 0 {
		r = withAppTags(r)
	}
	switch {
	case h.mayWrite(r, &q):
		return h.serveWrite(w, r, next, use, &q, p)
	case p != nil:
		return h.servePage(w, r, next, p)
	}
	return next.ServeHTTP(w, r)
}

// isTunnel reports whether what follows the answer's header may not be HTTP:
// CONNECT (WebSocket over HTTP/2 and 3, RFC 8441 and 9220) and upgrades. Only a
// GET can be one here, or the header would be a way around the hold.
func isTunnel(r *http.Request) bool {
	return r.Method == http.MethodConnect ||
		r.Method == http.MethodGet && len(r.Header["Upgrade"]) > 0
}

// requestPaths are the URL that the client sent and the one that the request
// has by now: rewrite, try_files and handle_path run before this handler.
type requestPaths struct {
	original, current *url.URL
}

func (h *Handler) newRequestPaths(r *http.Request) requestPaths {
	q := requestPaths{original: r.URL, current: r.URL}
	if u := h.config.Server.OriginalURL(r); u != nil {
		q.original = u
	}
	return q
}

// rewritten reports whether the path was rewritten on the way here.
func (q *requestPaths) rewritten() bool {
	return q.original != q.current && (q.original.Path != q.current.Path || q.original.RawQuery != q.current.RawQuery)
}

// mediaKey returns the key of the media file that r asks for; isMedia tells
// whether r asks for anything below a media URL.
//
// A path that was rewritten to a media URL counts as such: the admin wanted it.
// Otherwise the client's path counts: try_files may have turned a missing file
// into /index.php, and handle_path may have cut a prefix off.
func (h *Handler) mediaKey(r *http.Request, q *requestPaths) (key string, isMedia bool) {
	path := q.current.EscapedPath()
	if key, ok := h.site.KeyOfPath(path); ok {
		return key, true
	}
	isMedia = h.site.IsMediaURL(path)
	if isMedia || !q.rewritten() {
		return "", isMedia
	}
	path = q.original.EscapedPath()
	if key, ok := h.site.KeyOfPath(path); ok {
		return key, true
	}
	return "", h.site.IsMediaURL(path)
}

// mayWrite reports whether r may write or delete media.
func (h *Handler) mayWrite(r *http.Request, q *requestPaths) bool {
	return h.site.MayWrite(r.Method, q.original.Path, q.original.RawQuery) ||
		q.rewritten() && h.site.MayWrite(r.Method, q.current.Path, q.current.RawQuery)
}
