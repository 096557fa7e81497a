package cluster

import (
	"context"
	"fmt"
	"time"
)

// What the log keeps (DESIGN 7: "The newest 1,000 entries, and all of the last
// 24 hours, are kept").
const (
	keepEntries = 1000
	keepAge     = 24 * time.Hour
)

const (
	// trimEvery is about how often a node trims.
	trimEvery = time.Hour
	// auditEvery is about how often a listing shows that the log is whole.
	auditEvery = 10 * time.Minute
	// trimTime bounds one trimming; the next one goes on.
	trimTime = 5 * time.Minute
	// deleteBatch is how many objects one request removes (S3: at most 1,000).
	deleteBatch = 1000
)

// run polls and trims until ctx ends.
func (l *changeLog) run(ctx context.Context) {
	n := l.node
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(n.ctx, cancel)()
	trimAt, auditAt := n.now().add(n.jitter(trimEvery)), n.now().add(n.jitter(auditEvery))
	for pause(ctx.Done(), l.pollIn()) && ctx.Err() == nil && !n.isClosing() {
		if atLeast(trimAt, n.now()) > 0 {
			trimAt = n.now().add(trimEvery/2 + n.jitter(trimEvery))
			if err := l.trim(ctx); err != nil && ctx.Err() == nil {
				n.cfg.Log().Warn("old entries of the change log could not be removed; it is tried again later", keyError, err)
			}
		}
		if atLeast(auditAt, n.now()) > 0 {
			auditAt = n.now().add(auditEvery/2 + n.jitter(auditEvery))
			l.doubt()
		}
		if l.pollIn() > 0 {
			continue // somebody else has looked
		}
		// The follower tries until it succeeds, and logs what is in its way.
		_ = l.read(ctx, 0, n.begin)
	}
}

// doubt has the next look at the log begin with a listing.
func (l *changeLog) doubt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doubted = true
	l.synced.mono -= l.node.cfg.Poll
}

// pollIn returns how long it is to the next look.
func (l *changeLog) pollIn() time.Duration {
	n := l.node
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.joined {
		return min(n.cfg.Poll, 100*time.Millisecond)
	}
	return n.cfg.Poll - atLeast(l.synced, n.now())
}

// trim removes the entries that need not be kept, oldest first, so that what is
// left has no hole. Ages are differences between times of the store's clock.
func (l *changeLog) trim(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, trimTime)
	defer cancel()
	newest, err := l.newest(ctx)
	if err != nil || newest.number <= l.node.cfg.keepEntries {
		return err
	}
	var names []string
	remove := func() error {
		if len(names) == 0 {
			return nil
		}
		if err := l.node.cfg.Store.Delete(ctx, names...); err != nil {
			return fmt.Errorf("removing entries up to %s: %w", names[len(names)-1], err)
		}
		l.node.count.trimmed.Add(int64(len(names)))
		names = names[:0]
		return nil
	}
	for found, err := range l.entries(ctx, "") {
		if err != nil {
			return err
		}
		if found.number+l.node.cfg.keepEntries > newest.number || newest.stored.Sub(found.stored) <= l.node.cfg.keepAge {
			break
		}
		if names = append(names, l.entryKey(found.number)); len(names) == deleteBatch {
			if err := remove(); err != nil {
				return err
			}
		}
	}
	return remove()
}

// newest looks at the last entry that this node has read or written: what is
// younger does not matter. Zero if it is gone.
func (l *changeLog) newest(ctx context.Context) (entryInfo, error) {
	l.mu.Lock()
	number := l.next - 1
	l.mu.Unlock()
	if number < 1 {
		return entryInfo{}, nil
	}
	after := ""
	if number > 1 {
		after = l.entryKey(number - 1)
	}
	for found, err := range l.entries(ctx, after) { // a look at it would read it, whatever its size
		if err != nil || found.number != number {
			return entryInfo{}, err
		}
		return found, nil
	}
	return entryInfo{}, nil
}
