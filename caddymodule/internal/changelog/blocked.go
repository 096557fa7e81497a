package changelog

import (
	"context"
	"errors"
	"slices"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/clock"
)

// One object must not end the log, whoever put it there. So an entry that cannot be read
// while the store answers otherwise is passed over: it may have told of anything, so the
// caller has to compare everything. A number at which no entry can be written, though a
// listing names none, is stepped over.
//
// Nodes need not see the same for that. What a listing names is used up for all of them:
// no node can create it again. Where it names none, a node that sees nothing wrong may
// still write: so who has stepped over a number looks at it for as long as there may be
// nodes that do not know of the entries above it. Those learn of them by a listing: when
// they cannot write there either, or at the next audit.
const (
	// entryTries in vain are what it takes to doubt an entry, and not the store; after
	// an error that tells of neither (a lost answer, a disk's), lostTries.
	entryTries = 3
	lostTries  = 8
	// maxUnread is how many entries in a row may be unreadable; more are the store's
	// fault.
	maxUnread = 16
	// maxOver is how many numbers in a row are stepped over.
	maxOver = 8
	// watchFor is longer than any node takes to audit the log.
	watchFor = 2 * auditEvery
)

// unread is the entry that could not be read at the last try. Under Log.mu.
type unread struct {
	number uint64
	tries  int // in a row
	row    int // of entries that were passed over
}

// watched is a number that was stepped over. Under Log.mu.
type watched struct {
	since clock.Instant
	tries int // in vain
}

// triesUntilDoubt returns how many in vain are what it takes to doubt an entry.
func triesUntilDoubt(err error) int {
	if isOfEntry(err) {
		return entryTries
	}
	return lostTries
}

// isOfEntry reports errors that may be about one entry, and say nothing of others.
func isOfEntry(err error) bool {
	return errors.Is(err, bucket.ErrOfObject) || errors.Is(err, bucket.ErrRefused)
}

// cannotRead deals with an entry that could not be read. ends: there is none, and none
// above it. Otherwise reading goes on if err is nil.
func (l *Log) cannotRead(number uint64, cause error) (ends bool, err error) {
	if !l.triedEnough(number, cause) {
		return false, cause
	}
	ctx, cancel := context.WithTimeout(l.tasks.Context(), callTimeout)
	defer cancel()
	at, err := l.around(ctx, number)
	switch {
	case err != nil:
		return false, err
	case at.beyond > 0:
		l.doubt()
		return false, nil
	case !at.there:
		return true, nil
	case !l.answersOthers():
		return false, cause
	}
	l.passOver(number, cause)
	return false, nil
}

// triedEnough counts a try to read an entry, and reports whether it may be this entry's
// fault.
func (l *Log) triedEnough(number uint64, cause error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := &l.unread
	if u.number != number {
		u.number, u.tries = number, 0
	}
	u.tries++
	return u.tries >= triesUntilDoubt(cause) && u.row < maxUnread
}

// answersOthers reports whether the store answers when an entry is asked for that no
// node writes.
func (l *Log) answersOthers() bool {
	_, err := l.getEntry(maxNumber)
	return err == nil || errors.Is(err, bucket.ErrNotFound) || errors.Is(err, bucket.ErrTooLarge)
}

// passOver goes on behind an entry that cannot be read.
func (l *Log) passOver(number uint64, cause error) {
	l.count.skipped.Add(1)
	l.count.lost.Add(1)
	l.cfg.Logger().Warn("an entry of the change log cannot be read and is passed over; it may have told of any file, so disk and bucket are compared as a whole",
		keyObject, l.entryKey(number), keyError, cause)
	l.cfg.Lost() // before the cursor says that it was read, as in jump
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unread.row++
	if l.next == number {
		l.next++
	}
}

// doubt has a listing show where the log goes on.
func (l *Log) doubt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doubted = true
}

// cannotWrite deals with an entry that the store does not let be written. It returns an
// error if there is no use in trying further.
func (l *Log) cannotWrite(b *batch, a attempt, cause error) error {
	if b.denials++; b.denials < entryTries && a.over() == 0 {
		l.failed(b, cause)
		return nil
	}
	ctx, cancel := context.WithTimeout(l.tasks.Context(), callTimeout)
	defer cancel()
	at, err := l.around(ctx, a.next)
	switch {
	case err != nil:
		l.failed(b, err)
		return nil
	case at.there || !at.follows():
		return l.readOn(b, a.number)
	case a.over() == maxOver:
		b.over = 0
		return cause
	}
	b.over++
	return nil
}

// readOn reads an entry that is where one was to be written, though the log may not seem
// to reach so far.
func (l *Log) readOn(b *batch, number uint64) error {
	b.over, b.denials = 0, 0
	l.doubt()
	return l.read(l.tasks.Context(), number, l.tasks.GoOn)
}

// steppedOver notes that the log goes on at a number, behind others at which there is
// nothing. The caller holds mu.
func (l *Log) steppedOver(from, to uint64) {
	for number := from; number < min(to, from+maxOver); number++ {
		l.watched[number] = &watched{since: l.Now()}
	}
}

// readWatched reads what was written meanwhile at numbers that were stepped over.
func (l *Log) readWatched() error {
	for _, number := range l.watchedNow() {
		data, err := l.getEntry(number)
		switch {
		case errors.Is(err, bucket.ErrNotFound):
			continue
		case isOfEntry(err):
			there, listErr := l.isThere(number)
			if listErr != nil {
				return listErr
			}
			if !there {
				continue
			}
			l.passOver(number, err)
		case err != nil && !errors.Is(err, bucket.ErrTooLarge):
			if l.failedToWatch(number) {
				continue
			}
			return err
		default:
			l.took(number, data, err)
		}
		l.mu.Lock()
		delete(l.watched, number)
		l.mu.Unlock()
	}
	return nil
}

// isThere reports whether a listing names an entry.
func (l *Log) isThere(number uint64) (bool, error) {
	ctx, cancel := context.WithTimeout(l.tasks.Context(), callTimeout)
	defer cancel()
	at, err := l.around(ctx, number)
	return at.there, err
}

// watchedNow returns the numbers that are to be looked at.
func (l *Log) watchedNow() (numbers []uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.Now()
	for number, w := range l.watched {
		if clock.AtLeast(w.since, now) > watchFor {
			delete(l.watched, number)
			continue
		}
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	return numbers
}

// failedToWatch counts a try in vain, and reports whether that is not the store's fault.
func (l *Log) failedToWatch(number uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.watched[number]
	w.tries++
	return w.tries >= lostTries
}
