package cluster

import (
	"context"
	"errors"
	"sync"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
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

// readToEnd reads entries until one is absent, and then answers all that had
// asked by then; asked is the last of them at the call.
func (l *changeLog) readToEnd(asked uint64) error {
	behind := l.behind()
	for {
		if err := l.refresh(); err != nil {
			return err
		}
		l.mu.Lock()
		from, began := l.next, l.node.now()
		asked = max(asked, l.asked)
		idle := len(l.waiters) == 0
		l.mu.Unlock()
		if idle || l.node.ctx.Err() != nil {
			return l.node.ctx.Err()
		}
		count := uint64(1)
		switch {
		case behind == 1:
			count = window
		case behind > 1:
			listed, err := l.listed(from)
			if err != nil {
				return err
			}
			count = max(1, listed)
		}
		found, err := l.readEntries(from, count)
		if err != nil {
			return err
		}
		if found < count && l.reachedEnd(asked, began) {
			return nil
		}
		l.progressed(found, began)
		behind++
	}
}

// behind is 1 if somebody knows that there is an entry to read, else 0.
func (l *changeLog) behind() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.waiters {
		if w.past >= l.next {
			return 1
		}
	}
	return 0
}

// reachedEnd notes that an entry was absent in a look that began at began. It
// reports false if that look took so long that the entry may have been trimmed
// before the store was asked: then a listing has to tell.
func (l *changeLog) reachedEnd(asked uint64, began instant) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stale() {
		return false
	}
	if atLeast(l.synced, began) > 0 {
		l.synced, l.proved = began, began
	}
	l.answer(asked)
	return true
}

// progressed notes that entries were there in a look that began at began, and
// answers those who wait for one of them.
func (l *changeLog) progressed(found uint64, began instant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if found > 0 && atLeast(l.proved, began) > 0 {
		l.proved = began
	}
	l.answer(0)
}

// readEntries reads count entries, several at once, and applies those that are
// there, in order, up to the first that is not.
func (l *changeLog) readEntries(from, count uint64) (found uint64, err error) {
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
				data, _, err := l.node.get(l.entryKey(number), maxEntry, callTimeout)
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
		if r.err != nil {
			return found, r.err
		}
		l.took(from+found, r.data)
		found++
	}
	return found, nil
}

// took applies the entry that the cursor stands before.
func (l *changeLog) took(number uint64, data []byte) {
	e, refused, err := decodeEntry(data)
	switch {
	case data == nil:
		err = errTooLarge
		fallthrough
	case err != nil:
		l.node.count.skipped.Add(1)
		l.node.cfg.Log().Warn("an entry of the change log is unreadable and was skipped: no node of this version wrote it",
			keyObject, l.entryKey(number), keyError, err)
	case refused != nil:
		l.node.count.skipped.Add(1)
		l.node.cfg.Log().Warn("an entry of the change log has changes that no node writes; they were skipped",
			keyObject, l.entryKey(number), keyError, refused)
	}
	foreign := err == nil && e.Writer != l.node.id
	if foreign && len(e.Changes) > 0 {
		l.node.cfg.Apply(e.Changes)
		l.node.count.applied.Add(int64(len(e.Changes)))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if number != l.next {
		return // this node's append came first
	}
	l.next++
	if foreign {
		l.rival = l.node.now()
	}
	if b := l.batch; b != nil && err == nil && !foreign && e.Nonce == b.nonce {
		b.found = true
	}
}

// refresh makes sure by a listing, if the log was last seen up to here long ago, that the entry to be read next was not trimmed.
func (l *changeLog) refresh() error {
	l.mu.Lock()
	next, doubted, began := l.next, l.doubted || l.stale(), l.node.now()
	l.mu.Unlock()
	if !doubted {
		return nil
	}
	ctx, cancel := context.WithTimeout(l.node.ctx, 6*callTimeout)
	defer cancel()
	follows, err := l.follows(ctx, next)
	if err == nil && !follows {
		err = l.jump(ctx, next)
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doubted = false
	if atLeast(l.proved, began) > 0 {
		l.proved = began
	}
	return nil
}

// stale reports whether it was long ago that the log was seen to reach up to
// the cursor. The caller holds mu.
func (l *changeLog) stale() bool { return atMost(l.proved, l.node.now()) > l.node.cfg.fresh }

// follows reports whether an entry of this number continues, or would continue,
// the log as it stands in the bucket: the one before is there, and if one of
// this number is not, there is none above it either.
func (l *changeLog) follows(ctx context.Context, number uint64) (bool, error) {
	after := ""
	if number > 2 {
		after = l.entryKey(number - 2)
	}
	before := number == 1
	for found, err := range l.numbers(ctx, after) {
		if err != nil {
			return false, err
		}
		if found == number-1 {
			before = true
			continue
		}
		return before && found == number, nil
	}
	return before, nil
}

// jump sets the cursor to the end of the log, because it does not go on at
// next.
func (l *changeLog) jump(ctx context.Context, next uint64) error {
	began := l.node.now()
	end, err := l.findEnd(ctx)
	if err != nil {
		return err
	}
	l.mu.Lock()
	if l.next != next {
		l.mu.Unlock()
		return nil
	}
	l.next, l.synced, l.proved = end+1, began, began
	l.jumps++
	l.mu.Unlock()
	l.node.count.lost.Add(1)
	l.node.cfg.Log().Warn("entries of the change log are gone that this node has not read; disk and bucket are compared as a whole",
		keyObject, l.entryKey(next), keyEnd, end)
	l.node.cfg.Lost()
	return nil
}
