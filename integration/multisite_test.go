//go:build integration

package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/check"
	"github.com/media-offload/caddy-media-offload/integration/env"
	"github.com/media-offload/caddy-media-offload/integration/sample"
	"github.com/media-offload/caddy-media-offload/integration/wp"
)

// networkSite is a site of a network.
type networkSite struct {
	url string
	key string // what the keys of its media begin with

	client  *wp.Client
	picture *wp.Attachment
}

// TestMultisite uploads pictures of the same name to the sites of a WordPress
// network: the first, one in a subdirectory, one of another domain; then to
// that in the subdirectory as networks before WordPress 3.5 kept its files.
func TestMultisite(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	opts := worldOptions{store: onVersitygw, directives: networkRewrites, options: []string{"deletes requests"}}
	w := newAppWorld(t, opts, func(w *world, php *env.PHP) {
		w.site = must1(w.env.WordPress(shared.db, php, env.SiteOptions{URL: address(t), Name: databaseName(t)}))(t)
		w.app = w.site.App
		w.app.PresetOptions = []string{"subsites /shop"}
		w.addresses = []string{strings.Replace(w.site.URL, "127.0.0.1", "news.localhost", 1)}
		w.check.Root = w.site.Uploads()
		w.makeNetwork()
	})
	first, shop, news := &networkSite{url: w.site.URL}, &networkSite{url: w.site.URL + "/shop", key: "sites/2/"}, &networkSite{url: w.addresses[0], key: "sites/3/"}
	// The name is the same, the pictures are not.
	for seed, site := range []*networkSite{first, shop, news} {
		w.uploadToSite(ctx, site, sample.JPEG("photo.jpg", 2, uint64(seed)))
	}
	for _, site := range []*networkSite{first, shop, news} {
		w.publishOnSite(ctx, site, site.url+"/wp-content/uploads/"+site.key)
	}
	w.deleteFromSite(ctx, shop)
	w.deleteFromSite(ctx, news)
	w.hasPictures(ctx, first, true)

	w.makeOldNetwork(opts)
	w.equalWithin(ctx, "what there is", 10*time.Second)
	shop.key = "blogs.dir/2/files/"
	w.uploadToSite(ctx, shop, sample.JPEG("to be deleted.jpg", 2, 10))
	w.deleteFromSite(ctx, shop)
	w.uploadToSite(ctx, shop, sample.JPEG("old way.jpg", 2, 9))
	w.publishOnSite(ctx, shop, shop.url+"/files/")
	// Without the file on disk ms-files.php is not asked.
	must(t, os.Remove(filepath.Join(w.site.Dir, "wp-content", filepath.FromSlash(shop.key), shop.picture.Details.File)))
	if got := get(t, ctx, shop.picture.URL); len(got) == 0 || string(got) != string(get(t, ctx, w.publicOf(shop))) {
		t.Errorf("%s without the file on disk: %d bytes", shop.picture.URL, len(got))
	}
}

// uploadToSite uploads the site's picture.
func (w *world) uploadToSite(ctx context.Context, s *networkSite, picture sample.File) {
	w.t.Helper()
	if s.client == nil {
		site := *w.site
		app := *w.app
		app.URL = s.url
		site.App = &app
		s.client = login(w.t, ctx, &site)
	}
	s.client.AfterWrite = w.equalAfter(ctx)
	id := must1(s.client.UploadREST(ctx, picture))(w.t)
	s.picture = must1(s.client.Attachment(ctx, id))(w.t)
}

// publicOf is the public URL of the site's picture.
func (w *world) publicOf(s *networkSite) string {
	return w.publicURL + "/" + s.key + s.picture.Details.File
}

// publishOnSite writes an article with the site's picture, whose media are at
// the URL media, and one in which its public URL is pasted.
func (w *world) publishOnSite(ctx context.Context, s *networkSite, media string) {
	t := w.t
	t.Helper()
	public := w.publicOf(s)
	if s.picture.URL != media+s.picture.Details.File {
		t.Errorf("the picture's URL is %s, want one below %s", s.picture.URL, media)
	}
	post := must1(s.client.Publish(ctx, "Pictures of "+s.url, wp.Gallery([]*wp.Attachment{s.picture}), s.picture.ID))(t)
	page := string(get(t, ctx, post.Link))
	if !strings.Contains(page, `href="`+public+`"`) {
		t.Errorf("%s does not refer to %s: %s", post.Link, public, page)
	}
	if strings.Contains(page, media) {
		t.Errorf("%s holds local URLs below %s", post.Link, media)
	}
	if string(get(t, ctx, s.picture.URL)) != string(get(t, ctx, public)) {
		t.Errorf("%s is another picture than %s", public, s.picture.URL)
	}
	pasted := must1(s.client.Publish(ctx, "Pasted", `<img src="`+public+`">`, 0))(t)
	stored := must1(s.client.Post(ctx, pasted.ID))(t).Content.Raw
	if strings.Contains(stored, w.publicURL) {
		t.Errorf("stored: %s", stored)
	}
	// Of several URLs of a file the one that its root has comes back.
	_, local, _ := strings.Cut(stored, `src="`)
	local, _, _ = strings.Cut(local, `"`)
	if string(get(t, ctx, local)) != string(get(t, ctx, public)) {
		t.Errorf("%s is another picture than %s", local, public)
	}
}

// deleteFromSite deletes the site's picture.
func (w *world) deleteFromSite(ctx context.Context, s *networkSite) {
	w.t.Helper()
	w.hasPictures(ctx, s, true)
	must(w.t, s.client.DeleteREST(ctx, s.picture.ID))
	w.hasPictures(ctx, s, false)
}

// hasPictures fails the test unless the site's picture, in all its sizes, is in
// the bucket, or is not.
func (w *world) hasPictures(ctx context.Context, s *networkSite, want bool) {
	w.t.Helper()
	stem := strings.TrimSuffix("media/"+s.key+s.picture.Details.File, ".jpg")
	found := 0
	for key := range must1(w.bucket.Objects(ctx))(w.t) {
		if strings.HasPrefix(key, stem) {
			found++
		}
	}
	if want && found < 5 || !want && found > 0 {
		w.t.Errorf("%d objects %s…", found, stem)
	}
}

// networkRewrites are what a network in subdirectories, and an old one, needs of
// any web server.
var networkRewrites = []string{
	`@files path_regexp files ^/[a-z]+/files/(.+)$`,
	"rewrite @files /wp-includes/ms-files.php?file={re.files.1}",
	`@shared path_regexp shared ^/[a-z]+(/wp-(?:content|admin|includes)(?:/.*)?|/[^/]+\.php)$`,
	"rewrite @shared {re.shared.1}",
}

var siteAddress = regexp.MustCompile(`define\('WP_(HOME|SITEURL)'.*\n`)

// makeNetwork turns the site into a network with a second site, /shop, and a
// third one at the world's further address.
func (w *world) makeNetwork() {
	w.t.Helper()
	file := filepath.Join(w.site.Dir, "wp-config.php")
	config := string(must1(os.ReadFile(file))(w.t))
	// These would be the address of every site.
	config = siteAddress.ReplaceAllString(config, "")
	write := func(constants string) {
		must(w.t, os.WriteFile(file, []byte(strings.Replace(config, "<?php\n", "<?php\n"+constants, 1)), 0o644))
	}
	run := func(code, want string) {
		w.t.Helper()
		if out := must1(w.site.Run(w.site.Load() + code))(w.t); out != want {
			w.t.Fatalf("making a network: %s", out)
		}
	}
	host, news := strings.TrimPrefix(w.site.URL, "http://"), strings.TrimPrefix(w.addresses[0], "http://")
	write("define('WP_ALLOW_MULTISITE', true);\n")
	run(fmt.Sprintf(`
update_option('siteurl', '%[1]s'); update_option('home', '%[1]s');
require ABSPATH . 'wp-admin/includes/upgrade.php';
require ABSPATH . 'wp-admin/includes/network.php';
global $wpdb;
foreach ($wpdb->tables('ms_global') as $table => $prefixed) { $wpdb->$table = $prefixed; }
install_network();
$result = populate_network(1, '%[2]s', 'admin@example.com', 'Network', '/', false);
echo is_wp_error($result) ? $result->get_error_message() : 'done';`, w.site.URL, host), "done")
	write(fmt.Sprintf("define('MULTISITE', true);\ndefine('SUBDOMAIN_INSTALL', false);\ndefine('DOMAIN_CURRENT_SITE', '%s');\n"+
		"define('PATH_CURRENT_SITE', '/');\ndefine('SITE_ID_CURRENT_SITE', 1);\ndefine('BLOG_ID_CURRENT_SITE', 1);\n", host))
	run(fmt.Sprintf(`
$_SERVER['REMOTE_ADDR'] = '127.0.0.1';
update_option('permalink_structure', '/blog/%%postname%%/');
delete_option('rewrite_rules'); // the next request makes them anew
global $wpdb;
foreach ([['%[1]s', '/shop/'], ['%[2]s', '/']] as [$domain, $path]) {
	$id = wp_insert_site(['domain' => $domain, 'path' => $path, 'user_id' => 1, 'title' => $domain . $path]);
	if (is_wp_error($id)) { exit($id->get_error_message()); }
	// WordPress takes the colon of the port for a mistake.
	$wpdb->update($wpdb->blogs, ['domain' => $domain], ['blog_id' => $id]);
	clean_blog_cache($id);
	switch_to_blog($id);
	update_option('home', 'http://' . rtrim($domain . $path, '/'));
	update_option('siteurl', 'http://' . rtrim($domain . $path, '/'));
	delete_option('rewrite_rules');
	update_option('permalink_structure', '/%%postname%%/');
	restore_current_blog();
}
echo 'done ' . $id;`, host, news), "done 3")
}

// makeOldNetwork makes the network keep files in blogs.dir, and has another
// bucket.
func (w *world) makeOldNetwork(opts worldOptions) {
	w.t.Helper()
	if out := must1(w.site.Run(w.site.Load() + `update_site_option('ms_files_rewriting', '1'); echo 'done';`))(w.t); out != "done" {
		w.t.Fatalf("making an old network: %s", out)
	}
	blogs := filepath.Join(w.site.Dir, "wp-content", "blogs.dir")
	must(w.t, os.MkdirAll(blogs, 0o755))
	must(w.t, w.app.PHP.User.Own(blogs))
	w.app.Preset = "wordpress-ms-files"
	opts.options = []string{"alias /shop/files/ blogs.dir 2/files"}
	w.makeBucket(opts)
	w.check = &check.Checker{Bucket: w.bucket, Roots: map[string]string{"uploads": w.site.Uploads(), "blogs.dir": blogs}}
	must(w.t, w.caddy.Stop())
	w.caddy.SetSites(w.sites(opts))
	must(w.t, w.caddy.Start())
}
