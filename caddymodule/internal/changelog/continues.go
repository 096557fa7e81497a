package changelog

import (
	"context"
	"fmt"
	"slices"
)

// maxSeen bounds the entries that are remembered until Continues asks. Of more the
// first ones count: an older state lacks them as well, unless it is only a little older.
const maxSeen = 4096

// noteSeen notes that there was an entry. The caller holds mu.
func (l *Log) noteSeen(number uint64) {
	if len(l.seen) < maxSeen {
		l.seen = append(l.seen, number)
	}
}

// takeSeen returns what was noted since the last call.
func (l *Log) takeSeen() []uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := l.seen
	l.seen = nil
	return seen
}

// Continues reports whether the log is still the one that had an entry of this number
// (0: of none) and those that were read or written since the last call: false if the
// bucket was put back to an older state, whose log ends before them, or was written on
// from there. An entry that this node itself wrote after that does not hide it.
//
// A log that was trimmed beyond an entry continues it.
func (l *Log) Continues(ctx context.Context, number uint64) (bool, error) {
	seen := l.takeSeen()
	goesOn, err := l.hasAll(ctx, append([]uint64{number}, seen...))
	if err != nil || !goesOn { // to be asked again
		l.mu.Lock()
		defer l.mu.Unlock()
		l.seen = append(seen, l.seen...)[:min(len(seen)+len(l.seen), maxSeen)]
	}
	return goesOn, err
}

// hasAll reports whether the log has all these entries, or was trimmed beyond those that
// it lacks.
func (l *Log) hasAll(ctx context.Context, numbers []uint64) (bool, error) {
	slices.Sort(numbers)
	lacking := slices.DeleteFunc(slices.Compact(numbers), func(n uint64) bool { return n == 0 })
	if len(lacking) == 0 {
		return true, ctx.Err()
	}
	last := lacking[len(lacking)-1]
	for found, err := range l.entries(ctx, l.keyAfter(lacking[0]-1)) {
		if err != nil {
			return false, fmt.Errorf("looking at the change log: %w", err)
		}
		if i, ok := slices.BinarySearch(lacking, found.number); ok {
			lacking = slices.Delete(lacking, i, i+1)
		}
		if len(lacking) == 0 || found.number >= last {
			break
		}
	}
	if len(lacking) == 0 {
		return true, nil
	}
	log, err := l.longest(ctx)
	if err != nil {
		return false, fmt.Errorf("looking at the change log: %w", err)
	}
	return log.first > lacking[len(lacking)-1], nil
}
