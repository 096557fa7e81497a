package health

import (
	"context"
	"fmt"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// StaleAfter is the age at which something unfinished in the bucket is no work
// of another node any more.
const StaleAfter = 24 * time.Hour

// Probe finds out what the store can do below a prefix of control objects. Stores are not
// trusted by name: some take a condition and ignore it. closed are prefixes that nobody
// may read without credentials. several: other nodes may be trying it out just now.
func Probe(ctx context.Context, store bucket.Store, prefix string, several bool, closed ...string) (bucket.Capabilities, error) {
	if err := removeProbes(ctx, store, prefix, several); err != nil {
		return bucket.Capabilities{}, fmt.Errorf("trying out the bucket: %w", err)
	}
	caps, err := store.Probe(ctx, prefix, closed...)
	if err != nil {
		return bucket.Capabilities{}, fmt.Errorf("trying out the bucket: %w", err)
	}
	return caps, nil
}

// maxProbes bounds what is removed at one start; the rest is for the next.
const maxProbes = 1000

// removeProbes removes what is left of a probe whose process was killed. Where
// other nodes may be trying the bucket out just now, only what is old goes.
func removeProbes(ctx context.Context, store bucket.Store, prefix string, several bool) error {
	var left []string
	for info, err := range store.List(ctx, prefix+bucket.ProbeName, "") {
		if bucket.IsUnlisted(err) {
			continue
		}
		if err != nil {
			return err
		}
		if several && time.Since(info.Stored) < StaleAfter {
			continue
		}
		if left = append(left, info.Key); len(left) == maxProbes {
			break
		}
	}
	if len(left) == 0 {
		return nil
	}
	return store.Delete(ctx, left...)
}
