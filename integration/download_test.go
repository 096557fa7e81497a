//go:build integration

package integration

import (
	"bytes"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/env"
	"github.com/media-offload/caddy-media-offload/integration/sample"
)

// TestProtectedDownload has a shop hand out what customers have paid for, while
// the file is on disk and when it is in the bucket only.
//
// Promise 7: "Private stays private. Private and ignored files, control objects
// and the app's code are never readable through the public URL or the module."
func TestProtectedDownload(t *testing.T) {
	ctx := within(t, time.Minute)
	w := newAppWorld(t, worldOptions{store: onMinIO, options: []string{"deletes requests"}}, func(w *world, php *env.PHP) {
		w.app = must1(w.env.App(shared.db, php, "testdata/shop", databaseName(t), address(t)))(t)
		w.app.Preset = "wordpress"
		w.check.Root = filepath.Join(w.app.Dir, "wp-content", "uploads")
		w.check.Private = []string{"woocommerce_uploads/"}
		must(t, os.MkdirAll(w.check.Root, 0o755))
		must(t, php.User.Own(filepath.Join(w.app.Dir, "wp-content")))
		must(t, php.User.Own(w.check.Root))
	})
	goods := sample.MP4("e-book (1).pdf", 3<<20, 1)
	page := w.app.URL + "/download.php?file=" + url.QueryEscape(goods.Name)
	resp := must1(http.Post(page, "application/octet-stream", bytes.NewReader(goods.Content)))(t)
	resp.Body.Close()
	w.equalAfter(ctx)("the upload of goods")
	key := "woocommerce_uploads/2026/11/" + goods.Name
	if _, found := must1(w.bucket.Objects(ctx))(t)["private/"+key]; !found {
		t.Fatalf("%s is not a private object", key)
	}

	escaped := (&url.URL{Path: key}).EscapedPath()
	closed := func() {
		t.Helper()
		for _, link := range []string{
			w.publicURL + "/" + escaped, strings.TrimSuffix(w.publicURL, "media") + "private/" + escaped,
			w.app.URL + "/wp-content/uploads/" + escaped,
		} {
			if resp, _ := request(t, ctx, http.DefaultClient, http.MethodGet, link, nil); resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %s, want 403 or 404", link, resp.Status)
			}
		}
	}
	download := func(by string) {
		t.Helper()
		link := page + "&by=" + by
		if resp, body := request(t, ctx, http.DefaultClient, http.MethodGet, link, nil); resp.StatusCode != http.StatusForbidden || bytes.Contains(body, goods.Content[:64]) {
			t.Errorf("%s: who has not paid gets %s", by, resp.Status)
		}
		paid := http.Header{"Cookie": {"paid=yes"}}
		resp, body := request(t, ctx, http.DefaultClient, http.MethodGet, link, paid)
		if resp.StatusCode != http.StatusOK || !bytes.Equal(body, goods.Content) {
			t.Errorf("%s: %s, %d bytes, want %d", by, resp.Status, len(body), len(goods.Content))
		}
		for name, want := range map[string]string{"Content-Type": "application/pdf", "Content-Disposition": `attachment; filename="` + goods.Name + `"`, by: ""} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", by, name, got, want)
			}
		}
		paid.Set("Range", "bytes=1000000-1000999")
		resp, body = request(t, ctx, http.DefaultClient, http.MethodGet, link, paid)
		if resp.StatusCode != http.StatusPartialContent || !bytes.Equal(body, goods.Content[1000000:1001000]) {
			t.Errorf("%s: range: %s, %d bytes", by, resp.Status, len(body))
		}
	}
	ways := []string{"X-Accel-Redirect", "X-Sendfile", "X-LiteSpeed-Location"}
	closed()
	for _, by := range ways {
		download(by)
	}
	must(t, os.Remove(filepath.Join(w.check.Root, filepath.FromSlash(key))))
	closed()
	for _, by := range ways {
		download(by)
	}
}
