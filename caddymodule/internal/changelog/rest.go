package changelog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/background"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/clock"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/control"
)

// A node that is near the store and writes without a pause outruns one that is
// far from it each time: who is far learns of an entry when the next is there.
// So a node that was outrun for long writes an object that says so; those that
// write without a pause look at it, and rest when it has changed. Nothing else
// rests on it: a node that cannot write or read it only waits longer.
const (
	// patience is how long a node is outrun until it asks, and asks again.
	patience = time.Second
	// busyRow is how many entries in a row, none of them rowGap after the one
	// before, make a node one that writes without a pause.
	busyRow = 8
	rowGap  = time.Second
	// lookEvery is about how often such a node looks whether another asks. It
	// is much less than rest, so that the rests of several overlap.
	lookEvery = 250 * time.Millisecond
	// rest is how long it leaves the log to others.
	rest = time.Second
)

// yielding is what a node knows of nodes that ask for rests. Under Log.mu.
type yielding struct {
	row     int           // entries that this node wrote in a row
	wroteAt clock.Instant // the last of them
	lookAt  clock.Instant // when to look next
	etag    string        // of the object as last seen
	looking bool          // lookForAsking runs
	asked   bool          // another node has asked since the last rest
}

func (l *Log) yieldKey() string { return l.cfg.Prefix + "yield" }

// wroteEntry counts an entry. The caller holds mu.
func (y *yielding) wroteEntry(now clock.Instant) {
	if clock.AtLeast(y.wroteAt, now) > rowGap {
		y.row = 0
	}
	y.row++
	y.wroteAt = now
}

// askForRest asks the nodes that write without a pause to rest, if the batch
// was outrun for long. Failures show only in that it is asked again.
func (l *Log) askForRest(b *batch) {
	now := l.Now()
	if b.losses == 0 {
		b.askAt = now.Add(patience)
		return
	}
	if clock.AtLeast(b.askAt, now) < 0 {
		return
	}
	b.askAt = now.Add(patience)
	body := fmt.Appendf(nil, `{"v":%d,"w":%q,"n":%q}`, control.Version, l.id, control.NewNonce())
	info, err := control.Put(l.tasks.Context(), l.cfg.Store, l.yieldKey(), body, patience, bucket.PutOptions{})
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.writeErr = err
		return
	}
	l.yielding.etag = info.ETag
}

// restIfAsked leaves the log to others for a while if this node writes without
// a pause and another has asked for it. It looks while it goes on writing, so that
// nobody waits for the look.
func (l *Log) restIfAsked() {
	l.mu.Lock()
	y, now := &l.yielding, l.Now()
	asked := y.asked
	look := !y.looking && y.row >= busyRow && clock.AtLeast(y.wroteAt, now) <= rowGap && clock.AtLeast(y.lookAt, now) >= 0
	if asked {
		// The rest does not end the row: if it is not enough, the next follows
		// soon.
		y.asked, y.wroteAt = false, y.wroteAt.Add(rest)
	}
	if look && !asked {
		y.looking = l.tasks.Begin(l.lookForAsking)
	}
	l.mu.Unlock()
	if asked {
		background.Pause(l.tasks.Closing(), rest)
	}
}

// lookForAsking looks whether another node asks for a rest.
func (l *Log) lookForAsking() {
	etag, err := l.lookAtYield()
	l.mu.Lock()
	defer l.mu.Unlock()
	y := &l.yielding
	y.looking = false
	y.lookAt = l.Now().Add(lookEvery/2 + l.random.Jitter(lookEvery))
	if err == nil && etag != y.etag {
		y.etag, y.asked = etag, true
	}
}

// lookAtYield returns the ETag of the object, empty if there is none.
func (l *Log) lookAtYield() (string, error) {
	ctx, cancel := context.WithTimeout(l.tasks.Context(), patience)
	defer cancel()
	info, err := l.cfg.Store.Head(ctx, l.yieldKey())
	if errors.Is(err, bucket.ErrNotFound) {
		return "", nil
	}
	return info.ETag, err
}
