package main

import (
	"math"
	"testing"
)

func TestSeries(t *testing.T) {
	for _, row := range []struct {
		s    series
		q    float64
		want float64
	}{
		{series{3}, 0.25, 3},
		{series{4, 1, 3, 2}, 0.5, 2.5},
		{series{5, 1, 2, 4, 3}, 0.5, 3},
		{series{5, 1, 2, 4, 3}, 0.25, 2},
		{series{5, 1, 2, 4, 3}, 1, 5},
		{series{1, 2}, 0.75, 1.75},
	} {
		if got := row.s.quantile(row.q); got != row.want {
			t.Errorf("quantile %v of %v: %v, want %v", row.q, row.s, got, row.want)
		}
	}
	if !math.IsNaN(series{}.median()) {
		t.Error("the median of nothing is a number")
	}
	// The pairs' median is not the medians' difference.
	a, b := series{10, 100, 12}, series{1, 95, 2}
	if got := a.minus(b).median(); got != 9 {
		t.Errorf("median of differences: %v", got)
	}
	if got := a.over(b).quantile(1); got != 10 {
		t.Errorf("largest ratio: %v", got)
	}
	if got := (series{1, 2, 3, 4, 5}).text("%.1f"); got != "3.0 [2.0–4.0]" {
		t.Errorf("text: %s", got)
	}
}

func TestVerdicts(t *testing.T) {
	for _, row := range []struct {
		measured    series
		limit       float64
		most, least string
	}{
		{series{1, 2, 3, 4, 5}, 6, "met", "MISSED"},
		{series{1, 2, 3, 4, 5}, 1.5, "MISSED", "met"},
		{series{1, 2, 3, 4, 5}, 2.5, "unclear", "unclear"},
	} {
		var r report
		r.atMost("", row.measured, "%.0f", row.limit)
		r.atLeast("", row.measured, "%.0f", row.limit)
		if r.targets[0][0] != row.most || r.targets[1][0] != row.least {
			t.Errorf("%v and %v: at most %s, at least %s", row.measured, row.limit, r.targets[0][0], r.targets[1][0])
		}
	}
}
