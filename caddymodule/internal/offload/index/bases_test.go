package index

import (
	"fmt"
	"runtime"
	"testing"
)

func TestBases(t *testing.T) {
	h := newBases()
	h.set("a", "1")
	h.learn("a", "2")
	h.learn("b", "2")
	if !h.is("a", "1") || h.is("a", "2") || !h.is("b", "2") || h.is("c", "") {
		t.Error("a is 1, b is 2")
	}
	h.set("a", "3")
	h.drop("b")
	if !h.is("a", "3") || h.any("b") {
		t.Error("a is 3, b is none")
	}
	h.expect("a", "5")()
	h.expect("c", "5")()
	if !h.is("a", "3") || h.any("c") {
		t.Error("what was expected did not come: a is 3, c is none")
	}
	if h.expect("c", "5"); !h.is("c", "5") {
		t.Error("c is 5")
	}
}

// BenchmarkBases measures the memory for each key at a million.
func BenchmarkBases(b *testing.B) {
	const keys = 1_000_000
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		h := newBases()
		for i := range keys {
			h.set(fmt.Sprintf("2026/11/photo-%d.jpg", i), "d41d8cd98f00b204e9800998ecf8427e")
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if !h.any("2026/11/photo-7.jpg") {
			b.Fatal("nothing is remembered")
		}
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/keys, "B/key")
}
