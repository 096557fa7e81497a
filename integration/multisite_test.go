//go:build integration

package integration

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/env"
	"github.com/media-offload/caddy-media-offload/integration/sample"
	"github.com/media-offload/caddy-media-offload/integration/wp"
)

// TestMultisite uploads pictures of the same name to two sites of a WordPress
// network in subdirectories.
func TestMultisite(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	w := newAppWorld(t, worldOptions{store: onVersitygw, directives: networkRewrites}, func(w *world, php *env.PHP) {
		w.site = must1(w.env.WordPress(shared.db, php, env.SiteOptions{URL: address(t), Name: databaseName(t)}))(t)
		w.app = w.site.App
		w.app.PresetOptions = []string{"subsites /shop"}
		w.check.Root = w.site.Uploads()
		w.makeNetwork()
	})
	// The name is the same, the pictures are not.
	pictures := map[string]*wp.Attachment{}
	clients := map[string]*wp.Client{}
	for seed, path := range []string{"", "/shop"} {
		site := *w.site
		app := *w.app
		app.URL += path
		site.App = &app
		client := login(t, ctx, &site)
		client.AfterWrite = w.equalAfter(ctx)
		id := must1(client.UploadREST(ctx, sample.JPEG("photo.jpg", 2, uint64(seed))))(t)
		pictures[path] = must1(client.Attachment(ctx, id))(t)
		clients[path] = client
	}
	keys := map[string]string{"": "", "/shop": "sites/2/"}
	for path, client := range clients {
		key := keys[path] + strings.SplitAfterN(pictures[path].URL, "/wp-content/uploads/"+keys[path], 2)[1]
		if !strings.HasSuffix(key, "/photo.jpg") {
			t.Errorf("%s has the key %s", pictures[path].URL, key)
		}
		post := must1(client.Publish(ctx, "Pictures of "+path, wp.Gallery([]*wp.Attachment{pictures[path]}), pictures[path].ID))(t)
		page := string(get(t, ctx, post.Link))
		if !strings.Contains(page, `href="`+w.publicURL+"/"+key+`"`) {
			t.Errorf("%s does not refer to %s/%s: %s", post.Link, w.publicURL, key, page)
		}
		if strings.Contains(page, pictures[path].URL) {
			t.Errorf("%s holds the local URL %s", post.Link, pictures[path].URL)
		}
		local, public := get(t, ctx, pictures[path].URL), get(t, ctx, w.publicURL+"/"+key)
		if string(local) != string(public) {
			t.Errorf("%s is another picture than %s", key, pictures[path].URL)
		}
		pasted := must1(client.Publish(ctx, "Pasted", `<img src="`+w.publicURL+"/"+key+`">`, 0))(t)
		if stored := must1(client.Post(ctx, pasted.ID))(t); strings.Contains(stored.Content.Raw, w.publicURL) {
			t.Errorf("stored: %s", stored.Content.Raw)
		}
	}
	must(t, clients["/shop"].DeleteREST(ctx, pictures["/shop"].ID))
	objects := must1(w.bucket.Objects(ctx))(t)
	for path, want := range map[string]bool{"": true, "/shop": false} {
		prefix := "media/" + keys[path] + time.Now().UTC().Format("2006/01/")
		found := false
		for key := range objects {
			found = found || strings.HasPrefix(key, prefix)
		}
		if found != want {
			t.Errorf("pictures of site %q: %t, want %t, in %v", path, found, want, objects)
		}
	}
}

// networkRewrites are what a network in subdirectories needs of any web server.
var networkRewrites = []string{
	`@shared path_regexp shared ^/[a-z]+(/wp-(?:content|admin|includes)(?:/.*)?|/[^/]+\.php)$`,
	"rewrite @shared {re.shared.1}",
}

var siteAddress = regexp.MustCompile(`define\('WP_(HOME|SITEURL)'.*\n`)

// makeNetwork turns the site into a network with a second site, /shop.
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
	address, err := url.Parse(w.site.URL)
	must(w.t, err)
	write("define('WP_ALLOW_MULTISITE', true);\n")
	run(fmt.Sprintf(`
update_option('siteurl', '%[1]s'); update_option('home', '%[1]s');
require ABSPATH . 'wp-admin/includes/upgrade.php';
require ABSPATH . 'wp-admin/includes/network.php';
global $wpdb;
foreach ($wpdb->tables('ms_global') as $table => $prefixed) { $wpdb->$table = $prefixed; }
install_network();
$result = populate_network(1, '%[2]s', 'admin@example.com', 'Network', '/', false);
echo is_wp_error($result) ? $result->get_error_message() : 'done';`, w.site.URL, address.Host), "done")
	write(fmt.Sprintf("define('MULTISITE', true);\ndefine('SUBDOMAIN_INSTALL', false);\ndefine('DOMAIN_CURRENT_SITE', '%s');\n"+
		"define('PATH_CURRENT_SITE', '/');\ndefine('SITE_ID_CURRENT_SITE', 1);\ndefine('BLOG_ID_CURRENT_SITE', 1);\n", address.Host))
	run(fmt.Sprintf(`
$_SERVER['REMOTE_ADDR'] = '127.0.0.1';
$id = wp_insert_site(['domain' => '%[1]s', 'path' => '/shop/', 'user_id' => 1, 'title' => 'Shop']);
if (is_wp_error($id)) { exit($id->get_error_message()); }
update_option('permalink_structure', '/blog/%%postname%%/');
delete_option('rewrite_rules'); // the next request makes them anew
// WordPress takes the colon of the port for a mistake.
global $wpdb;
$wpdb->update($wpdb->blogs, ['domain' => '%[1]s'], ['blog_id' => $id]);
clean_blog_cache($id);
switch_to_blog($id);
update_option('home', 'http://%[1]s/shop');
update_option('siteurl', 'http://%[1]s/shop');
delete_option('rewrite_rules');
update_option('permalink_structure', '/%%postname%%/');
echo 'done ' . $id;`, address.Host), "done 2")
}
