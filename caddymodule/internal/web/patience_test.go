package web

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, d := range []time.Duration{0, time.Millisecond, patienceStep, 10 * time.Second, 10*time.Second + 1} {
			begun := time.Now()
			ctx, cancel := withPatience(t.Context(), d)
			child, free := context.WithCancel(ctx)
			<-child.Done()
			if took := time.Since(begun); took != d || !errors.Is(ctx.Err(), context.DeadlineExceeded) || !errors.Is(child.Err(), context.DeadlineExceeded) {
				t.Errorf("%s: ended after %s: %v, %v", d, took, ctx.Err(), child.Err())
			}
			free()
			cancel()
		}
		parent, end := context.WithCancel(t.Context())
		ctx, cancel := withPatience(parent, time.Hour)
		defer cancel()
		if ctx.Err() != nil {
			t.Error(ctx.Err())
		}
		end()
		<-ctx.Done()
		if !errors.Is(ctx.Err(), context.Canceled) {
			t.Error(ctx.Err())
		}
		freed, cancel := withPatience(t.Context(), time.Hour)
		cancel()
		<-freed.Done()
	})
}

// While the process stands still no step ends: then one does, late, and the
// others take their time.
func TestPatienceStoodStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := withPatience(t.Context(), 2*patienceStep)
		defer cancel()
		p := ctx.(*patience)
		p.mu.Lock()
		p.timer.Stop()
		p.mu.Unlock()
		time.Sleep(time.Hour)
		p.pass(patienceStep)
		if ctx.Err() != nil {
			t.Fatal("an hour in which nothing ran has ended the wait")
		}
		time.Sleep(patienceStep)
		<-ctx.Done()
	})
}
