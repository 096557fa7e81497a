//go:build integration

package integration

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/env"
)

// TestLinksAndRenames has PHP give files second and other names.
//
// Promise 1: "every file that was written, renamed or deleted in a media root while
// it ran is committed".
func TestLinksAndRenames(t *testing.T) {
	ctx := within(t, time.Minute)
	w := newAppWorld(t, worldOptions{store: onFile}, func(w *world, php *env.PHP) {
		w.app = must1(w.env.App(shared.db, php, "testdata/links", databaseName(t), address(t)))(t)
		w.app.Preset = "wordpress"
		w.check.Root = filepath.Join(w.app.Dir, "wp-content", "uploads")
		must(t, os.MkdirAll(w.check.Root, 0o755))
		must(t, php.User.Own(filepath.Join(w.app.Dir, "wp-content")))
		must(t, php.User.Own(w.check.Root))
	})
	check := w.equalAfter(ctx)
	for _, step := range []struct{ method, do, name string }{
		{http.MethodPost, "link", "link()"},
		{http.MethodPost, "write", "a write through the second name"},
		{http.MethodPost, "move", "a rename"},
	} {
		if resp, body := request(t, ctx, http.DefaultClient, step.method, w.app.URL+"/files.php?do="+step.do, nil); resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s: %s", step.name, resp.Status, body)
		}
		check(step.name)
	}
	if resp, body := request(t, ctx, http.DefaultClient, http.MethodGet, w.app.URL+"/files.php?do=make", nil); resp.StatusCode != http.StatusOK {
		t.Fatalf("a picture made on demand: %s: %s", resp.Status, body)
	}
	w.equalWithin(ctx, "a picture made on demand by a temporary name", 10*time.Second)
	var names []string
	for name := range must1(w.bucket.Objects(ctx))(t) {
		if filepath.Dir(name) == "media/2026/11" {
			names = append(names, filepath.Base(name))
		}
	}
	if slices.Sort(names); !slices.Equal(names, []string{"made.jpg", "second.jpg", "third.jpg"}) {
		t.Errorf("the bucket has %q", names)
	}
}
