package main

import (
	"fmt"
	"math"
	"slices"
)

// series are measurements of one thing, one for each round.
type series []float64

// quantile interpolates between the two nearest measurements. Of none it is
// NaN.
func (s series) quantile(q float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (sorted[high]-sorted[low])*(at-float64(low))
}

func (s series) median() float64 { return s.quantile(0.5) }

func (s series) sum() float64 {
	total := 0.0
	for _, v := range s {
		total += v
	}
	return total
}

func (s series) mean() float64 { return s.sum() / float64(len(s)) }

// text is the median with the quartiles: "1.50 [1.25–1.75]".
func (s series) text(format string) string {
	return fmt.Sprintf(format+" ["+format+"–"+format+"]", s.median(), s.quantile(0.25), s.quantile(0.75))
}

// minus pairs the rounds of two series.
func (s series) minus(other series) series {
	return pair(s, other, func(a, b float64) float64 { return a - b })
}

// over pairs the rounds of two series.
func (s series) over(other series) series {
	return pair(s, other, func(a, b float64) float64 { return a / b })
}

func pair(a, b series, f func(a, b float64) float64) series {
	out := make(series, min(len(a), len(b)))
	for i := range out {
		out[i] = f(a[i], b[i])
	}
	return out
}
