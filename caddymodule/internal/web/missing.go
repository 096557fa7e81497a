package web

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload"
)

// errMissing goes to the error routes and the log.
var errMissing = errors.New("neither the disk nor the bucket has the file")

// serveMissing answers a request for a public media file that the bucket just
// said it does not have. To ask an app that would not make it either only
// costs time: WordPress takes as long as for a page to say so.
func (h *Handler) serveMissing(w http.ResponseWriter, r *http.Request, next Next, engine *offload.Engine, key string) error {
	if h.config.MissingIsForApp || !h.site.MadeBeforehand(key) || !h.hasReconciled(engine) || h.onDisk(key) {
		return next.ServeHTTP(w, r)
	}
	// The file may come a moment later.
	w.Header().Set("Cache-Control", "no-cache")
	return &Error{http.StatusNotFound, errMissing}
}

// hasReconciled reports whether the engine has compared disk and bucket since
// it was started. Before, a file may be about to be found.
func (h *Handler) hasReconciled(engine *offload.Engine) bool {
	if h.reconciled.Load() == engine || engine.Guard().IsGuest() { // a guest compares nothing
		return true
	}
	if engine.Stats().Reconciled.IsZero() {
		return false
	}
	h.reconciled.Store(engine)
	return true
}

// onDisk reports whether something has the file's name that the engine does
// not keep in the bucket, but the next handler may serve: what a symlink leads
// to.
func (h *Handler) onDisk(key string) bool {
	root, rel, ok := h.site.Locate(key)
	if !ok {
		return true
	}
	_, err := os.Stat(filepath.Join(h.site.Roots()[root].Dir, filepath.FromSlash(rel)))
	return !errors.Is(err, fs.ErrNotExist)
}
