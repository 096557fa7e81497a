package offload

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/lease"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/health"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/naming"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// team is the engine's part in a site of several nodes.
type team struct {
	log    *changelog.Log // of several nodes, as are leases; nil with LocalOwn
	leases *lease.Leaser
	own    *lease.Leaser // keeps this node's own requests apart

	decided chan struct{} // closed when it is known which of the two it is
	alone   bool          // it is own; read after decided is closed
	// goesOn: the change log did go on from where an earlier process was, and no entry was
	// missed since.
	goesOn atomic.Bool

	self func() string // names this disk in what it stores

	known *naming.Known // the names of all media
}

// joinTeam prepares the engine's part, without I/O.
func (e *Engine) joinTeam() error {
	t := &e.team
	t.own, t.decided = lease.NewStatic(e.cfg.RequestsPerClient), make(chan struct{})
	t.self = sync.OnceValue(e.readSelf)
	if e.cfg.Local == LocalOwn {
		t.alone = true
		t.known.Set(true)
		close(t.decided)
		return nil
	}
	e.index.Share()
	store := e.control
	var err error
	t.log, err = changelog.New(changelog.Config{
		Store: store, Prefix: e.cfg.ControlPrefix, Logger: e.log,
		Apply: e.apply, Lost: e.lost, Poll: e.cfg.Poll,
	})
	if err != nil {
		return err
	}
	t.leases, err = lease.New(lease.Config{
		Store: store, Prefix: e.cfg.ControlPrefix, Log: t.log, Logger: e.log,
		TTL: e.cfg.LeaseTTL, ClaimsPerClient: e.cfg.RequestsPerClient,
	})
	return err
}

// nodes reports whether other nodes write too, and whether that is known yet.
func (t *team) nodes() (several, known bool) {
	select {
	case <-t.decided:
		return !t.alone, true
	default:
		return false, false
	}
}

// shared reports whether other nodes write too; false until that is known.
func (e *Engine) shared() bool {
	several, _ := e.team.nodes()
	return several
}

// onlyNode reports whether it is known that this node is the only one.
func (e *Engine) onlyNode() bool {
	several, known := e.team.nodes()
	return known && !several
}

// awaitNode waits until it is known whether there may be other nodes; false if
// the engine stops before.
func (e *Engine) awaitNode() bool {
	select {
	case <-e.team.decided:
		return true
	case <-e.life.Done():
		return false
	}
}

// hopeless returns why nothing can be committed before an admin has acted: as
// long as it is not known whether there are other nodes, no file is tried.
func (e *Engine) hopeless() error {
	if _, known := e.team.nodes(); known {
		return nil
	}
	if _, _, err := e.recon.status(); health.IsAdmins(err) {
		return err
	}
	return nil
}

// join makes the engine one of several nodes, or the only one if the store
// does not let several agree. Called by the reconcile loop, after the probe.
func (e *Engine) join(ctx context.Context, coordinates bool, missing string) error {
	t := &e.team
	if _, known := t.nodes(); known {
		return nil
	}
	if !coordinates {
		e.log().Warn("the bucket cannot serve several nodes, so this one works as if it were the only one; "+
			"if it is, set `local own`", keyBucket, e.store.String(), "missing", missing)
		t.alone = true
		close(t.decided)
		return nil
	}
	before, behind := e.guard.PositionBefore()
	goesOn, err := t.log.Join(ctx, before)
	if err != nil {
		return err
	}
	t.goesOn.Store(goesOn && before > 0)
	if !goesOn {
		e.recon.blur(everything) // the comparison that joins settles it
		e.recon.behind.Store(behind)
	}
	if !goesOn && before > 0 {
		e.log().Info("the change log does not reach back to where this server was; disk and bucket are compared without it")
	}
	e.loops.Go(func() { t.log.Run(e.life) })
	close(t.decided)
	return nil
}

// lost is called when entries of the change log were missed.
func (e *Engine) lost() {
	e.log().Warn("changes of other nodes were missed, so disk and bucket are compared as a whole")
	e.team.known.Set(false)
	e.team.goesOn.Store(false)
	e.recon.want(e.recon.blur(everything), window{})
}

// announce writes changes to the change log, if there are other nodes. On error the
// items stay to be announced.
func (e *Engine) announce(changes []changelog.Change, items ...*work.Task) error {
	if !e.shared() {
		return nil
	}
	e.queue.Lock()
	for _, s := range items {
		s.Item.Unannounced = true
	}
	e.queue.Unlock()
	ctx, cancel := context.WithTimeout(e.ctx, callTimeout)
	defer cancel()
	return e.team.log.Append(ctx, changes...)
}

// logged reports whether any node ever wrote to the change log.
func (e *Engine) logged() bool { return e.shared() && e.team.log.Stats().Position > 0 }

// In an object's metadata: metaNode names the disk from which it was stored,
// metaNonce the work on a file in which that was done. metaReturned is there if no app
// asked for it, and says when: the bucket had come back with another version than the
// disk's.
const (
	metaNode     = "node"
	metaNonce    = "nonce"
	metaReturned = "returned"
)

// readSelf returns the name of this disk. A copy of the disk in another machine
// gets another name: it may not have held what the original stored since.
func (e *Engine) readSelf() string {
	t := e.trees[0]
	id := t.DirNote("", local.AttrNode)
	if id == "" {
		id = rand.Text()
		if err := t.SetDirNote("", local.AttrNode, id); err != nil {
			id = "" // machine and path must do
		}
	}
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	machine, err := os.ReadFile("/etc/machine-id")
	if err != nil {
		machine = nil // not every machine has one
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%s", id, host, machine, t.Dir()))
	return hex.EncodeToString(sum[:12])
}

// leave ends the engine's part, while ctx lasts. What is cut short is found
// again: names expire, changes are told by the next start.
func (e *Engine) leave(ctx context.Context) {
	ends := []func(context.Context) error{e.team.own.Close}
	if e.team.log != nil {
		ends = append(ends, e.team.leases.Close, e.team.log.Close)
	}
	var all sync.WaitGroup
	for _, end := range ends {
		all.Go(func() {
			if err := end(ctx); err != nil {
				e.log().Debug("leaving the other nodes", keyError, err)
			}
		})
	}
	all.Wait()
}

// filled reports whether this disk has all that was in the bucket when the
// engine started; who writes alone fetches nothing.
func (e *Engine) filled() bool {
	if !e.shared() {
		return false
	}
	open, _ := e.team.known.All()
	_, active, _ := e.recon.status()
	return open && !active && e.queue.BackgroundLen() == 0
}

// clockSlack is more than clocks differ by, wherever stores let requests in.
const clockSlack = 2 * time.Hour
