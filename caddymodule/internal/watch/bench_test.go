package watch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// buildTree makes dirs directories in a tree like WordPress' (years, months,
// sites) with files in each.
func buildTree(tb testing.TB, dirs, files int) string {
	tb.Helper()
	root := tb.TempDir()
	for i := range dirs {
		dir := filepath.Join(root, "sites", fmt.Sprint(i/120), fmt.Sprint(2015+i/12%10), fmt.Sprintf("%02d", 1+i%12))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			tb.Fatal(err)
		}
		for f := range files {
			file, err := os.Create(filepath.Join(dir, fmt.Sprintf("holiday-photo-%d-300x200.jpg", f)))
			if err != nil {
				tb.Fatal(err)
			}
			if err := file.Close(); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return root
}

// BenchmarkLargeTree is New on 20,000 directories with 200,000 files, and a
// barrier after that: one scan, if scanning.
func BenchmarkLargeTree(b *testing.B) {
	root := buildTree(b, 20_000, 10)
	for _, scan := range []bool{false, true} {
		cfg := Config{Roots: []string{root}, Handle: func([]Event) {}, Scan: scan}
		kind := map[bool]string{false: "inotify", true: "scan"}[scan]
		b.Run(kind+"/New", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w, err := New(b.Context(), cfg)
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if got := w.Kind(); got != kind {
					b.Fatalf("it is %s", got)
				}
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
		b.Run(kind+"/Barrier", func(b *testing.B) {
			w, err := New(b.Context(), cfg)
			if err != nil {
				b.Fatal(err)
			}
			defer w.Close()
			b.ReportAllocs()
			for b.Loop() {
				if err := w.Barrier(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
