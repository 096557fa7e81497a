package watch

import (
	"hash/maphash"
	"testing"
	"time"
)

// A file that may change again without its times telling must be looked at as
// changed the next time.
func TestMarkIsFresh(t *testing.T) {
	now := time.Unix(1_800_000_000, 500_000_000)
	s := &scanSource{seed: maphash.MakeSeed()}
	for _, tc := range []struct {
		name         string
		mtime, ctime time.Duration // before now
		want         bool
	}{
		{"changed just now", time.Hour, 9 * time.Millisecond, true},
		{"changed since it was looked at", time.Hour, -9 * time.Millisecond, true},
		{"changed a while ago", time.Hour, time.Second, false},
		{"long ago", time.Hour, time.Hour, false},
		{"file system knows seconds only", time.Hour, 1500 * time.Millisecond, true},
		{"seconds, and a while ago", time.Hour, 2500 * time.Millisecond, false},
		{"no ctime here", 5 * time.Millisecond, time.Hour, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			st := fileState{mtime: now.Add(-tc.mtime).UnixNano(), ctime: now.Add(-tc.ctime).UnixNano()}
			if got := s.mark(st, now)&fresh != 0; got != tc.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestMarkTellsStatesApart(t *testing.T) {
	s, now := &scanSource{seed: maphash.MakeSeed()}, time.Unix(1_800_000_000, 1)
	base := fileState{identity: identity{dev: 1, ino: 2}, kind: regular, size: 3, mtime: 4, ctime: 5}
	if same := base; s.mark(base, now) != s.mark(same, now) {
		t.Error("one state has two marks")
	}
	for name, change := range map[string]func(*fileState){
		"inode": func(st *fileState) { st.ino++ },
		"size":  func(st *fileState) { st.size++ },
		"mtime": func(st *fileState) { st.mtime++ },
		"ctime": func(st *fileState) { st.ctime++ },
	} {
		other := base
		change(&other)
		if s.mark(base, now) == s.mark(other, now) {
			t.Errorf("another %s gives the same mark", name)
		}
	}
}

// A scan takes at most a tenth of the time.
func TestStretched(t *testing.T) {
	if got := stretched(time.Second, 10*time.Millisecond); got != time.Second {
		t.Errorf("got %v", got)
	}
	if got := stretched(time.Second, time.Second); got != 9*time.Second {
		t.Errorf("got %v", got)
	}
}
