package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// report prints tables as they come, and the targets at the end.
type report struct {
	out     io.Writer
	targets [][]string
}

// heading begins a part.
func (r *report) heading(format string, args ...any) { r.note("\n== "+format, args...) }

func (r *report) note(format string, args ...any) {
	_, _ = fmt.Fprintf(r.out, format+"\n", args...) // there is nowhere else to tell
}

// table prints rows of cells, the first row being the head.
func (r *report) table(rows [][]string) {
	w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		_, _ = fmt.Fprintln(w, "  "+strings.Join(row, "\t"))
	}
	_ = w.Flush()
}

// atMost notes how the median of measurements compares with a limit.
func (r *report) atMost(name string, measured series, format string, limit float64) {
	r.target(name, measured.text(format), fmt.Sprintf("≤ "+format, limit), measured.median() <= limit)
}

// atLeast is atMost the other way round.
func (r *report) atLeast(name string, measured series, format string, limit float64) {
	r.target(name, measured.text(format), fmt.Sprintf("≥ "+format, limit), measured.median() >= limit)
}

// target notes how something measured compares with what is wanted.
func (r *report) target(name, measured, wanted string, met bool) {
	verdict := "met"
	if !met {
		verdict = "MISSED"
	}
	r.targets = append(r.targets, []string{verdict, name, measured, wanted})
}

// summary prints all targets.
func (r *report) summary() {
	if len(r.targets) == 0 {
		return
	}
	r.heading("targets")
	r.table(append([][]string{{"", "what", "measured", "wanted"}}, r.targets...))
}
