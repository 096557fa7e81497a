package web

import (
	"net/http"
	"strings"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload"
)

// A media file that names others, and is to be used at home, is read here and not
// at the public URL. What it names may come from there all the same: so where a
// browser reads it to use it, it is rewritten in passing, as a page is. On disk and
// in the bucket it stays byte for byte, and so do X-Accel answers, private files, and
// what an app or an editor reads to go on working with it.

// passing returns how to rewrite the file of a key in passing, nil if its bytes are
// to stay. What is rewritten has no ranges.
func (h *Handler) passing(w http.ResponseWriter, r *http.Request, q *requestPaths, place media.Place, key string) *page {
	contentType := media.NamingType(key)
	if h.rewriter == nil || place == media.PlaceAnywhere || media.IsScript(contentType) {
		return nil
	}
	// Either kind of answer works for every reader, so a cache that does not keep
	// them apart does no harm.
	w.Header().Add("Vary", secFetchDest)
	if !readToBeUsed(r, contentType) {
		return nil
	}
	return h.newPage(r, q)
}

// placeOf returns from where the file of a key may be used by what is in it.
func placeOf(engine *offload.Engine, key string) media.Place {
	if media.NamingType(key) == "" || engine.Class(key) != media.Public {
		return media.PlaceAnywhere
	}
	_, place, _ := engine.Public([]byte(key))
	return place
}

// readToBeUsed reports whether a request for a file of a media type is a browser's
// that applies, shows or plays it. What it is for stands in Sec-Fetch-Dest (Fetch
// Metadata), if the site has HTTPS and the browser is not older than 2023; else
// browsers are told from apps by what they call themselves.
func readToBeUsed(r *http.Request, contentType string) bool {
	switch r.Header.Get(secFetchDest) {
	case "":
		return strings.HasPrefix(r.Header.Get("User-Agent"), "Mozilla/")
	case "image": // what a picture names is not loaded
		return false
	case "empty": // a script reads it: a player its playlist, an editor anything else
		return contentType == "application/dash+xml" || strings.HasSuffix(contentType, "mpegurl")
	case "document": // it was opened, or saved
		return media.IsDocument(contentType) || contentType == media.SVG
	}
	return true
}

// withoutRange returns r as a request for the whole (RFC 9110, section 14.2: a
// server may ignore the header).
func withoutRange(r *http.Request) *http.Request {
	if len(r.Header["Range"]) == 0 {
		return r
	}
	r2 := r.WithContext(r.Context())
	r2.Header = r.Header.Clone()
	r2.Header.Del("Range")
	r2.Header.Del("If-Range")
	return r2
}

// wayOf returns how a file is served that is not on disk. What names others by
// where it is, and is to be used at home, or would be read from an address where
// nothing lies beside it, is streamed; so is what the browser fetches in a way in which
// another host would not do.
func (h *Handler) wayOf(r *http.Request, key string, place media.Place) Serve {
	switch {
	case place != media.PlaceAnywhere, !isFetchedAnywhere(r),
		h.config.Serve == ServePresign && media.NamingType(key) != "",
		h.config.Serve == ServeRedirect && h.plainPublic && h.isSecure(r):
		return ServeProxy
	}
	return h.config.Serve
}

// isFetchedAnywhere reports whether what asks takes a file from any host. Who does not say
// is taken to.
func isFetchedAnywhere(r *http.Request) bool {
	switch r.Header.Get(secFetchMode) {
	case "", "no-cors":
		return true
	}
	return isVisit(r)
}
