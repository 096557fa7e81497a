package work

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
)

// put adds a change of a file, which is due at once.
func put(q *Queue, key string, now time.Time) *Item {
	q.Lock()
	defer q.Unlock()
	it, _ := q.Change(File, key, 0, key, now)
	it.Complete = true
	q.Schedule(it, now)
	return it
}

// take takes what is due.
func take(q *Queue, now time.Time, background bool) *Task {
	q.Lock()
	defer q.Unlock()
	if it := q.TakeFirst(now, background); it != nil {
		return it.Task()
	}
	return nil
}

// collect waits for all changes.
func collect(q *Queue, now time.Time) *Wait {
	w := &Wait{Done: make(chan struct{})}
	q.Collect(w, 0, "", now)
	return w
}

// released reports whether what was waited for is done.
func released(w *Wait) bool {
	select {
	case <-w.Done:
		return true
	default:
		return false
	}
}

// A change that comes while its item is being worked on is not lost, and who waits for it
// waits for work that has seen it.
//
// Promise 2: "it is committed after recovery, without anyone's help".
func TestChangeDuringWork(t *testing.T) {
	q, now := New(), time.Now()
	put(q, "a.jpg", now)
	first := collect(q, now)
	task := take(q, now, false)
	put(q, "a.jpg", now)
	second := collect(q, now)
	if take(q, now, true) != nil {
		t.Error("two workers have one item")
	}
	q.Settled(task, now)
	if !released(first) || released(second) {
		t.Errorf("released: first %v, second %v", released(first), released(second))
	}
	if task = take(q, now.Add(Rest), false); task == nil {
		t.Fatal("the second change is lost")
	}
	if q.Settled(task, now); !released(second) || q.Len() != 0 {
		t.Errorf("the second is released: %v, %d items are left", released(second), q.Len())
	}
}

// What fails is tried again, after a rest; an admin's error is told to those who wait,
// and after an outage nothing rests.
func TestFailures(t *testing.T) {
	q, now := New(), time.Now()
	put(q, "a.jpg", now)
	w := collect(q, now)
	broken := errors.New("broken")
	for try := range 10 {
		task := take(q, now, false)
		if task == nil || task.Attempts != try {
			t.Fatalf("try %d: %+v", try, task)
		}
		if n, since := q.Failed(task, broken, false, now.Add(time.Duration(try))); n != try+1 || !since.Equal(now) {
			t.Errorf("try %d counts as %d, since %v", try, n, since)
		}
		if released(w) {
			t.Fatal("who waits is released")
		}
		if take(q, now, true) != nil {
			t.Fatal("it does not rest")
		}
		q.AllDue(now)
	}
	if n, example := q.Failing(); n != 1 || example != "a.jpg: broken" {
		t.Errorf("%d fail: %s", n, example)
	}
	q.Failed(take(q, now, false), broken, true, now)
	if !released(w) || !errors.Is(w.Err, broken) {
		t.Errorf("released: %v, %v", released(w), w.Err)
	}
	if take(q, now, true) != nil {
		t.Error("it does not rest")
	}
}

// Events come before others' changes, and these before what only a comparison asks for;
// of the latter no more are taken in than there is room for.
func TestOrder(t *testing.T) {
	q, now := New(), time.Now()
	for i := range MaxBackground {
		if err := q.AwaitRoom(t.Context()); err != nil {
			t.Fatal(err)
		}
		it, _ := q.Change(File, fmt.Sprintf("idle-%d.jpg", i), 0, "", now)
		q.ScheduleIdle(it, now)
		q.Unlock()
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if q.HasRoom() || q.AwaitRoom(gone) == nil {
		t.Error("there is room for more")
	}
	q.Lock()
	q.Schedule(q.Hear("other.jpg", 0, "", News{Why: verdict.PutElsewhere}, now), now)
	q.Unlock()
	put(q, "event.jpg", now)

	if got := take(q, now, false); got == nil || got.Key != "event.jpg" {
		t.Errorf("first comes %+v", got)
	}
	if got := take(q, now, false); got != nil {
		t.Errorf("a worker that is kept for events gets %+v", got)
	}
	if got := take(q, now, true); got == nil || got.Key != "other.jpg" {
		t.Errorf("second comes %+v", got)
	}
	idle := take(q, now, true)
	if idle == nil || idle.From != Comparison {
		t.Fatalf("third comes %+v", idle)
	}
	if q.Settled(idle, now); !q.HasRoom() {
		t.Error("there is no room again")
	}
}
