package offload

import (
	"context"
	"fmt"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// staleAfter is the age at which something unfinished in the bucket is no work
// of another node any more.
const staleAfter = 24 * time.Hour

// probeTimeout bounds the trying out of the store.
const probeTimeout = time.Minute

// probeStore finds out, once, what the store can do. Stores are not trusted by
// name: some take a condition and ignore it.
func (e *Engine) probeStore(ctx context.Context) error {
	if e.probed {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	if err := e.removeProbes(ctx); err != nil {
		return fmt.Errorf("trying out the bucket: %w", err)
	}
	caps, err := e.store.Probe(ctx, e.cfg.ControlPrefix, e.cfg.ControlPrefix, e.cfg.PrivatePrefix)
	if err != nil {
		return fmt.Errorf("trying out the bucket: %w", err)
	}
	if e.cfg.Local == LocalAll {
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

// removeProbes removes what is left of a probe whose process was killed. Where
// other nodes may be trying the bucket out just now, only what is old goes.
func (e *Engine) removeProbes(ctx context.Context) error {
	var left []string
	for info, err := range e.control().List(ctx, e.cfg.ControlPrefix+"probe-", "") {
		if bucket.IsUnlisted(err) {
			continue
		}
		if err != nil {
			return err
		}
		if e.cfg.Local == LocalAll && time.Since(info.Stored) < staleAfter {
			continue
		}
		if left = append(left, info.Key); len(left) == deleteBatch {
			break // the rest is for the next start
		}
	}
	if len(left) == 0 {
		return nil
	}
	return e.store.Delete(ctx, left...)
}

// HiddenObjects returns the names of objects that no visitor should be able to
// read, one of a private file and one of the control objects if there are any, and
// what the names of public objects begin with.
func (e *Engine) HiddenObjects(ctx context.Context) (names []string, public string, err error) {
	for _, prefix := range []string{e.cfg.PrivatePrefix, e.cfg.ControlPrefix} {
		for info, err := range e.control().List(ctx, prefix, "") {
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
