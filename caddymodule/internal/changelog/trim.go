package changelog

import (
	"context"
	"fmt"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/background"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/clock"
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

// Run looks for others' changes every Poll and trims the log about once an
// hour, until ctx ends. It is to run once, for as long as the node takes part;
// before Join it waits.
func (l *Log) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.tasks.Context(), cancel)()
	trimAt, auditAt := l.Now().Add(l.random.Jitter(trimEvery)), l.Now().Add(l.random.Jitter(auditEvery))
	for background.Pause(ctx.Done(), l.pollIn()) && ctx.Err() == nil && !l.tasks.IsClosing() {
		if clock.AtLeast(trimAt, l.Now()) > 0 {
			trimAt = l.Now().Add(trimEvery/2 + l.random.Jitter(trimEvery))
			if err := l.Trim(ctx); err != nil && ctx.Err() == nil {
				l.cfg.Logger().Warn("old entries of the change log could not be removed; it is tried again later", keyError, err)
			}
		}
		if clock.AtLeast(auditAt, l.Now()) > 0 {
			auditAt = l.Now().Add(auditEvery/2 + l.random.Jitter(auditEvery))
			l.Recheck()
		}
		if l.pollIn() > 0 {
			continue // somebody else has looked
		}
		// The follower tries until it succeeds, and logs what is in its way.
		_ = l.read(ctx, 0, l.tasks.Begin)
	}
}

// Recheck has a listing show, before the next entry is read or written, that the
// log goes on where this node is. Where it does not, the caller is told of what was
// Lost, and the node goes on from the log's end.
func (l *Log) Recheck() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doubted = true
	l.synced.Mono -= l.cfg.Poll
}

// pollIn returns how long it is to the next look.
func (l *Log) pollIn() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.joined {
		return min(l.cfg.Poll, 100*time.Millisecond)
	}
	return l.cfg.Poll - clock.AtLeast(l.synced, l.Now())
}

// Trim removes the entries that need not be kept, oldest first, so that what is
// left has no hole; Run does it now and then. Ages are differences between times of the store's clock.
func (l *Log) Trim(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, trimTime)
	defer cancel()
	newest, err := l.newest(ctx)
	if err != nil || newest.number <= l.cfg.Testing.KeepEntries {
		return err
	}
	// What is below the log was put there by somebody else, or is a node's that stood still.
	for after := uint64(0); ; {
		kept, err := l.trimFrom(ctx, after, newest)
		if err != nil || kept == 0 {
			return err
		}
		if after, err = l.endOfRun(ctx, kept-1); err != nil || after >= newest.number {
			return err
		}
	}
}

// trimFrom removes entries after a number up to the first that is to be kept, which it
// returns; 0 if there is none.
func (l *Log) trimFrom(ctx context.Context, after uint64, newest entryInfo) (kept uint64, err error) {
	var names []string
	remove := func() error {
		if len(names) == 0 {
			return nil
		}
		if err := l.cfg.Store.Delete(ctx, names...); err != nil {
			return fmt.Errorf("removing entries up to %s: %w", names[len(names)-1], err)
		}
		l.count.trimmed.Add(int64(len(names)))
		names = names[:0]
		return nil
	}
	for found, err := range l.entries(ctx, l.keyAfter(after)) {
		if err != nil {
			return 0, err
		}
		if found.number+l.cfg.Testing.KeepEntries > newest.number || newest.stored.Sub(found.stored) <= l.cfg.Testing.KeepAge {
			kept = found.number
			break
		}
		if names = append(names, l.entryKey(found.number)); len(names) == deleteBatch {
			if err := remove(); err != nil {
				return 0, err
			}
		}
	}
	return kept, remove()
}

// newest looks at the last entry that this node has read or written: what is
// younger does not matter. Zero if it is gone.
func (l *Log) newest(ctx context.Context) (entryInfo, error) {
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
