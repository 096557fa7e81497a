//go:build integration

package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/env"
	"github.com/media-offload/caddy-media-offload/integration/sample"
)

// TestBedrock uploads a picture to a WordPress as Bedrock lays it out: the core
// in wp/, the content in app/, each with URLs of its own.
func TestBedrock(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	w := newAppWorld(t, worldOptions{store: onVersitygw}, func(w *world, php *env.PHP) {
		w.site = must1(w.env.WordPress(shared.db, php, env.SiteOptions{URL: address(t), Name: databaseName(t)}))(t)
		w.app = w.site.App
		w.app.Preset = "bedrock"
		w.makeBedrock()
		w.check.Root = filepath.Join(w.site.Dir, "app", "uploads")
	})
	site := &networkSite{url: w.site.URL}
	w.uploadToSite(ctx, site, sample.JPEG("photo.jpg", 2, 1))
	w.publishOnSite(ctx, site, w.site.URL+"/app/uploads/")
	w.deleteFromSite(ctx, site)
}

// bedrockConfig is what Bedrock's own configuration says of the folders.
const bedrockConfig = `define('WP_CONTENT_DIR', __DIR__ . '/app');
define('WP_CONTENT_URL', WP_HOME . '/app');
define('ABSPATH', __DIR__ . '/wp/');
`

// makeBedrock lays the site's files out anew, in a folder beside.
func (w *world) makeBedrock() {
	w.t.Helper()
	web, core := w.site.Dir+"-web", filepath.Join(w.site.Dir+"-web", "wp")
	must(w.t, os.Mkdir(web, 0o755))
	must(w.t, os.Rename(w.site.Dir, core))
	must(w.t, os.Rename(filepath.Join(core, "wp-content"), filepath.Join(web, "app")))
	config := string(must1(os.ReadFile(filepath.Join(core, "wp-config.php")))(w.t))
	config = strings.Replace(config, "define('WP_SITEURL', '"+w.site.URL, "define('WP_SITEURL', '"+w.site.URL+"/wp", 1)
	config = strings.Replace(config, "$table_prefix", bedrockConfig+"$table_prefix", 1)
	must(w.t, os.Remove(filepath.Join(core, "wp-config.php")))
	must(w.t, os.WriteFile(filepath.Join(web, "wp-config.php"), []byte(config), 0o644))
	index := `<?php define('WP_USE_THEMES', true); require __DIR__ . '/wp/wp-blog-header.php';`
	must(w.t, os.WriteFile(filepath.Join(web, "index.php"), []byte(index), 0o644))
	w.site.Dir, w.site.Core = web, "/wp"
}
