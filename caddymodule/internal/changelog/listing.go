package changelog

import (
	"cmp"
	"context"
	"errors"
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
			name := strings.TrimPrefix(info.Key, l.prefix)
			number, ok := entryNumber(name)
			if !ok && strings.HasPrefix(name, bucket.ProbeName) {
				continue // a node has tried just now whether anything can be stored here
			}
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
// is whether it named all there are of the log.
func (l *Log) listed(number uint64) (count uint64, whole bool, err error) {
	ctx, cancel := context.WithTimeout(l.tasks.Context(), callTimeout)
	defer cancel()
	whole = true
	for found, err := range l.entries(ctx, l.entryKey(number-1)) {
		if err != nil {
			return 0, false, err
		}
		if found.number != number+count || count == page {
			whole = count < page && !joins(number+count-1, found.number)
			break
		}
		count++
	}
	if count == 0 {
		return 1, false, nil
	}
	return count, whole, nil
}

// joins reports whether an entry of this number is of the same run as the last one below
// it: nodes step over maxOver numbers at most.
func joins(last, number uint64) bool { return number <= last+maxOver+1 }

// run is a part of what is listed in which no gap is wider than nodes leave. The log is
// one run. Any other was put there by somebody else, or is what a node wrote that stood
// still while the log was trimmed.
type run struct {
	first, last uint64 // 0 if there is none
}

func (r run) longer(than run) bool {
	return r.first > 0 && (than.first == 0 || r.last-r.first > than.last-than.first)
}

// longest returns the log's run as it looks to a node that does not know where in it
// it is: the longest, and of those the lowest.
func (l *Log) longest(ctx context.Context) (best run, err error) {
	for r, err := range l.runs(ctx, 0) {
		if err != nil {
			return run{}, err
		}
		if r.first <= maxBegin && r.longer(best) {
			best = r
		}
	}
	return best, nil
}

// maxBegin is beyond where any log begins: one from there would soon come to its end.
const maxBegin = maxNumber / 2

// endOfRun returns the last number of the run that begins with the first entry after a
// number, 0 if there is none.
func (l *Log) endOfRun(ctx context.Context, number uint64) (uint64, error) {
	for r, err := range l.runs(ctx, number) {
		return r.last, err
	}
	return 0, nil
}

// runs yields the runs after a number, ascending. One that is long is not listed as a
// whole, but its end sought in few requests.
func (l *Log) runs(ctx context.Context, number uint64) iter.Seq2[run, error] {
	return func(yield func(run, error) bool) {
		var r run
		for more := true; more; {
			more = false
			inRow := 0
			for found, err := range l.entries(ctx, l.keyAfter(max(number, r.last))) {
				if err != nil {
					yield(run{}, err)
					return
				}
				if r.first > 0 && !joins(r.last, found.number) {
					if !yield(r, nil) {
						return
					}
					r, inRow = run{}, 0
				}
				r = run{first: cmp.Or(r.first, found.number), last: found.number}
				if inRow++; inRow == page {
					more = true
					break
				}
			}
			if !more {
				break
			}
			var err error
			if r.last, err = l.leap(ctx, r.last); err != nil {
				yield(run{}, err)
				return
			}
		}
		if r.first > 0 {
			yield(r, nil)
		}
	}
}

// leap returns a later entry of the run that has this last one, or that one. What it
// leaps over counts as of the run where that is dense for a whole page.
func (l *Log) leap(ctx context.Context, last uint64) (uint64, error) {
	step, grows := uint64(page), true
	for step >= page && last < maxNumber-step {
		end, err := l.denseAfter(ctx, last+step)
		switch {
		case err != nil:
			return 0, err
		case end > 0:
			last = end
		default:
			grows = false
		}
		if grows {
			step *= 2
		} else {
			step /= 2
		}
	}
	return last, nil
}

// denseAfter returns the last entry of the page of a listing that follows a number, if
// that page is full and has no gap wider than nodes leave; else 0.
func (l *Log) denseAfter(ctx context.Context, number uint64) (uint64, error) {
	last, count := number, 0
	for found, err := range l.entries(ctx, l.keyAfter(number)) {
		if err != nil || !joins(last, found.number) {
			return 0, err
		}
		last = found.number
		if count++; count == page {
			return last, nil
		}
	}
	return 0, nil
}

// keyAfter returns after which key the entries after a number are listed.
func (l *Log) keyAfter(number uint64) string {
	if number == 0 {
		return ""
	}
	return l.entryKey(number)
}
