package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

// loadAverages are those of the last 1, 5 and 15 minutes, which include this
// program's own.
func loadAverages() string {
	content, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(string(content))[:3], " ")
}

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
	verdict := judge(measured.median() <= limit)
	r.targets = append(r.targets, []string{measured.orUnclear(verdict, limit), name, measured.text(format), fmt.Sprintf("≤ "+format, limit)})
}

// atLeast is atMost the other way round.
func (r *report) atLeast(name string, measured series, format string, limit float64) {
	verdict := judge(measured.median() >= limit)
	r.targets = append(r.targets, []string{measured.orUnclear(verdict, limit), name, measured.text(format), fmt.Sprintf("≥ "+format, limit)})
}

// target notes how something measured compares with what is wanted.
func (r *report) target(name, measured, wanted string, met bool) {
	r.targets = append(r.targets, []string{judge(met), name, measured, wanted})
}

func judge(met bool) string {
	if met {
		return "met"
	}
	return "MISSED"
}

// orUnclear is the verdict, unless the limit lies between the quartiles: then
// another run may well have another one.
func (s series) orUnclear(verdict string, limit float64) string {
	if s.quantile(0.25) <= limit && limit <= s.quantile(0.75) {
		return "unclear"
	}
	return verdict
}

// summary prints all targets.
func (r *report) summary() {
	if len(r.targets) == 0 {
		return
	}
	r.heading("targets")
	r.table(append([][]string{{"", "what", "measured", "wanted"}}, r.targets...))
	r.note("  unclear: the limit lies between the quartiles. Where others use the processors, ratios and CPU last longest; milliseconds mean little.")
	r.note("  Load averages at the end: %s", loadAverages())
}
