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
	parallel = 16
	// page is about how many entries one listing names.
	page = 1000
)

// readToEnd reads entries until one is absent, and then answers all that had
// asked by then; asked is the last of them at the call.
func (l *changeLog) readToEnd(asked uint64) error {
	if err := l.refresh(); err != nil {
		return err
	}
	behind := l.behind()
	for {
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
		if found < count {
			l.reachedEnd(from+found, asked, began)
			return nil
		}
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

// reachedEnd notes that entry end was absent in a look that began at began.
func (l *changeLog) reachedEnd(end, asked uint64, began instant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.synced = began
	l.answer(asked)
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
		l.foreign = l.node.now()
	}
	if b := l.batch; b != nil && err == nil && !foreign && e.Nonce == b.nonce {
		b.number = number
	}
	l.answer(0)
}

// refresh makes sure by a listing, if the end of the log was last seen long
// ago, that the entry to be read next was not trimmed.
func (l *changeLog) refresh() error {
	l.mu.Lock()
	next, stale := l.next, atMost(l.synced, l.node.now()) > fresh
	l.mu.Unlock()
	if !stale {
		return nil
	}
	return l.audit(next)
}

// audit looks by a listing whether the log goes on where the cursor stands. If
// not, entries were missed: the cursor is set to the end, and Lost called.
func (l *changeLog) audit(next uint64) error {
	ctx, cancel := context.WithTimeout(l.node.ctx, 6*callTimeout)
	defer cancel()
	after := ""
	if next > 2 {
		after = l.entryKey(next - 2)
	}
	for number, err := range l.numbers(ctx, after) {
		if err != nil {
			return err
		}
		if number == next-1 {
			continue
		}
		if number == next {
			return nil
		}
		return l.jump(ctx, next)
	}
	return nil
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
	l.next, l.synced = end+1, began
	l.jumps++
	l.mu.Unlock()
	l.node.count.lost.Add(1)
	l.node.cfg.Log().Warn("entries of the change log are gone that this node has not read; disk and bucket are compared as a whole",
		keyObject, l.entryKey(next), keyEnd, end)
	l.node.cfg.Lost()
	return nil
}
