package changelog

import (
	"context"
	"fmt"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/background"
)

// CatchUp returns when all that was in the log at the call was given to Apply.
// Calls at the same time share the requests. When ctx ends it returns at once,
// with ctx's error and the reason why it took so long.
func (l *Log) CatchUp(ctx context.Context) error {
	return l.read(ctx, 0, l.tasks.Begin)
}

const catchingUp = "catching up with the change log"

// read waits until the log was read to the end that it had at the call. known is
// the number of an entry that is known to be there, or 0. begin starts the
// follower.
func (l *Log) read(ctx context.Context, known uint64, begin func(func()) bool) error {
	w, err := l.look(ctx, known, begin)
	if err != nil {
		return err
	}
	return w.Wait(ctx)
}

// Look is a look at the change log that goes on in the background: it reads all that
// was in the log when it began. A nil Look has ended.
type Look struct {
	log   *Log
	asked uint64
	// known is the number of an entry that is known to be there, 0 if none is.
	known uint64
	done  chan error // buffered
}

// Look begins a look. It is to be waited for, or cancelled.
func (l *Log) Look(ctx context.Context) (*Look, error) { return l.look(ctx, 0, l.tasks.Begin) }

// look is Look; known and begin are those of read.
func (l *Log) look(ctx context.Context, known uint64, begin func(func()) bool) (*Look, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", catchingUp, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.joined {
		return nil, fmt.Errorf("%s: %w", catchingUp, ErrNotJoined)
	}
	l.asked++
	w := &Look{log: l, asked: l.asked, known: known, done: make(chan error, 1)}
	l.looks = append(l.looks, w)
	if !l.following {
		l.following = begin(l.follow)
	}
	if !l.following {
		l.leave(w)
		return nil, fmt.Errorf("%s: %w", catchingUp, ErrClosed)
	}
	return w, nil
}

// Wait waits for a look to end; it may be called once. When ctx ends it returns at
// once, with ctx's error and the reason why it took so long.
func (w *Look) Wait(ctx context.Context) error {
	if w == nil {
		return nil
	}
	select {
	case err := <-w.done:
		if err != nil {
			return fmt.Errorf("%s: %w", catchingUp, err)
		}
		return nil
	case <-ctx.Done():
	}
	l := w.log
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leave(w)
	return fmt.Errorf("%s: %w", catchingUp, background.Because(ctx.Err(), l.readErr))
}

// Cancel says that nobody will wait for the look.
func (w *Look) Cancel() {
	if w == nil {
		return
	}
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	w.log.leave(w)
}

// leave has nobody wait for a look any more. The caller holds mu.
func (l *Log) leave(w *Look) {
	for i, other := range l.looks {
		if other == w {
			l.looks = append(l.looks[:i], l.looks[i+1:]...)
			return
		}
	}
}

// answer ends the waits that were asked for up to asked. The caller holds mu.
func (l *Log) answer(asked uint64) {
	keep := l.looks[:0]
	for _, w := range l.looks {
		if w.asked <= asked {
			w.done <- nil
			continue
		}
		keep = append(keep, w)
	}
	clear(l.looks[len(keep):])
	l.looks = keep
}

// fail ends all waits with an error. The caller holds mu.
func (l *Log) fail(err error) {
	for _, w := range l.looks {
		w.done <- err
	}
	l.looks = nil
}

// follow reads the log for as long as somebody waits for it.
func (l *Log) follow() {
	for {
		l.mu.Lock()
		if len(l.looks) == 0 {
			l.following = false
			l.mu.Unlock()
			return
		}
		asked := l.asked
		l.mu.Unlock()
		err := l.readToEnd(asked)
		if l.note(err) {
			continue
		}
		if !background.Pause(l.tasks.Context().Done(), l.random.Backoff(l.failureCount(), retryMin, retryMax)) {
			l.mu.Lock()
			l.following = false
			l.fail(ErrClosed)
			l.mu.Unlock()
			return
		}
	}
}

func (l *Log) failureCount() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failures
}

// note keeps and, at its start and end, logs an outage. It reports whether
// there is none.
func (l *Log) note(err error) bool {
	l.mu.Lock()
	ended := l.failures >= outage && err == nil
	lasts := l.failures+1 == outage && err != nil
	l.readErr = err
	if err != nil {
		l.failures++
	} else {
		l.failures = 0
	}
	l.mu.Unlock()
	if l.tasks.Context().Err() != nil {
		return err == nil
	}
	switch {
	case lasts:
		l.cfg.Logger().Warn("the change log cannot be read; it is tried again until it can", keyError, err)
	case ended:
		l.cfg.Logger().Info("the change log can be read again")
	}
	return err == nil
}

// outage is how many failures in a row are worth a line in the program's log.
const outage = 3
