package deletes

import (
	"fmt"
	"testing"
	"time"
)

func names(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("photo-%d.jpg", i))
	}
	return all
}

func TestCount(t *testing.T) {
	const limit = 10
	now := time.Now()
	none := func(map[string]time.Time) int { return 0 }
	t.Parallel()
	var u Count
	for range 2 {
		if !u.Admits(names(10), none, limit, now) {
			t.Error("ten, twice, are not admitted")
		}
	}
	if u.Admits([]string{"another.jpg"}, none, limit, now) {
		t.Error("eleven are admitted")
	}
	if u.Admits([]string{"another.jpg"}, none, limit, now.Add(Burst-1)) {
		t.Error("eleven are admitted within a burst")
	}
	now = now.Add(2 * Burst)
	if !u.Admits([]string{"another.jpg"}, none, limit, now) {
		t.Error("one is not admitted after a burst")
	}
	if u.Admits(names(10), none, limit, now) {
		t.Error("ten more are admitted")
	}
	u.Forget()
	if u.Admits(names(5), func(map[string]time.Time) int { return 6 }, limit, now) {
		t.Error("five are admitted with six to come")
	}
	u.Forget()
	if u.Admits(names(10_000), none, limit, now) || len(u.recent) > limit+1 {
		t.Errorf("%d keys are kept", len(u.recent))
	}
	if u.Admits([]string{"one.jpg"}, none, limit, now.Add(Burst-1)) {
		t.Error("one is admitted within the burst of many")
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	for files, want := range map[int]int{0: 10, 200: 10, 219: 10, 1000: 50} {
		if got := Limit(0.05, files); got != want {
			t.Errorf("of %d files %d may go", files, got)
		}
	}
}
