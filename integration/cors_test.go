//go:build integration

package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/media-offload/caddy-media-offload/integration/env"
	"github.com/media-offload/caddy-media-offload/integration/sample"
)

// fontPage uses a web font and a picture that wants to be readable.
const fontPage = `<!doctype html><title>Font</title>
<style>@font-face { font-family: probe; src: url(/wp-content/uploads/fonts/probe.woff2) } p { font-family: probe }</style>
<p>text</p><img crossorigin src="/wp-content/uploads/picture.png">`

// TestCORS opens a page with a font and a picture that another host may only give with
// its leave, in a browser: both work in any case, and come from there once it was seen
// to give it.
//
// Promise 4: "A page works as it did before." "with CORS only once the public host was
// seen to allow it".
func TestCORS(t *testing.T) {
	const warning = "web fonts, what has a crossorigin attribute, and what scripts and JSON name stay local"
	for _, test := range []struct {
		name  string
		opts  worldOptions
		rule  bool // the bucket gets one for the site
		stays bool
	}{
		{name: "bucket without a rule", opts: worldOptions{store: onVersitygw}, stays: true},
		{name: "bucket with a rule", opts: worldOptions{store: onVersitygw}, rule: true},
		{name: "MinIO as it comes", opts: worldOptions{store: onMinIO}},
		{name: "this Caddy", opts: worldOptions{store: onVersitygw, mediaSite: true, options: []string{"site_hosts site.localhost"}}},
		{name: "this Caddy, not told of the site", opts: worldOptions{store: onVersitygw, mediaSite: true}, stays: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx := within(t, time.Minute)
			w := newAppWorld(t, test.opts, func(w *world, php *env.PHP) {
				w.app = must1(w.env.App(shared.db, php, "testdata/shop", databaseName(t), addressOf(t, "site.localhost")))(t)
				w.app.Preset = "wordpress"
				w.check.Root = filepath.Join(w.app.Dir, "wp-content", "uploads")
				font := must1(os.ReadFile("/usr/share/wordpress/wp-includes/fonts/dashicons.woff2"))(t)
				must(t, os.MkdirAll(filepath.Join(w.check.Root, "fonts"), 0o755))
				for name, content := range map[string][]byte{
					"wp-content/uploads/fonts/probe.woff2": font,
					"wp-content/uploads/picture.png":       sample.PNG("", 20, 10, 1).Content,
					"page.html":                            []byte(fontPage),
				} {
					must(t, os.WriteFile(filepath.Join(w.app.Dir, filepath.FromSlash(name)), content, 0o644))
				}
			})
			if test.rule {
				must(t, w.bucket.(*env.S3Bucket).AllowOrigin(ctx, w.app.URL))
			}
			w.equalWithin(ctx, "font and picture", 10*time.Second)
			visitor := w.browser(ctx)
			// open is what the browser makes of the page, and where it has the picture from.
			open := func() string {
				must(t, chromedp.Do(visitor,
					chromedp.Navigate(w.app.URL+"/page.html"),
					eventually(`document.readyState == 'complete' && [...document.fonts].every(f => f.status == 'loaded' || f.status == 'error')`),
				))
				return must1(chromedp.Run(visitor, chromedp.Evaluate[string](
					`[...document.fonts].map(f => f.status) + ', ' + document.images[0].naturalWidth + ', ' + document.images[0].src`)))(t)
			}
			local, public := "loaded, 20, "+w.app.URL+"/wp-content/uploads/picture.png", "loaded, 20, "+w.publicURL+"/picture.png"
			if got := open(); got != local {
				t.Errorf("before anything was seen the browser has %s, want %s", got, local)
			}
			if test.stays {
				waitFor(t, 20*time.Second, "the warning", func() bool { return strings.Contains(w.caddy.Log(), warning) })
				if got := open(); got != local {
					t.Errorf("the browser has %s, want %s", got, local)
				}
				return
			}
			waitFor(t, 20*time.Second, "font and picture from the public URL", func() bool { return open() == public })
			if strings.Contains(w.caddy.Log(), warning) {
				t.Error("a warning is in the log")
			}
		})
	}
}
