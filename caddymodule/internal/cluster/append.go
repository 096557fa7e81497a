package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// gather is how long the first change of a batch waits for others, so that
// those of one request share an entry.
const gather = 2 * time.Millisecond

// appendCall is a call of Append, or the part of one that fits one entry.
type appendCall struct {
	changes []json.RawMessage
	size    int        // of changes, encoded
	done    chan error // buffered
}

// batch is the entry that is being appended.
type batch struct {
	calls  []*appendCall
	nonce  string
	data   []byte
	number uint64 // where it was found to stand; 0: not yet
}

// Append writes changes to the log; those of one call in its order. Changes
// that come while an entry is being written share the next one. It returns nil
// when they are in the log.
//
// An error that wraps ctx's means that they may be in the log or get there
// yet: the node goes on until it knows. After any other error they are not,
// unless an answer was lost.
func (n *Node) Append(ctx context.Context, changes ...Change) error {
	if n.static || len(changes) == 0 {
		return ctx.Err()
	}
	calls, err := splitChanges(changes)
	if err == nil {
		err = n.log.append(ctx, calls)
	}
	if err != nil {
		return fmt.Errorf("writing %s of %s to the change log: %w", changes[0].Op, changes[0].Key, err)
	}
	n.count.appended.Add(int64(len(changes)))
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
	}
	return calls, nil
}

// fits reports whether an entry with c's changes has room for more.
func (c *appendCall) fits(count, size int) bool {
	return len(c.changes)+count <= maxChanges && c.size+size <= maxEntry-entryOverhead
}

func (l *changeLog) append(ctx context.Context, calls []*appendCall) error {
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
		l.flushing = l.node.begin(l.flush)
	}
	if !l.flushing || l.node.isClosing() {
		l.withdraw(calls)
		l.mu.Unlock()
		return ErrClosed
	}
	l.mu.Unlock()
	for _, call := range calls {
		select {
		case err := <-call.done:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			l.mu.Lock()
			defer l.mu.Unlock()
			l.withdraw(calls)
			return because(ctx.Err(), l.lastErr)
		}
	}
	return nil
}

// withdraw takes back calls that are in no entry yet: nobody waits for them any
// more, and who wants them in the log will call again. The caller holds mu.
func (l *changeLog) withdraw(calls []*appendCall) {
	gone := map[*appendCall]bool{}
	for _, call := range calls {
		gone[call] = true
	}
	keep := l.pending[:0]
	for _, call := range l.pending {
		if !gone[call] {
			keep = append(keep, call)
		}
	}
	clear(l.pending[len(keep):])
	l.pending = keep
}

// flush appends one entry after the other while there are changes.
func (l *changeLog) flush() {
	for {
		pause(l.node.ctx.Done(), gather)
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

// takeBatch makes an entry of what is pending, or ends the flusher.
func (l *changeLog) takeBatch() *batch {
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
	b := &batch{nonce: newNonce(), calls: append([]*appendCall(nil), l.pending[:taken]...)}
	l.pending = append(l.pending[:0], l.pending[taken:]...)
	data, err := encodeEntry(l.node.id, b.nonce, whole.changes)
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
func (l *changeLog) commit(b *batch) error {
	unknown := false
	for losses, failures := 0, 0; ; {
		if err := l.node.ctx.Err(); err != nil {
			return ErrClosed
		}
		l.mu.Lock()
		number, stale, found := l.next, atMost(l.synced, l.node.now()) > fresh, b.number
		l.mu.Unlock()
		if found != 0 {
			return nil
		}
		if stale {
			if err := l.read(l.node.ctx, 0); err != nil {
				return err
			}
			continue
		}
		began := l.node.now()
		_, err := l.node.put(l.entryKey(number), b.data, callTimeout, bucket.PutOptions{IfNoneMatch: true})
		switch {
		case err == nil:
			l.wrote(number, began)
			return nil
		case errors.Is(err, bucket.ErrExists):
			l.node.count.collisions.Add(1)
			if err := l.read(l.node.ctx, number); err != nil {
				return err
			}
			losses++
			pause(l.node.ctx.Done(), rand.N(time.Duration(min(losses, 8))*(l.roundTrip+time.Millisecond)))
		case isFinal(err) && !unknown:
			return err
		default:
			unknown = true
			failures++
			l.node.count.retries.Add(1)
			pause(l.node.ctx.Done(), backoff(failures, retryMin, retryMax))
		}
	}
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

// wrote notes that the entry of this number is this node's.
func (l *changeLog) wrote(number uint64, began instant) {
	l.node.count.entries.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.roundTrip = (3*l.roundTrip + atLeast(began, l.node.now())) / 4
	if l.next == number {
		l.next, l.synced = number+1, began
	}
	l.answer(0)
}
