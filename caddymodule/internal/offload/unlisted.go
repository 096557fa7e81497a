package offload

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// A listing may leave a part of the bucket out that cannot be looked at
// (bucket.UnlistedError). What lies there is unknown: it is neither absent nor deleted.
// The mark on a file says that it is committed, as between a start and the first
// comparison; other files there are looked at one by one, and so is what a visitor asks
// for. What has no file is neither fetched nor deleted. It ends with the first
// comparison of which a listing leaves nothing out.

// unlisted is what the last comparison of everything could not list.
type unlisted struct {
	mu    sync.Mutex
	parts []*bucket.UnlistedError
}

// status returns what cannot be listed, or nil.
func (u *unlisted) status() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.parts) == 0 {
		return nil
	}
	return fmt.Errorf("%d parts of the bucket cannot be listed, and what lies there is unknown: %w", len(u.parts), u.parts[0])
}

// foundUnlisted notes what a comparison of everything could not list.
func (e *Engine) foundUnlisted(parts []*bucket.UnlistedError) {
	u := &e.unlisted
	u.mu.Lock()
	known := make(map[string]bool)
	for _, p := range u.parts {
		known[p.Key] = true
	}
	ended := len(u.parts) > 0 && len(parts) == 0
	u.parts = parts
	u.mu.Unlock()
	for _, p := range parts {
		if !known[p.Key] {
			e.log().Warn("a part of the bucket cannot be listed: nothing that lies there is taken for deleted, and nothing of it is fetched until it can",
				keyObject, p.Key, "parts", len(parts), keyError, p.Err)
			break // one line for all of them
		}
	}
	if ended {
		e.log().Info("all of the bucket can be listed again", keyBucket, e.store.String())
	}
}

// leavesOut reports whether an error of the listing of a class tells of a part that is left
// out, and not of all.
func (e *Engine) leavesOut(class media.Class, err error) (*bucket.UnlistedError, bool) {
	part, ok := errors.AsType[*bucket.UnlistedError](err)
	return part, ok && !strings.HasPrefix(e.objectName("", class), part.Key)
}
