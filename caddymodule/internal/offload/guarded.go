package offload

import (
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/deletes"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/identity"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/watch"
)

// Guard returns what knows whose bucket it is, and whether this node may change it.
func (e *Engine) Guard() *identity.Guard { return e.guard }

// guardedNode is the engine as the guard of its bucket sees it.
type guardedNode struct{ e *Engine }

func (n guardedNode) Name() string { return n.e.team.self() }

// BecomeGuest ends the waits of requests, and keeps what has been deleted until now.
func (n guardedNode) BecomeGuest() {
	e := n.e
	e.queue.GiveUp(nil)
	e.queue.Lock()
	defer e.queue.Unlock()
	for it := range e.queue.All() {
		if s := it.Task(); s.IsDelete() && !it.Fresh {
			e.guest.Add(deletes.File{Key: it.Key, Root: it.Root}, it.Kind == work.DirGone, it.In, it.InRequest)
		}
	}
}

// BecomeMember lets the work begin. What a guest deleted is not passed on: nobody knew
// whose files those are.
func (n guardedNode) BecomeMember(wasGuest, joins bool, enter func()) {
	e := n.e
	e.queue.Lock()
	if joins {
		e.joining.begin()
	}
	enter()
	if wasGuest {
		e.queue.Forget(func(it *work.Item) bool { return it.Gone() || it.Kind == work.DirGone })
		e.queue.Since(time.Now())
	}
	e.guest.Clear()
	e.guestForgot = 0
	e.queue.Unlock()
	e.index.Grew() // pages name objects from now on
	if wasGuest {
		e.queue.AllDue(time.Now())
		n.Compare()
	}
}

func (n guardedNode) Joins() bool { return !n.e.joining.isOver() }

func (n guardedNode) Compare() { n.e.recon.want(everything, window{}) }

// Doubt has what is being worked on looked at once more, too, which the comparison leaves
// to those who do.
func (n guardedNode) Doubt() {
	n.e.queue.DoubtRunning()
	n.Compare()
}

func (n guardedNode) Blur() { n.e.recon.blur(everything) }

func (n guardedNode) IsIdle() bool { return n.e.queue.BackgroundLen() == 0 }

func (n guardedNode) Nodes() (alone bool, log identity.Log) {
	switch several, known := n.e.team.nodes(); {
	case !known:
		return false, nil
	case several:
		return false, n.e.team.log
	}
	return true, nil
}

func (n guardedNode) Position() (position uint64, ok bool) {
	e := n.e
	if !e.shared() {
		return 0, false
	}
	position = e.team.log.Stats().Position
	return position, e.queue.HeardLen() == 0 && e.recon.isSettled()
}

func (n guardedNode) Written() uint64 {
	return n.e.count.committed.Load() + n.e.count.deleted.Load()
}

func (n guardedNode) Meets(err error) { n.e.readsFail(media.Public, err) }

func (n guardedNode) IsDown() bool { return n.e.health.IsDown() }

func (n guardedNode) Refused(fresh bool) { n.e.health.Doubt(media.Public, 0, fresh) }

// For notes the host that the request is for. To be called before Ready.
func (r *Request) For(host string) {
	name, ok := media.HostName(host)
	if ok && r.vouches == "" && r.e.guard.Expect(name) {
		r.vouches = name
	}
}

// noteUploads notes on the requests that brought the names of files that these were
// written.
func (e *Engine) noteUploads(events []watch.Event) {
	for _, ev := range events {
		key := e.site.Key(ev.Root, ev.Path)
		if ev.Op == watch.Gone || ev.Op == watch.DirGone || ev.Op == watch.Rescan ||
			media.CheckKey(key) != nil || e.site.Class(key, nil) == media.Ignored {
			continue
		}
		e.names.Wrote(key)
	}
}

// vouch tells of the host of a request that brought a file's name, after which the app
// wrote a file of that name. All events until now are noted.
func (r *Request) vouch() {
	if r.vouches != "" && r.Wrote() {
		r.e.guard.Vouch(r.vouches)
	}
}
