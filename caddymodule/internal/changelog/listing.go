package changelog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// entryInfo is an entry as a listing names it.
type entryInfo struct {
	number uint64
	stored time.Time // by the store's clock
}

// entries yields the entries after a key, ascending. Objects that are not of the
// log are left out.
func (l *Log) entries(ctx context.Context, after string) iter.Seq2[entryInfo, error] {
	return func(yield func(entryInfo, error) bool) {
		for info, err := range l.cfg.Store.ListNames(ctx, l.prefix, after) {
			if left, ok := errors.AsType[*bucket.UnlistedError](err); ok && left.Key != l.prefix {
				info = bucket.Info{Key: left.Key} // an entry, perhaps; what is below its name is none
			} else if err != nil {
				yield(entryInfo{}, err)
				return
			}
			number, ok := entryNumber(strings.TrimPrefix(info.Key, l.prefix))
			if !ok {
				l.strayOnce.Do(func() {
					l.cfg.Logger().Warn("an object below the change log is none of its entries and is left alone, as are others like it", keyObject, info.Key)
				})
				continue
			}
			if !yield(entryInfo{number, info.Stored}, nil) {
				return
			}
		}
	}
}

// listed returns how many entries follow each other from number on, as far as
// about one page of a listing tells, at least 1 though there may be none. whole
// is whether it named all there are.
func (l *Log) listed(number uint64) (count uint64, whole bool, err error) {
	ctx, cancel := context.WithTimeout(l.tasks.Context(), callTimeout)
	defer cancel()
	whole = true
	for found, err := range l.entries(ctx, l.entryKey(number-1)) {
		if err != nil {
			return 0, false, err
		}
		if found.number != number+count || count == page {
			whole = false
			break
		}
		count++
	}
	if count == 0 {
		return 1, false, nil
	}
	return count, whole, nil
}

// findEnd returns the number of the last entry, 0 if there is none. A long log
// is not listed as a whole, but the end sought in few requests.
func (l *Log) findEnd(ctx context.Context) (uint64, error) {
	last, full, err := l.lastOfPage(ctx, 0)
	if err != nil || !full {
		return last, err
	}
	for step := uint64(page); ; step *= 2 {
		// Nothing or something follows last+step: halve or go on.
		beyond, full, err := l.lastOfPage(ctx, min(last+step, maxNumber))
		if err != nil {
			return 0, err
		}
		if beyond == 0 {
			return l.bisect(ctx, last, last+step)
		}
		last = beyond
		if !full {
			return last, nil
		}
	}
}

// bisect finds the end between low, which exists or is followed by one that
// does, and high, which nothing follows.
func (l *Log) bisect(ctx context.Context, low, high uint64) (uint64, error) {
	last := low
	for low+page < high {
		middle := low + (high-low)/2
		beyond, full, err := l.lastOfPage(ctx, middle)
		switch {
		case err != nil:
			return 0, err
		case beyond == 0:
			high = middle
			continue
		case !full:
			return beyond, nil
		}
		low, last = beyond, beyond
	}
	for {
		beyond, full, err := l.lastOfPage(ctx, last)
		if err != nil {
			return 0, err
		}
		if beyond != 0 {
			last = beyond
		}
		if !full {
			return last, nil
		}
	}
}

// lastOfPage lists about one page of entries after number and returns the last
// of them, 0 if there are none, and whether there may be more.
func (l *Log) lastOfPage(ctx context.Context, number uint64) (last uint64, full bool, err error) {
	after := ""
	if number > 0 {
		after = l.entryKey(number)
	}
	count := 0
	for found, err := range l.entries(ctx, after) {
		if err != nil {
			return 0, false, err
		}
		last = found.number
		if count++; count == page {
			return last, true, nil
		}
	}
	return last, false, nil
}

// Continues reports whether the log is still the one that had an entry of this
// number: false if the bucket was put back to an older state, whose log ends
// before it, or was written on from there.
//
// A log that was trimmed beyond the number continues it.
func (l *Log) Continues(ctx context.Context, number uint64) (bool, error) {
	if number == 0 {
		return true, ctx.Err()
	}
	first, err := l.firstAfter(ctx, number-1)
	if err != nil || first == number {
		return err == nil, err
	}
	if first == 0 {
		return false, nil
	}
	begin, err := l.firstAfter(ctx, 0)
	return begin > number, err
}

// firstAfter returns the number of the first entry above one; 0 if there is none.
func (l *Log) firstAfter(ctx context.Context, number uint64) (uint64, error) {
	after := ""
	if number > 0 {
		after = l.entryKey(number)
	}
	for found, err := range l.entries(ctx, after) {
		if err != nil {
			return 0, fmt.Errorf("looking at the change log: %w", err)
		}
		return found.number, nil
	}
	return 0, nil
}
