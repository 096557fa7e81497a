//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// status is what the module's admin endpoint tells of an engine.
type status struct {
	State       string    `json:"state"`
	Reason      string    `json:"reason"`
	Pending     int       `json:"pending"`
	Committed   int       `json:"committed"`
	Reconciled  time.Time `json:"reconciled"`
	Reconciling bool      `json:"reconciling"`
}

func (w *world) status() status {
	w.t.Helper()
	body := must1(w.caddy.AdminGet("/media_offload/status"))(w.t)
	var all []status
	must(w.t, json.Unmarshal(body, &all))
	if len(all) != 1 {
		w.t.Fatalf("%d engines: %s", len(all), body)
	}
	return all[0]
}

// TestTree starts on a large tree of files: first with an empty bucket, then
// with one that has them all. Pages are served meanwhile.
func TestTree(t *testing.T) {
	files := length(2000, 200000)
	ctx := within(t, time.Duration(length(3, 60))*time.Minute)
	w := newWorld(t, worldOptions{store: onVersitygw})
	must(t, w.caddy.Stop())
	makeTree(t, w.site.Uploads(), files)

	must(t, w.caddy.Start())
	w.reconciled(ctx, "the first time", files)
	if problems := must1(w.check.Compare(ctx))(t); len(problems) > 0 {
		t.Fatalf("%d differences, the first: %s", len(problems), problems[0])
	}
	must(t, w.caddy.Stop())
	must(t, w.caddy.Start())
	w.reconciled(ctx, "again", 0)

	// What changed while Caddy was away is found.
	must(t, w.caddy.Stop())
	changed := filepath.Join(w.site.Uploads(), treeFile(0))
	must(t, os.WriteFile(changed, []byte("other content"), 0o644))
	must(t, os.WriteFile(filepath.Join(w.site.Uploads(), "new.jpg"), []byte("new"), 0o644))
	must(t, w.caddy.Start())
	w.reconciled(ctx, "with two changes", 2)
	if problems := must1(w.check.Compare(ctx))(t); len(problems) > 0 {
		t.Fatalf("%d differences, the first: %s", len(problems), problems[0])
	}
}

// reconciled waits until the engine has compared disk and bucket and has
// committed what was missing, and reports time and memory. Pages are fetched
// all the while.
func (w *world) reconciled(ctx context.Context, what string, commits int) {
	w.t.Helper()
	start := time.Now()
	var pages []time.Duration
	for {
		begin := time.Now()
		if resp, _ := request(w.t, ctx, http.DefaultClient, http.MethodGet, w.site.URL+"/", nil); resp.StatusCode != http.StatusOK {
			w.t.Fatalf("a page meanwhile: %s", resp.Status)
		}
		pages = append(pages, time.Since(begin))
		if s := w.status(); !s.Reconciled.IsZero() && !s.Reconciling && s.Pending == 0 {
			if s.Committed != commits {
				w.t.Errorf("%s: %d files committed, want %d", what, s.Committed, commits)
			}
			break
		}
		must(w.t, ctx.Err())
	}
	memory := must1(w.caddy.PeakMemory())(w.t)
	typical := median(pages)
	w.t.Logf("%s: equal after %s, %d MiB of memory at most; %d pages meanwhile in %s each",
		what, time.Since(start).Round(time.Millisecond), memory>>20, len(pages), typical.Round(time.Millisecond))
	// Promise 3: "Pages never wait for the bucket."
	if limit := 3 * time.Second; typical > limit {
		w.t.Errorf("%s: a page takes %s", what, typical)
	}
}

// treeFile is the key of the n-th file of a tree.
func treeFile(n int) string {
	return fmt.Sprintf("%d/%02d/photo-%d.jpg", 2000+n/12000, 1+n/1000%12, n)
}

func makeTree(t *testing.T, root string, files int) {
	t.Helper()
	content := make([]byte, 2<<10)
	for n := range files {
		path := filepath.Join(root, filepath.FromSlash(treeFile(n)))
		if n%1000 == 0 {
			must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		}
		copy(content, fmt.Sprintf("file %d", n))
		must(t, os.WriteFile(path, content, 0o644))
	}
}
