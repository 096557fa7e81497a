package web

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload"
)

// maxRanges is how many ranges of an object one request may ask for; each is a
// request to the bucket. With more it gets the whole (RFC 9110, section 14.2:
// a server may ignore the header).
const maxRanges = 8

// statusClientClosed is what Caddy logs when the client went away.
const statusClientClosed = 499

// serveMedia answers a read of a media file.
func (h *Handler) serveMedia(w http.ResponseWriter, r *http.Request, q *requestPaths, next Next, engine *offload.Engine, key string) error {
	place := placeOf(engine, key)
	p := h.passing(w, r, q, place, key)
	if p == nil {
		return h.serveFile(w, r, next, engine, key, place)
	}
	return h.servePage(w, r, nextFunc(func(w http.ResponseWriter, r *http.Request) error {
		return h.serveFile(w, withoutRange(r), next, engine, key, place)
	}), p)
}

// serveFile answers a read of a public media file from the bucket if it is not
// on disk. All else the next handler decides: local files, private ones, and
// those that exist nowhere, which the app may make.
//
// (Promise 7: "Private and ignored files, control objects and the app's code
// are never readable through the public URL or the module.")
func (h *Handler) serveFile(w http.ResponseWriter, r *http.Request, next Next, engine *offload.Engine, key string, place media.Place) error {
	w = h.withCORS(w, r, engine, key)
	if _, err := engine.Local(key); !errors.Is(err, fs.ErrNotExist) || engine.Class(key) != media.Public {
		return next.ServeHTTP(w, r)
	}
	var err error
	switch h.wayOf(r, key, place) {
	case ServeRedirect:
		err = h.redirect(w, r, engine, key)
	case ServePresign:
		err = h.presign(w, r, engine, key)
	default:
		err = proxy(w, r, engine, key, h.describe)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, bucket.ErrNotFound):
		return h.serveMissing(w, r, next, engine, key)
	case errors.Is(err, offload.ErrIgnored):
		return next.ServeHTTP(w, r)
	case r.Context().Err() != nil:
		return &Error{statusClientClosed, err}
	}
	// The object may be there, so "not found" would be a lie that caches keep.
	setRetryAfter(w.Header())
	return &Error{http.StatusServiceUnavailable, err}
}

// redirect sends the client to the public URL.
func (h *Handler) redirect(w http.ResponseWriter, r *http.Request, engine *offload.Engine, key string) error {
	if _, err := engine.Stat(r.Context(), key); err != nil {
		return err
	}
	location := string(appendPublicURL(nil, h.config.PublicURL, key))
	if r.URL.RawQuery != "" {
		location += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusFound)
	return nil
}

// presign sends the client to a URL that expires.
func (h *Handler) presign(w http.ResponseWriter, r *http.Request, engine *offload.Engine, key string) error {
	if _, err := engine.Stat(r.Context(), key); err != nil {
		return err
	}
	location, err := engine.Presign(r.Context(), key, h.config.PresignTTL)
	if err != nil {
		return fmt.Errorf("presigning %s: %w", key, err)
	}
	if h.isSecure(r) && IsPlainPublic(location) {
		return proxy(w, r, engine, key, h.describe)
	}
	w.Header().Add("Vary", secFetchMode+", "+secFetchDest) // see isFetchedAnywhere
	// Half of the time, so that a cached redirect leads to a URL that still
	// works for a while.
	maxAge := strconv.Itoa(int(h.config.PresignTTL / 2 / time.Second))
	w.Header().Set("Cache-Control", "private, max-age="+maxAge)
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusFound)
	return nil
}

// proxy streams the object. An error means that nothing was written. Once
// something was, the connection is aborted rather than ended early, so that
// nobody keeps half an image for the whole.
func proxy(w http.ResponseWriter, r *http.Request, engine *offload.Engine, key string, describe describeFunc) error {
	if strings.Count(r.Header.Get("Range"), ",") >= maxRanges {
		r = withoutRange(r)
	}
	err := proxyOnce(w, r, engine, key, describe)
	if errors.Is(err, bucket.ErrChanged) || errors.Is(err, bucket.ErrRange) {
		// What the engine remembered was out of date; now it knows better.
		err = proxyOnce(w, r, engine, key, describe)
	}
	return err
}

// describeFunc sets the header of an object.
type describeFunc func(hdr http.Header, info bucket.Info, key string)

func proxyOnce(w http.ResponseWriter, r *http.Request, engine *offload.Engine, key string, describe describeFunc) error {
	o, err := openObject(r, engine, key)
	if err != nil {
		return err
	}
	defer o.close()
	hdr := w.Header()
	before := hdr.Clone()
	describe(hdr, o.info, key)
	ow := &objectWriter{wrapper: wrapper{w}, object: o, get: r.Method == http.MethodGet}
	http.ServeContent(ow, r, "", lastModified(o.info), o)
	err = o.failure()
	if err != nil && ow.sent {
		panic(http.ErrAbortHandler)
	}
	if err != nil {
		clear(hdr)
		maps.Copy(hdr, before)
	}
	return err
}

// describe sets the header of an object, as file_server would for the file.
func (h *Handler) describe(hdr http.Header, info bucket.Info, key string) {
	hdr.Set("Content-Type", contentType(info, key))
	hdr.Set("X-Content-Type-Options", "nosniff")
	if etag := entityTag(info); etag != "" {
		hdr.Set("Etag", etag)
	}
	switch {
	case len(hdr["Cache-Control"]) > 0: // the admin's header directive wins
	case info.CacheControl != "":
		hdr.Set("Cache-Control", info.CacheControl)
	default:
		if value := h.config.CacheControl(key, media.Public); value != "" {
			hdr.Set("Cache-Control", value)
		}
	}
}

// contentType returns the type stored with the object. One that a browser runs
// scripts in must be what the name says as well: what another program put
// into the bucket must not become a page of the site.
func contentType(info bucket.Info, key string) string {
	byName := media.ContentType(key, nil)
	switch stored := mediaType(info.ContentType); stored {
	case "", "application/octet-stream", "binary/octet-stream":
		return byName
	case "text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml",
		"text/javascript", "application/javascript":
		if stored != mediaType(byName) {
			return byName
		}
	}
	return info.ContentType
}

// entityTag returns the ETag that Caddy's file_server gives the file (from its
// mtime and size), so that nodes with and without a copy agree. Without an
// mtime it is the store's.
func entityTag(info bucket.Info) string {
	if usefulModTime(info.ModTime) {
		return `"` + strconv.FormatInt(info.ModTime.UnixNano(), 36) + "-" + strconv.FormatInt(info.Size, 36) + `"`
	}
	if info.ETag == "" || strings.ContainsRune(info.ETag, '"') {
		return ""
	}
	return `"` + info.ETag + `"`
}

// lastModified is the file's mtime, else the time it was stored.
func lastModified(info bucket.Info) time.Time {
	if usefulModTime(info.ModTime) {
		return info.ModTime
	}
	return info.Stored
}

// usefulModTime is false for the times that tools set in place of an unknown
// one, as in file_server (Caddy issues 5548 and 7730).
func usefulModTime(t time.Time) bool {
	return !t.IsZero() && t.Unix() != 0 && t.Unix() != 1
}
