package offload

import (
	"path"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
)

// Closed reports whether the file of a key must not be sent at its own URL, see
// media.Site.Closed. What lies behind a symlink that leads out of the root is
// judged by its name alone: the .htaccess there is not read. So are the module's own
// files, which tell of private ones.
func (e *Engine) Closed(key string) bool {
	if e.site.Closed(key, nil) || local.Own(key) {
		return true
	}
	root, rel, ok := e.site.Locate(key)
	return ok && (e.site.Closed(key, e.htaccess.of) && e.inTree(root, rel) || e.bearsKept(key, root, rel))
}

// inTree reports whether a file or directory, or the directory that it is in,
// lies in the root.
func (e *Engine) inTree(root int, rel string) bool {
	tree := e.trees[root]
	if _, err := tree.Stat(rel); err == nil {
		return true
	}
	for _, dir := range [...]string{rel, path.Dir("/" + rel)[1:]} {
		if _, err := tree.StatDir(dir); err == nil {
			return true
		}
	}
	return false
}
