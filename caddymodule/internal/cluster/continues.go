package cluster

import (
	"context"
	"fmt"
)

// Continues reports whether the log is still the one that had an entry of this
// number: false if the bucket was put back to an older state, whose log ends
// before it, or was written on from there.
//
// A log that was trimmed beyond the number continues it.
func (n *Node) Continues(ctx context.Context, number uint64) (bool, error) {
	if n.static || number == 0 {
		return true, ctx.Err()
	}
	l := &n.log
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
func (l *changeLog) firstAfter(ctx context.Context, number uint64) (uint64, error) {
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

// Recheck has a listing show, before the next entry is read or written, that the
// log goes on where this node is. Where it does not, the caller is told of what was
// Lost, and the node goes on from the log's end.
func (n *Node) Recheck() { n.log.doubt() }
