package offload

import (
	"context"
	"fmt"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/health"
)

// probeTimeout bounds the trying out of the store.
const probeTimeout = time.Minute

// probeStore finds out, once, what the store can do, and by that whether there may be
// several nodes.
func (e *Engine) probeStore(ctx context.Context) error {
	if e.probed {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	several := e.cfg.Local == LocalAll
	caps, err := health.Probe(ctx, e.store, e.cfg.ControlPrefix, several, e.cfg.ControlPrefix, e.cfg.PrivatePrefix)
	if err != nil {
		return err
	}
	if several {
		if err := e.join(ctx, caps.Coordinates(), caps.Missing); err != nil {
			return err
		}
	}
	e.probed = true
	for _, warning := range caps.Warnings {
		e.log().Warn("the bucket is not set up well: "+warning, keyBucket, e.store.String())
	}
	switch {
	case caps.Coordinates():
		e.log().Info("the bucket works and has what several nodes need", keyBucket, e.store.String())
	case e.cfg.Local == LocalOwn:
		e.log().Info("the bucket works for one node", keyBucket, e.store.String(), "missing_for_several", caps.Missing)
	}
	return nil
}

// HiddenObjects returns the names of objects that no visitor should be able to
// read, one of a private file and one of the control objects if there are any, and
// what the names of public objects begin with.
func (e *Engine) HiddenObjects(ctx context.Context) (names []string, public string, err error) {
	for _, prefix := range []string{e.cfg.PrivatePrefix, e.cfg.ControlPrefix} {
		for info, err := range e.control.List(ctx, prefix, "") {
			if bucket.IsUnlisted(err) {
				continue
			}
			if err != nil {
				return nil, "", fmt.Errorf("looking for an object below %s: %w", prefix, err)
			}
			names = append(names, info.Key)
			break
		}
	}
	return names, e.cfg.PublicPrefix, nil
}
