package background

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// What began before Close ends in peace, with what it still needs; nothing begins after.
func TestTasksClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tasks := NewTasks()
		ended := 0
		begun := tasks.Begin(func() {
			<-tasks.Closing()
			time.Sleep(time.Second)
			tasks.GoOn(func() { ended++ })
		})
		if !begun || tasks.IsClosing() {
			t.Fatal("it is closed from the start")
		}
		tasks.Close()
		tasks.Close()
		if tasks.Begin(func() { t.Error("a task began") }) || !tasks.IsClosing() {
			t.Error("it is not closed")
		}
		if err := tasks.Wait(t.Context()); err != nil || ended != 1 {
			t.Errorf("%d tasks ended, %v", ended, err)
		}
	})
}

// Wait waits no longer than it may, but for what is cut short.
func TestTasksCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tasks := NewTasks()
		ended := false
		tasks.Begin(func() {
			Pause(tasks.Context().Done(), time.Hour)
			ended = true
		})
		tasks.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		if err := tasks.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != time.Minute || !ended {
			t.Errorf("it took %s; ended: %v", took, ended)
		}
	})
}

func TestBackoff(t *testing.T) {
	longest := Random(func(n int64) int64 { return n - 1 })
	shortest := Random(func(int64) int64 { return 0 })
	for tries, ms := range map[int]int{0: 50, 1: 50, 2: 100, 6: 1600, 7: 2000, 19: 2000, 1000: 2000} {
		limit := time.Duration(ms) * time.Millisecond
		low, high := shortest.Backoff(tries, 50*time.Millisecond, 2*time.Second), longest.Backoff(tries, 50*time.Millisecond, 2*time.Second)
		if low != limit/8 || high != limit-1 {
			t.Errorf("after %d tries: from %s to %s, want at most %s", tries, low, high, limit)
		}
	}
}
