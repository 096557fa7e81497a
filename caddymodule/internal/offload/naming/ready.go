package naming

import (
	"context"
	"fmt"
)

// Others is what there is to see of other nodes before an app may choose a name.
type Others interface {
	// AllKnown returns when the names of all media are known; an error says that they
	// will not be soon.
	AllKnown(ctx context.Context) error
	// Several reports whether other nodes write too.
	Several() bool
	// During returns a context that ends with ctx or, with the reason as its cause, when
	// other nodes are out of reach. done frees it.
	During(ctx context.Context) (_ context.Context, done func())
	// CatchUp reads what other nodes have told until the call.
	CatchUp(ctx context.Context) error
	// Bring brings to this disk what they told of, as far as it is waited for: see Ready.
	Bring(ctx context.Context, stems []string, resembles func(key string) bool) error
}

// Ready returns nil when the app may see the end of the request: its names are
// claimed, and what other nodes wrote before is on disk, so that the app's own
// look at the disk is right. Before means: before they gave up one of the names,
// and before the call or, if the request has names, before the first one came and
// two seconds before the call. An error (the bucket does not answer, which is
// waited for for some seconds at most; ctx ended) says that this cannot be
// promised; the request may go on all the same, for what collides is kept
// twice, never lost. Of a node that writes alone, only its own requests are waited for.
//
// Files of other nodes larger than 32 MiB, and such as were tried to be fetched some
// times in vain, are waited for only if their names resemble one of the request's. So
// are, while a new node fills its disk, files that were in the bucket before.
//
// (Promise 6: "Before PHP runs for an upload, the node has caught up with the
// change log, so that the app's own check whether a name is taken […] is right.")
func (n *Names) Ready(ctx context.Context) error {
	err := n.becomeReady(ctx)
	n.mu.Lock()
	n.ready = err == nil
	n.mu.Unlock()
	n.book.add(n)
	return err
}

func (n *Names) becomeReady(ctx context.Context) error {
	others := n.book.cfg.Others
	if err := others.AllKnown(ctx); err != nil {
		return err
	}
	if !others.Several() {
		return n.await(ctx)
	}
	reached, done := others.During(ctx)
	defer done()
	err := n.seeOthers(reached)
	for err == nil && !n.hasLeases() {
		err = n.seeOthers(reached) // the names were lost meanwhile
	}
	if err != nil && ctx.Err() == nil && reached.Err() != nil {
		return fmt.Errorf("waiting for the bucket: %w", context.Cause(reached))
	}
	return err
}

// await waits for other requests of this node.
func (n *Names) await(ctx context.Context) error {
	claim := n.claimed()
	if claim == nil {
		return nil
	}
	return waiting(claim.Wait(ctx))
}

// seeOthers claims the names and brings what other nodes wrote before.
func (n *Names) seeOthers(ctx context.Context) error {
	if err := n.catchUp(ctx); err != nil {
		return err
	}
	stems, resembles := n.resembles()
	return n.book.cfg.Others.Bring(ctx, stems, resembles)
}

// catchUp claims the names and reads what was in the change log at the call, and
// what those wrote who had the names before.
func (n *Names) catchUp(ctx context.Context) error {
	claim := n.claimed()
	if claim == nil {
		return n.book.cfg.Others.CatchUp(ctx)
	}
	return waiting(claim.CatchUp(ctx))
}

// hasLeases reports whether the request has the leases of its names.
func (n *Names) hasLeases() bool {
	claim := n.claimed()
	return claim == nil || claim.Held()
}
