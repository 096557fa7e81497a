package rewrite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRegressions runs the inputs that once were treated wrongly. A file
// name.html (.css, .json, .xml) is an input, name.html.want what it becomes,
// if that is something else. Those whose name begins with "tight-" are run with
// limits that they exceed; only that the output does not depend on how they are
// cut is looked at.
func TestRegressions(t *testing.T) {
	types := map[string]string{".html": "text/html", ".css": "text/css", ".json": "application/json", ".xml": "application/rss+xml"}
	files, err := filepath.Glob("testdata/regression/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		p := sitePage
		if p.ContentType = types[filepath.Ext(file)]; p.ContentType == "" {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		in := string(data)
		if strings.HasPrefix(filepath.Base(file), "tight-") {
			r := tight(t)
			for seed := range uint64(50) {
				checkSplits(t, r, p, in, rewriteIn(t, r, p, in, whole(in), false), seed)
			}
			continue
		}
		want := in
		if data, err := os.ReadFile(file + ".want"); err == nil {
			want = string(data)
		}
		if got := rewriteAll(t, newTest(t), p, in); got != want {
			t.Errorf("%s\n got  %s\n want %s", file, got, want)
		}
	}
}
