package dir

import "github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"

// SetHashAtOnce sets up to which size a caller waits for a hash.
func SetHashAtOnce(s bucket.Store, size int64) { s.(*store).hashAtOnce = size }
