package caddymodule

import (
	"errors"
	"net/url"
	"path"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload"
)

// What answers a read of a private file by its own URL, see
// Handler.PrivateReads.
const (
	privateDeny = "deny"
	privateApp  = "app"
)

// errPrivate goes to the error routes and the log. The client is not told that
// there is such a file.
var errPrivate = errors.New("the file is private, and private_reads is deny")

// closed reports whether a read is of a private file by its own URL. Apache
// would refuse it by the app's .htaccess, which no other server reads:
// file_server would send it to all who know the URL. A path that was rewritten
// to another one is that one's to judge.
//
// (Promise 7: "Private stays private.")
func (h *Handler) closed(engine *offload.Engine, q *requestPaths) bool {
	if h.PrivateReads != privateDeny {
		return false
	}
	// In the form in which file_server looks it up, or a detour would be a way in.
	current := url.URL{Path: path.Clean(q.current.Path)}
	key, ok := h.site.KeyOfPath(current.EscapedPath())
	if !ok || engine.Class(key) != media.Private {
		return false
	}
	// What is not on disk, or lies behind a symlink, is not this module's.
	_, err := engine.Local(key)
	return err == nil
}
