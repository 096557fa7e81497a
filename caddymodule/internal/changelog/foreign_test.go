package changelog

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// put stores an object below the log that no node wrote.
func (d *duo) put(numbers ...uint64) {
	for _, number := range numbers {
		set(d.store, "offload/log/"+entryName(number), "x")
	}
}

// restart ends a node and starts it at a position.
func (d *duo) restart(after uint64) (l *Log, saw *seen, goesOn bool) {
	d.t.Helper()
	saw = &seen{}
	l, err := New(Config{Store: linkTo(d.store, 0), Prefix: "offload/", Apply: saw.apply, Lost: saw.miss})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = l.Close(d.t.Context()) })
	if goesOn, err = l.Join(d.t.Context(), after); err != nil {
		d.t.Fatal(err)
	}
	time.Sleep(time.Millisecond) // its clock begins
	return l, saw, goesOn
}

// agree checks that two nodes hear of each other without having to compare everything.
func (d *duo) agree(a *Log, sawA *seen, b *Log, sawB *seen) {
	d.t.Helper()
	d.catchUp(a)
	d.catchUp(b)
	lostA, lostB := sawA.lost, sawB.lost
	for i := range 3 {
		ofA, ofB := fmt.Sprint("ofA", i), fmt.Sprint("ofB", i)
		d.append(a, ofA)
		d.append(b, ofB)
		d.catchUp(a)
		if !slices.Contains(sawA.keys(), ofB) || !slices.Contains(sawB.keys(), ofA) {
			d.t.Errorf("they do not hear of each other: %q, %q\n%s\n%s", sawA.keys(), sawB.keys(), a, b)
			return
		}
	}
	d.catchUp(b)
	if sawA.lost != lostA || sawB.lost != lostB || a.Stats().Position != b.Stats().Position {
		d.t.Errorf("lost %d and %d\n%s\n%s", sawA.lost-lostA, sawB.lost-lostB, a, b)
	}
}

// foreigners are objects beside a log that has 5 entries, or the last 20 up to 2020.
var foreigners = map[string][]uint64{
	"far ahead":              {5021},
	"several far ahead":      {5021, 5022, 5023, 90_000},
	"just beyond the gap":    {7 + maxOver + 2},
	"the largest":            {maxNumber},
	"just below the largest": {maxNumber - 1, maxNumber},
	"far below":              {3, 1000},
	"the first":              {1},
	"on both sides":          {1, 2, 700, 5021},
}

// The log is one run of numbers: an object far from it is no part of it, whether a node
// restarts, has a listing show where the log goes on, or does not know where it was.
//
// Promise 6: "Every node sees what a shared disk would show."
func TestForeignNumberSplitsNobody(t *testing.T) {
	for name, numbers := range foreigners {
		for _, first := range []uint64{1, 2001} {
			for _, way := range []string{"restart", "behind", "audit", "stale", "unknown"} {
				t.Run(fmt.Sprintf("%s/%d/%s", name, first, way), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						d := &duo{t: t, store: buckettest.NewMemory()}
						last := first + 4
						if first > 1 {
							last = first + 19
						}
						for number := first; number <= last; number++ {
							set(d.store, "offload/log/"+entryName(number), "x")
						}
						d.a, d.sawA, _ = d.restart(0)
						d.b, d.sawB, _ = d.restart(0)
						d.put(numbers...)
						goesOn := true
						switch way {
						case "restart":
							d.a, d.sawA, goesOn = d.restart(last)
						case "behind":
							d.append(d.b, "meanwhile")
							d.append(d.b, "then")
							d.a, d.sawA, goesOn = d.restart(last)
							d.catchUp(d.a)
							if got := d.sawA.keys(); !slices.Equal(got, []string{"meanwhile", "then"}) {
								t.Errorf("it was given %q", got)
							}
						case "audit":
							d.a.Recheck()
						case "stale":
							time.Sleep(2 * fresh)
						case "unknown":
							d.a, d.sawA, _ = d.restart(0)
						}
						if !goesOn {
							t.Error("the log does not go on")
						}
						d.agree(d.a, d.sawA, d.b, d.sawB)
						if d.sawA.lost > 0 || d.sawB.lost > 0 {
							t.Errorf("told %d and %d times that entries were missed", d.sawA.lost, d.sawB.lost)
						}
					})
				})
			}
		}
	}
}

// The same in a log that is empty yet: its first writers agree.
func TestForeignNumberInEmptyLog(t *testing.T) {
	for _, number := range []uint64{2, 3, maxOver + 2, 5021, maxNumber} {
		for _, way := range []string{"restart", "audit", "stale"} {
			synctest.Test(t, func(t *testing.T) {
				d := &duo{t: t, store: buckettest.NewMemory()}
				d.a, d.sawA, _ = d.restart(0)
				d.b, d.sawB, _ = d.restart(0)
				d.put(number)
				switch way {
				case "restart":
					d.a, d.sawA, _ = d.restart(0)
				case "audit":
					d.a.Recheck()
				case "stale":
					time.Sleep(2 * fresh)
				}
				d.catchUp(d.a)
				d.append(d.b, "first")
				d.catchUp(d.b)
				d.agree(d.a, d.sawA, d.b, d.sawB)
			})
		}
	}
}

// When the log reaches it, it is one entry that no node wrote.
func TestForeignNumberIsReached(t *testing.T) {
	for _, audited := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			d := newDuo(t)
			d.put(20, 21)
			for i := range 30 {
				d.append(d.a, fmt.Sprint("a", i))
				if audited {
					d.a.Recheck()
					d.b.Recheck()
				}
				d.catchUp(d.a)
				lost := d.sawB.lost
				d.heard(d.b, d.sawB, fmt.Sprint("a", i), lost)
			}
			d.agree(d.a, d.sawA, d.b, d.sawB)
			if s := d.b.Stats(); !audited && (s.Skipped != 2 || s.Lost != 0) || s.Lost > 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// Where no entry can be written, an object far ahead does not tell where the log goes on.
func TestForeignNumberBeyondUnwritable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDuo(t)
		d.put(12, 5021)
		hook := failing(errDeniedHere, func(key string) bool { return entryIs(2)(key) || entryIs(3)(key) }, buckettest.OpGet, buckettest.OpPut)
		d.wayA.SetHook(hook)
		d.wayB.SetHook(hook)
		d.append(d.a, "a1")
		d.append(d.b, "b1")
		d.heard(d.a, d.sawA, "b1", 0)
		d.heard(d.b, d.sawB, "a1", 0)
	})
}

// A node that was away for longer than the log reaches takes its longest run, also if
// something stands where the node was.
func TestForeignNumberWhereANodeWas(t *testing.T) {
	for _, there := range [][]uint64{{5021}, {1, 5021}} {
		synctest.Test(t, func(t *testing.T) {
			d := &duo{t: t, store: buckettest.NewMemory()}
			for number := uint64(2001); number <= 2020; number++ {
				set(d.store, "offload/log/"+entryName(number), "x")
			}
			d.b, d.sawB, _ = d.restart(0)
			d.put(there...)
			for _, after := range []uint64{5, 25} {
				if after == 25 {
					d.put(25)
				}
				var goesOn bool
				if d.a, d.sawA, goesOn = d.restart(after); goesOn {
					t.Errorf("%v: it goes on at %d", there, after)
				}
				d.agree(d.a, d.sawA, d.b, d.sawB)
			}
		})
	}
}

// Continues tells of the run of the log.
func TestForeignNumberAndContinues(t *testing.T) {
	for _, c := range []struct {
		first, last, foreign, number uint64
		want                         bool
	}{
		{1, 5, 5021, 5, true},
		{1, 3, 5021, 5, false},
		{2001, 2020, 1, 1500, true},
		{2001, 2020, 5021, 2020, true},
		{2001, 2010, 5021, 2020, false},
	} {
		store := buckettest.NewMemory()
		for number := c.first; number <= c.last; number++ {
			set(store, "offload/log/"+entryName(number), "x")
		}
		set(store, "offload/log/"+entryName(c.foreign), "x")
		l, _ := join(t, linkTo(store, 0))
		if got, err := l.Continues(t.Context(), c.number); err != nil || got != c.want {
			t.Errorf("%+v: %v, %v", c, got, err)
		}
	}
}

// What is far from the log neither keeps its entries nor has them trimmed.
func TestForeignNumberAndTrim(t *testing.T) {
	for _, foreign := range [][]uint64{{1}, {1, 2, 3, 500}, {5021}, {maxNumber}, {2, 5021}} {
		synctest.Test(t, func(t *testing.T) {
			d := &duo{t: t, store: buckettest.NewMemory()}
			for number := uint64(2001); number <= 2020; number++ {
				set(d.store, "offload/log/"+entryName(number), "x")
			}
			l, _ := join(t, linkTo(d.store, 0), func(c *Config) { c.Testing.KeepEntries, c.Testing.KeepAge = 5, time.Hour })
			d.a, d.b = l, l
			time.Sleep(2 * time.Hour)
			d.append(l, "now")
			d.put(foreign...)
			if err := l.Trim(t.Context()); err != nil {
				t.Fatal(err)
			}
			for number := uint64(2001); number <= 2021; number++ {
				_, there := d.store.Contents("")[l.entryKey(number)]
				if want := number > 2021-5; there != want {
					t.Errorf("%v: entry %d is there: %v", foreign, number, there)
				}
			}
			if got := len(d.store.Contents("")); got != 5+len(foreign) {
				t.Errorf("%v: %d objects are left", foreign, got)
			}
		})
	}
}
