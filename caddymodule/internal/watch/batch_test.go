package watch

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
)

func TestBatchMerges(t *testing.T) {
	type change struct {
		path    string
		op      Op
		created bool
	}
	for _, tc := range []struct {
		name string
		in   []change
		want []Event
	}{
		{
			"created, written, closed",
			[]change{{"a", Writing, true}, {"a", Writing, false}, {"a", Wrote, false}, {"a", Touched, false}},
			[]Event{{Path: "a", Op: Wrote, Created: true}},
		},
		{
			"came and went",
			[]change{{"a", Writing, true}, {"a", Wrote, false}, {"a", Gone, false}, {"a", Touched, false}},
			[]Event{{Path: "a", Op: Gone, Created: true}},
		},
		{
			"went and came: there was something before",
			[]change{{"a", Gone, false}, {"a", Writing, true}, {"a", Wrote, false}},
			[]Event{{Path: "a", Op: Wrote}},
		},
		{
			"written again",
			[]change{{"a", Wrote, false}, {"b", Wrote, false}, {"a", Writing, false}},
			[]Event{{Path: "a", Op: Writing}, {Path: "b", Op: Wrote}},
		},
		{
			"touched, then written",
			[]change{{"a", Touched, false}, {"a", Writing, false}},
			[]Event{{Path: "a", Op: Writing}},
		},
		{
			"not across a directory's end",
			[]change{{"d/a", Wrote, true}, {"d", DirGone, false}, {"d/a", Wrote, true}, {"d", DirGone, false}, {"", Rescan, false}},
			[]Event{
				{Path: "d/a", Op: Wrote, Created: true},
				{Path: "d", Op: DirGone},
				{Path: "d/a", Op: Wrote, Created: true},
				{Path: "d", Op: DirGone},
				{Op: Rescan},
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rec := &recorder{}
			b := newBatch(&Config{Roots: []string{"/r"}, Handle: rec.handle, Logger: slog.New(slog.DiscardHandler)})
			for range 2 { // the second time after a flush
				for _, c := range tc.in {
					if c.op == DirGone || c.op == Rescan {
						b.dir(0, c.path, c.op)
					} else {
						b.file(0, []byte(c.path), c.op, c.created)
					}
				}
				b.flush()
				if got := rec.take(); !slices.Equal(got, tc.want) {
					t.Errorf("got  %v\nwant %v", got, tc.want)
				}
			}
		})
	}
}

func TestBatchIsBounded(t *testing.T) {
	total, largest := 0, 0
	b := newBatch(&Config{Roots: []string{"/r", "/s"}, Handle: func(events []Event) {
		total += len(events)
		largest = max(largest, len(events))
	}})
	for i := range 5 * batchSize {
		b.file(i%2, fmt.Appendf(nil, "f%d", i/2), Wrote, false)
	}
	b.flush()
	b.flush()
	if total != 5*batchSize || largest > batchSize {
		t.Errorf("%d events, up to %d at once", total, largest)
	}
}

// A large upload is thousands of MODIFY events of one path.
func BenchmarkBatchSamePath(b *testing.B) {
	batch := newBatch(&Config{Roots: []string{"/r"}, Handle: func([]Event) {}})
	path := []byte("2026/11/a-film-with-a-rather-long-name.mp4")
	batch.file(0, path, Writing, true)
	b.ReportAllocs()
	for b.Loop() {
		batch.file(0, path, Writing, false)
	}
}
