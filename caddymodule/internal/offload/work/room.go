package work

import (
	"context"
	"time"
)

// ScheduleIdle schedules an item that only a comparison asks for. The caller holds the
// lock, and awaited room.
func (q *Queue) ScheduleIdle(it *Item, due time.Time) {
	it.From = Comparison
	q.backgrounds++
	q.Schedule(it, due)
}

// AwaitRoom returns with the lock held when there is room for a background item.
func (q *Queue) AwaitRoom(ctx context.Context) error {
	for {
		q.mu.Lock()
		if q.backgrounds < MaxBackground {
			return nil
		}
		q.mu.Unlock()
		select {
		case <-q.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// HasRoom reports whether there is room for a background item.
func (q *Queue) HasRoom() bool { return q.BackgroundLen() < MaxBackground }
