package changelog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/background"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/clock"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/control"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// gather is how long the first change of a batch waits for others, so that
// those of one request share an entry.
const gather = 2 * time.Millisecond

// appendCall is a call of Append, or the part of one that fits one entry.
type appendCall struct {
	changes []json.RawMessage
	size    int        // of changes, encoded
	stems   []string   // of the changes' names: see expectations
	done    chan error // buffered
	left    bool       // nobody waits for it any more; guarded by mu
}

// batch is the entry that is being appended.
type batch struct {
	calls []*appendCall
	nonce string
	data  []byte
	// Of the last write: where it went, and after how many jumps of the cursor.
	number uint64
	jumps  int
	// unknown: what came of a write is not known.
	unknown bool
	// found: it was read from the log. Under Log.mu.
	found            bool
	losses, failures int
	askAt            clock.Instant // when to ask others to rest
	// Where no entry can be written (see cannotWrite), of the cursor at base: how many
	// numbers are stepped over, and the refusals in a row.
	base, over uint64
	denials    int
	// begins: a listing told whether the log begins with the first entry.
	begins bool
	// unresolved counts tries in vain to find out what came of the last write.
	unresolved int
}

// Append writes changes to the log; those of one call in its order. Changes
// that come while an entry is being written share the next one. It returns nil
// when they are in the log.
//
// An error that wraps ctx's means that they may be in the log or get there
// yet: the node goes on until it knows. After any other error they are not,
// unless an answer was lost.
func (l *Log) Append(ctx context.Context, changes ...Change) error {
	if len(changes) == 0 {
		return ctx.Err()
	}
	calls, err := splitChanges(changes)
	if err == nil {
		err = l.append(ctx, calls)
	}
	if err != nil {
		return fmt.Errorf("writing %s of %s to the change log: %w", changes[0].Op, changes[0].Key, err)
	}
	l.count.appended.Add(int64(len(changes)))
	return nil
}

// splitChanges encodes changes in parts that fit one entry each.
func splitChanges(changes []Change) ([]*appendCall, error) {
	var calls []*appendCall
	for i := range changes {
		data, err := encodeChange(&changes[i])
		if err != nil {
			return nil, err
		}
		last := len(calls) - 1
		if last < 0 || !calls[last].fits(1, len(data)+1) {
			calls = append(calls, &appendCall{done: make(chan error, 1)})
			last++
		}
		calls[last].changes = append(calls[last].changes, data)
		calls[last].size += len(data) + 1
		if changes[i].Op == Put {
			calls[last].stems = append(calls[last].stems, media.NameStem(changes[i].Key))
		}
	}
	return calls, nil
}

// fits reports whether an entry with c's changes has room for more.
func (c *appendCall) fits(count, size int) bool {
	return len(c.changes)+count <= maxChanges && c.size+size <= maxEntry-entryOverhead
}

func (l *Log) append(ctx context.Context, calls []*appendCall) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	if !l.joined {
		l.mu.Unlock()
		return ErrNotJoined
	}
	l.pending = append(l.pending, calls...)
	if !l.flushing {
		l.flushing = l.tasks.Begin(l.flush)
	}
	if !l.flushing || l.tasks.IsClosing() {
		l.withdraw(calls)
		l.mu.Unlock()
		return ErrClosed
	}
	l.mu.Unlock()
	for _, call := range calls {
		if err := l.written(ctx, call); err != nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.withdraw(calls)
			return err
		}
	}
	return nil
}

// written waits until a call's changes are in the log.
func (l *Log) written(ctx context.Context, call *appendCall) error {
	select {
	case err := <-call.done:
		return err
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		return background.Because(ctx.Err(), l.writeErr)
	}
}

// withdraw takes back calls that are in no entry yet: nobody waits for them any
// more, and who wants them in the log will call again. The caller holds mu.
func (l *Log) withdraw(calls []*appendCall) {
	for _, call := range calls {
		call.left = true
	}
	l.pending = slices.DeleteFunc(l.pending, func(c *appendCall) bool { return c.left })
}

// inVain reports whether there is no use in trying to write an entry: it has to end, or
// it ends in peace and nobody waits for this.
func (l *Log) inVain(b *batch) bool {
	if !l.tasks.IsClosing() {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	waits := func(c *appendCall) bool { return !c.left }
	return l.tasks.Context().Err() != nil || !slices.ContainsFunc(b.calls, waits)
}

// flush appends one entry after the other while there are changes.
func (l *Log) flush() {
	for count := 0; ; count++ {
		background.Pause(l.tasks.Context().Done(), gather)
		if count > 0 {
			l.giveWay(count)
		}
		l.restIfAsked()
		l.awaitExpected()
		b := l.takeBatch()
		if b == nil {
			return
		}
		err := l.commit(b)
		l.mu.Lock()
		l.batch = nil
		l.mu.Unlock()
		for _, call := range b.calls {
			call.done <- err
		}
	}
}

// giveWay waits a little before the next entry if other nodes write too: the
// one that has just written is the first to know of it, and would always be the
// next as long as it has changes. It hears of others only by their entries, so
// now and then it makes room for one. count is that of entries without a rest.
func (l *Log) giveWay(count int) {
	l.mu.Lock()
	var limit time.Duration
	switch {
	case l.rival != (clock.Instant{}) && clock.AtLeast(l.rival, l.Now()) < 100*l.roundTrip:
		limit = l.random.Jitter(2 * l.roundTrip)
	case count%giveWayEvery == 0:
		limit = 3 * l.roundTrip / 2
	}
	l.mu.Unlock()
	background.Pause(l.tasks.Context().Done(), min(limit, time.Second))
}

// longRoundTrip is what a write takes at most that says something of the way to
// the store. One that took longer, or seems to by a clock that was set, was
// retried there or sent by a machine that stood still; rests must not grow by it.
const longRoundTrip = time.Second

// giveWayEvery is after how many entries without a rest a node makes room for
// others that it does not know of.
const giveWayEvery = 8

// takeBatch makes an entry of what is pending, or ends the flusher.
func (l *Log) takeBatch() *batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) == 0 {
		l.flushing = false
		return nil
	}
	var whole appendCall
	taken := 0
	for _, call := range l.pending {
		if taken > 0 && !whole.fits(len(call.changes), call.size) {
			break
		}
		whole.changes = append(whole.changes, call.changes...)
		whole.size += call.size
		taken++
	}
	b := &batch{nonce: control.NewNonce(), calls: append([]*appendCall(nil), l.pending[:taken]...)}
	l.pending = append(l.pending[:0], l.pending[taken:]...)
	data, err := encodeEntry(l.id, b.nonce, whole.changes)
	if err != nil {
		panic(err) // the changes are valid JSON by themselves
	}
	b.data = data
	l.batch = b
	return b
}

// commit writes the entry at the first number that is free. It returns nil
// when it stands there.
//
// The number is always that of the cursor, and only reading or writing moves
// the cursor: while it is unknown what came of a write, the same bytes go to
// the same number again, until that is found to hold them or another's.
func (l *Log) commit(b *batch) error {
	for {
		if l.inVain(b) {
			return ErrClosed
		}
		a := l.attempt(b)
		if a.done {
			return nil
		}
		if a.stale {
			if err := l.read(l.tasks.Context(), 0, l.tasks.GoOn); err != nil {
				return err
			}
			continue
		}
		if a.next == 1 && !b.begins {
			if err := l.lookAtBegin(b); isFinal(err) {
				return err
			} else if err != nil {
				l.failed(b, err)
			}
			continue
		}
		if b.unknown && a.jumps != b.jumps {
			if err := l.resolve(b); err != nil {
				l.failed(b, err)
				continue
			}
			b.unknown = false
			continue
		}
		b.number, b.jumps = a.number, a.jumps
		_, err := control.Put(l.tasks.Context(), l.cfg.Store, l.entryKey(a.number), b.data, callTimeout, bucket.PutOptions{IfNoneMatch: true})
		switch {
		case err == nil:
			if void, err := l.wrote(b, a); err != nil {
				b.unknown = true
				l.failed(b, err)
			} else if !void {
				return nil
			}
		case errors.Is(err, bucket.ErrExists):
			if err := l.outrun(b, a); err != nil {
				return err
			}
		case isOfEntry(err):
			if err := l.cannotWrite(b, a, err); err != nil {
				return err
			}
		case isFinal(err) && !b.unknown:
			return err
		default:
			b.unknown = true
			l.count.retries.Add(1)
			l.failed(b, err)
		}
	}
}

// attempt is the state of the log before a write.
type attempt struct {
	next   uint64 // the cursor
	number uint64 // of the entry to be written
	jumps  int
	began  clock.Instant
	proved clock.Instant
	stale  bool
	done   bool // the entry was found in the log
}

// lookAtBegin looks whether the log begins with the first entry: who has read none does
// not know yet where it is.
func (l *Log) lookAtBegin(b *batch) error {
	ctx, cancel := context.WithTimeout(l.tasks.Context(), callTimeout)
	defer cancel()
	at, err := l.around(ctx, 1)
	if err != nil {
		return err
	}
	b.begins = true
	if !at.follows() {
		l.doubt()
	}
	return nil
}

// over is how many numbers are stepped over.
func (a attempt) over() uint64 { return a.number - a.next }

func (l *Log) attempt(b *batch) attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b.base != l.next {
		b.base, b.over, b.denials = l.next, 0, 0
	}
	return attempt{
		next: l.next, number: l.next + b.over, jumps: l.jumps, began: l.Now(), proved: l.proved,
		stale: l.stale() || l.doubted, done: b.found,
	}
}

// failed waits a while after an error of the store.
func (l *Log) failed(b *batch, err error) {
	l.mu.Lock()
	l.writeErr = err
	l.mu.Unlock()
	b.failures++
	background.Pause(l.tasks.Context().Done(), l.random.Backoff(b.failures, retryMin, retryMax))
}

// outrun reads what stands at a number that was not free. After the first
// time it rests a little, so that those who were outrun do not meet again. It
// must not rest for long: who has just written does not.
func (l *Log) outrun(b *batch, a attempt) error {
	l.count.collisions.Add(1)
	l.askForRest(b)
	if a.over() > 0 {
		return l.readOn(b, a.number)
	}
	if err := l.read(l.tasks.Context(), a.number, l.tasks.GoOn); err != nil {
		return err
	}
	l.mu.Lock()
	absent, limit := l.next == a.number && !b.found, l.roundTrip/2
	l.mu.Unlock()
	if absent {
		l.failed(b, fmt.Errorf("entry %s: the store says that it is there, and that it is not", entryName(a.number)))
		return nil
	}
	if b.losses++; b.losses > 1 {
		background.Pause(l.tasks.Context().Done(), l.random.Jitter(limit))
	}
	return nil
}

// resolve finds out, after the cursor jumped, whether the last write of the
// entry was in time.
func (l *Log) resolve(b *batch) error {
	data, err := l.getEntry(b.number)
	if errors.Is(err, bucket.ErrNotFound) || errors.Is(err, bucket.ErrTooLarge) {
		return nil
	}
	if err != nil {
		if b.unresolved++; b.unresolved >= triesUntilDoubt(err) {
			return nil // it may be there twice then, which harms nobody
		}
		return err
	}
	// What is unreadable is another's, as the zero entry is.
	e, _, _ := decodeEntry(data)
	if e.Writer != l.id || e.Nonce != b.nonce {
		return nil
	}
	void, err := l.isVoid(b.number)
	if err == nil && !void {
		l.mu.Lock()
		b.found = true
		l.mu.Unlock()
	}
	return err
}

// isFinal reports errors after which nothing was stored and trying again is of
// no use until somebody changed something.
func isFinal(err error) bool {
	for _, final := range []error{
		bucket.ErrDenied, bucket.ErrNoBucket, bucket.ErrClock, bucket.ErrRefused, bucket.ErrUnsupported,
	} {
		if errors.Is(err, final) {
			return true
		}
	}
	return false
}

// wrote notes that the entry stands at the number of the attempt, unless that
// took so long that the log may have been trimmed beyond it meanwhile, and was.
func (l *Log) wrote(b *batch, a attempt) (void bool, err error) {
	if clock.AtMost(a.proved, l.Now()) > l.cfg.Testing.Fresh {
		if a.over() > 0 {
			l.doubt() // whether the log goes on at the cursor, and where
			return true, nil
		}
		if void, err = l.isVoid(a.number); void || err != nil {
			return void, err
		}
	}
	l.count.entries.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writeErr = nil
	l.yielding.wroteEntry(l.Now())
	l.roundTrip = (3*l.roundTrip + min(clock.AtLeast(a.began, l.Now()), longRoundTrip)) / 4
	l.noteSeen(a.number)
	switch {
	case l.next != a.next:
	case a.over() > 0:
		l.steppedOver(a.next, a.number)
		l.next = a.number + 1
	default:
		l.next++
		l.synced, l.proved = a.began, a.began
	}
	return false, nil
}

// isVoid reports whether an entry of this node's stands below the beginning of
// the log, where nobody reads it, and removes it there.
func (l *Log) isVoid(number uint64) (bool, error) {
	ctx, cancel := context.WithTimeout(l.tasks.Context(), callTimeout)
	defer cancel()
	at, err := l.around(ctx, number)
	if err != nil || at.follows() {
		return false, err
	}
	l.doubt()
	return true, l.cfg.Store.Delete(ctx, l.entryKey(number))
}
