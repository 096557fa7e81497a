package offload

import (
	"context"
	"slices"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/watch"
)

// followMoves notes which names went because a file or directory was renamed
// within the roots. Their objects go whoever renamed it, and not before those of
// the new names are there. The caller holds the queue's lock.
func (e *Engine) followMoves(events []watch.Event) {
	var moved []*work.Item
	for i := range events {
		ev := &events[i]
		k, ok := movedKind(ev)
		if !ok {
			continue
		}
		it := e.queue.At(k.ItemKey(e.site.Key(ev.Root, ev.Path)))
		if it == nil {
			continue // not media
		}
		it.MovedTo, it.MovedAt, it.Followed = e.site.Key(ev.ToRoot, ev.To), it.Gen, false
		moved = append(moved, it)
		if k == work.DirGone {
			moved = append(moved, e.queue.MovedBelow(it)...)
		}
	}
	now := time.Now()
	for _, it := range moved {
		e.queue.AwaitArrivals(it, now)
	}
}

// movedKind is the kind of the item of what was renamed.
func movedKind(ev *watch.Event) (k work.Kind, ok bool) {
	switch {
	case ev.To == "" || ev.Path == "":
		return 0, false
	case ev.Op == watch.Gone:
		return work.File, true
	case ev.Op == watch.DirGone:
		return work.DirGone, true
	}
	return 0, false
}

// followed returns those of the items whose turn has come. What was renamed again
// meanwhile has to be committed under its last name first; of that there may be
// events which were not delivered when the item was last looked at.
func (e *Engine) followed(gone []*work.Task) (ready []*work.Task) {
	moved := func(s *work.Task) bool { return s.Moved }
	if !slices.ContainsFunc(gone, moved) {
		return gone
	}
	ctx, cancel := context.WithTimeout(e.ctx, callTimeout)
	defer cancel()
	err := e.barrier(ctx)
	now := time.Now()
	for _, s := range gone {
		switch {
		case s.Moved && err != nil:
			e.finish(s, outcome{how: lookAtDisk, gone: true, rest: work.Gather})
		case s.Moved && e.queue.Follow(s.Item, now):
		default:
			ready = append(ready, s)
		}
	}
	return ready
}
