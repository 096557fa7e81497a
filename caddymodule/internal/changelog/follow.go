package changelog

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/clock"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/control"
)

const (
	// window is how many entries are asked for at once after a first was there.
	window = 4
	// parallel is how many entries are read at once when it is known how many
	// there are.
	parallel = 32
	// page is about how many entries one listing names.
	page = 1000
)

// readToEnd reads until all is read that was in the log when it asked the store
// last, and then answers all that had asked by then; asked is the last of them
// at the call. That is when an entry is absent or, since a busy log may have no
// end by the time one gets there, when all was read that a listing named.
func (l *Log) readToEnd(asked uint64) error {
	behind := l.behind()
	for {
		if err := l.refresh(); err != nil {
			return err
		}
		l.mu.Lock()
		from, began, stale := l.next, l.Now(), l.stale()
		asked = max(asked, l.asked)
		idle := len(l.looks) == 0
		l.mu.Unlock()
		if idle || l.tasks.Context().Err() != nil {
			return l.tasks.Context().Err()
		}
		if err := l.readWatched(); err != nil {
			return err
		}
		count, whole := uint64(1), false
		switch {
		case behind > 1 || stale:
			var err error
			if count, whole, err = l.listed(from); err != nil {
				return err
			}
		case behind == 1:
			count = window
		}
		found, err := l.readEntries(from, count)
		if err != nil {
			ends, err := l.cannotRead(from+found, err)
			if err != nil {
				return err
			}
			if !ends {
				behind++
				continue
			}
		}
		whole = whole && found == count
		if (whole || found < count) && l.reachedEnd(asked, began, whole) {
			return nil
		}
		behind++
	}
}

// behind is 1 if somebody knows that there is an entry to read, else 0.
func (l *Log) behind() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.looks {
		if w.known >= l.next {
			return 1
		}
	}
	return 0
}

// reachedEnd notes that all was read that was in the log at began, since the
// next entry was absent or, if it was whole, a listing named no other. It
// reports false if the absent entry may have been trimmed before the store was
// asked: then a listing has to tell.
func (l *Log) reachedEnd(asked uint64, began clock.Instant, whole bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !whole && l.stale() {
		return false
	}
	if clock.AtLeast(l.synced, began) > 0 {
		l.synced, l.proved = began, began
	}
	l.answer(asked)
	return true
}

// readEntries reads count entries, several at once, and applies those that are
// there, in order, up to the first that is not.
func (l *Log) readEntries(from, count uint64) (found uint64, err error) {
	type result struct {
		data []byte
		err  error
	}
	results := make(chan chan result, parallel-1)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	readers.Go(func() {
		defer close(results)
		for number := from; number < from+count; number++ {
			one := make(chan result, 1)
			select {
			case results <- one:
			case <-stop:
				return
			}
			readers.Go(func() {
				data, err := l.getEntry(number)
				one <- result{data, err}
			})
		}
	})
	defer readers.Wait()
	defer close(stop)
	for one := range results {
		r := <-one
		if errors.Is(r.err, bucket.ErrNotFound) {
			return found, nil
		}
		if r.err != nil && !errors.Is(r.err, bucket.ErrTooLarge) {
			return found, r.err
		}
		l.took(from+found, r.data, r.err)
		found++
	}
	return found, nil
}

// took applies the entry that the cursor stands before, or skips it if it is too large.
func (l *Log) took(number uint64, data []byte, tooLarge error) {
	e, refused, err := decodeEntry(data)
	if tooLarge != nil {
		err = control.ErrTooLarge
	}
	switch {
	case err != nil:
		l.count.skipped.Add(1)
		l.cfg.Logger().Warn("an entry of the change log is unreadable and was skipped: no node of this version wrote it",
			keyObject, l.entryKey(number), keyError, err)
	case refused != nil:
		l.count.skipped.Add(1)
		l.cfg.Logger().Warn("an entry of the change log has changes that no node writes; they were skipped",
			keyObject, l.entryKey(number), keyError, refused)
	}
	foreign := err == nil && e.Writer != l.id
	if foreign && len(e.Changes) > 0 {
		l.cfg.Apply(e.Changes)
		l.count.applied.Add(int64(len(e.Changes)))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if number != l.next {
		return // this node's append came first
	}
	l.next++
	l.noteSeen(number)
	l.unread.row = 0
	if foreign {
		l.rival = l.Now()
	}
	if b := l.batch; b != nil && err == nil && !foreign && e.Nonce == b.nonce {
		b.found = true
	}
}

// refresh makes sure by a listing that the log goes on at the cursor, if it is
// long ago that the cursor was at its end. If the entry to be read next is
// absent, that is the end now. If it is there, it may be old and about to be
// trimmed: then nothing is known of those above it before all are read.
func (l *Log) refresh() error {
	l.mu.Lock()
	next, doubted, began := l.next, l.doubted || l.stale(), l.Now()
	l.mu.Unlock()
	if !doubted {
		return nil
	}
	ctx, cancel := context.WithTimeout(l.tasks.Context(), 6*callTimeout)
	defer cancel()
	at, err := l.around(ctx, next)
	if err == nil && !at.follows() {
		err = l.jump(ctx, next, at)
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doubted = false
	if !at.there && l.next == next && clock.AtLeast(l.proved, began) > 0 {
		l.proved = began
	}
	return nil
}

// stale reports whether it was long ago that the cursor was at the log's end.
// The caller holds mu.
func (l *Log) stale() bool { return clock.AtMost(l.proved, l.Now()) > l.cfg.Testing.Fresh }

// surroundings are what a listing names around a number.
type surroundings struct {
	before bool   // the entry before it, or it begins the log
	there  bool   // an entry of this number
	beyond uint64 // if there is none, the next above it; 0: there is none of the log either
}

// follows reports whether an entry of this number continues, or would continue, the log
// as it stands in the bucket. One may be there below the log, if its writer stood still
// while the log was trimmed.
func (s surroundings) follows() bool { return s.before && s.beyond == 0 }

// goesOnBeyond reports whether the log goes on behind numbers that were stepped over.
func (s surroundings) goesOnBeyond(number uint64) bool {
	return s.before && s.beyond > 0 && joins(number-1, s.beyond)
}

// around looks what is around a number. That no entry is before the first says nothing;
// but what comes after it is number 2, and not older, by the store's clock.
//
// What comes after a gap wider than nodes leave is no part of the log, if the log is
// before it. Where nothing or a single entry is before the gap, the log may have been
// trimmed there: then it is the longest run.
func (l *Log) around(ctx context.Context, number uint64) (surroundings, error) {
	at, begin := surroundings{before: number == 1}, uint64(0)
	if number > maxOver+3 {
		begin = number - maxOver - 3 // what joins the one before is after that
	}
	inRun := begin == 0 && number > 1
	var first time.Time
	for found, err := range l.entries(ctx, l.keyAfter(begin)) {
		switch {
		case err != nil:
			return surroundings{}, err
		case found.number < number-1:
			inRun = true
		case found.number < number:
			at.before = true
		case found.number == number && number > 1:
			at.there = true
			return at, nil
		case found.number == number:
			at.there, first = true, found.stored
		case at.there && joins(number, found.number):
			at.before = found.number == 2 && !found.stored.Before(first)
			return at, nil
		case at.there:
			at.before, err = l.isEnd(ctx, number)
			return at, err
		default:
			return l.beforeGap(ctx, at, inRun, number, found.number)
		}
	}
	return at, nil
}

// beforeGap completes the surroundings of a number at which there is nothing, though
// there is something beyond. inRun: there is more than one entry before it.
func (l *Log) beforeGap(ctx context.Context, at surroundings, inRun bool, number, beyond uint64) (surroundings, error) {
	far := at.before && !joins(number-1, beyond)
	ends := far && inRun
	if far && !inRun {
		var err error
		if ends, err = l.isEnd(ctx, number-1); err != nil {
			return surroundings{}, err
		}
	}
	if !ends {
		at.beyond = beyond
	}
	return at, nil
}

// isEnd reports whether the longest run ends with an entry of this number, or, if that
// is 0, there is none.
func (l *Log) isEnd(ctx context.Context, number uint64) (bool, error) {
	log, err := l.longest(ctx)
	return err == nil && log.last == number, err
}

// jump moves the cursor to where the log goes on, because that is not next: behind
// numbers at which there is nothing or, where the log was trimmed beyond, to its end.
func (l *Log) jump(ctx context.Context, next uint64, at surroundings) error {
	began, to := l.Now(), at.beyond
	steps := at.goesOnBeyond(next)
	if !steps {
		log, err := l.longest(ctx)
		if err != nil {
			return err
		}
		to = log.last + 1
	}
	if l.Place().Next != next {
		return nil
	}
	l.count.lost.Add(1)
	l.cfg.Logger().Warn("entries of the change log are gone that this node has not read; disk and bucket are compared as a whole",
		keyObject, l.entryKey(next), keyNext, to)
	// Before the cursor says that they were read: a claim may go by that at once.
	l.cfg.Lost()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next != next {
		return nil
	}
	l.next = to
	l.jumps++
	if steps {
		l.steppedOver(next, to)
	} else {
		l.synced, l.proved = began, began
	}
	return nil
}
