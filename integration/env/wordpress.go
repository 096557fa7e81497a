package env

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// wordpressSource is where Debian's package puts WordPress.
const wordpressSource = "/usr/share/wordpress"

// SiteOptions says how a WordPress site is set up.
type SiteOptions struct {
	// URL is the site's address, without a slash at the end. Required.
	URL string
	// Name of the folder and the database. Default "wordpress".
	Name string
	// Title of the site. Default "Media offload".
	Title string
	// Cron lets requests start WordPress' scheduled tasks, as it does by
	// itself. Default off, so that nothing runs that a test did not ask for.
	Cron bool
	// Config is PHP code added to wp-config.php.
	Config string
	// Newest takes the newest WordPress that integration/setup.sh fetched, not
	// Debian's.
	Newest bool
}

// Site is a WordPress site.
type Site struct {
	*App
	// Core is the URL path of WordPress' own files, "" or, in Bedrock, "/wp".
	Core string

	env    *Env
	source string // where its files are copied from
	config string
}

// WordPress sets up a site. If the database of that name holds one already, it
// is used again.
func (e *Env) WordPress(db *MariaDB, php *PHP, opts SiteOptions) (*Site, error) {
	name := e.unique(cmp.Or(opts.Name, "wordpress"))
	s := &Site{App: &App{
		Dir: filepath.Join(e.Dir, name), URL: opts.URL,
		User: "admin", Password: "password",
		Database: strings.ReplaceAll(name, "-", "_"),
		Preset:   "wordpress",
		PHP:      php, DB: db,
	}, env: e, source: wordpressSource}
	if opts.Newest {
		var err error
		if s.source, err = beside("wordpress"); err != nil {
			return nil, err
		}
	}
	if err := db.Create(s.Database); err != nil {
		return nil, err
	}
	s.config = wpConfig(s, opts)
	if err := s.copyFiles(); err != nil {
		return nil, err
	}
	if out, err := s.Run(installScript(s, cmp.Or(opts.Title, "Media offload"))); err != nil {
		return nil, fmt.Errorf("installing WordPress: %w", err)
	} else if !strings.Contains(out, "installed") {
		return nil, fmt.Errorf("installing WordPress: unexpected output: %s", out)
	}
	return s, nil
}

// Node makes a further copy of the site's files, with uploads of its own, on
// the same database: a second web server. php may be the same pool.
func (s *Site) Node(php *PHP) (*Site, error) {
	app := *s.App
	node := *s
	node.App = &app
	node.PHP = php
	node.Dir = filepath.Join(s.env.Dir, s.env.unique(filepath.Base(s.Dir)+"-node"))
	return &node, node.copyFiles()
}

// Uploads is the media root.
func (s *Site) Uploads() string { return filepath.Join(s.Dir, "wp-content", "uploads") }

// MediaURL is the address of the media root, with a slash at the end.
func (s *Site) MediaURL() string { return s.URL + "/wp-content/uploads/" }

// Load is PHP code for Run that loads WordPress.
func (s *Site) Load() string {
	return fmt.Sprintf("<?php chdir(%s); $_SERVER['HTTP_HOST'] = %s; $_SERVER['REQUEST_METHOD'] = 'GET'; $_SERVER['SERVER_PROTOCOL'] = 'HTTP/1.1'; require_once %s;\n",
		phpString(s.Dir), phpString(hostOf(s.URL)), phpString(filepath.Join(s.Dir, "wp-load.php")))
}

func hostOf(url string) string {
	_, host, _ := strings.Cut(url, "://")
	return host
}

func (s *Site) copyFiles() error {
	if err := once(s.Dir, s.copyWordPress); err != nil {
		return fmt.Errorf("copying WordPress: %w", err)
	}
	// A site that is used again keeps its keys, and its users logged in.
	config := filepath.Join(s.Dir, "wp-config.php")
	if _, err := os.Stat(config); err != nil {
		if err := os.WriteFile(config, []byte(s.config), 0o644); err != nil {
			return fmt.Errorf("configuring WordPress: %w", err)
		}
	}
	for _, dir := range []string{"wp-content", "wp-content/uploads", "wp-content/mu-plugins"} {
		if err := makeFolder(filepath.Join(s.Dir, dir), s.PHP.User); err != nil {
			return err
		}
	}
	return nil
}

func (s *Site) copyWordPress(dir string) error {
	if err := makeFolder(dir, nil); err != nil {
		return err
	}
	// -L: Debian's package has links to other packages.
	if _, err := run(nil, "", "cp", "-rL", "--no-preserve=mode,ownership", s.source+"/.", dir); err != nil {
		return err
	}
	// Debian's own configuration looks for the site below /etc.
	for _, name := range []string{".htaccess", "wp-config.php"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

func wpConfig(s *Site, opts SiteOptions) string {
	var b strings.Builder
	b.WriteString("<?php\n")
	define := func(name, value string) { fmt.Fprintf(&b, "define('%s', %s);\n", name, value) }
	define("DB_NAME", phpString(s.Database))
	define("DB_USER", phpString(s.Database))
	define("DB_PASSWORD", phpString(s.Database))
	define("DB_HOST", phpString("localhost:"+s.DB.Socket))
	define("DB_CHARSET", "'utf8mb4'")
	define("WP_HOME", phpString(s.URL))
	define("WP_SITEURL", phpString(s.URL))
	for _, name := range []string{"AUTH_KEY", "SECURE_AUTH_KEY", "LOGGED_IN_KEY", "NONCE_KEY", "AUTH_SALT", "SECURE_AUTH_SALT", "LOGGED_IN_SALT", "NONCE_SALT"} {
		define(name, phpString(rand.Text()))
	}
	// Nothing may leave this machine.
	define("WP_HTTP_BLOCK_EXTERNAL", "true")
	define("AUTOMATIC_UPDATER_DISABLED", "true")
	define("DISALLOW_FILE_MODS", "true")
	define("FS_METHOD", "'direct'")
	if !opts.Cron {
		define("DISABLE_WP_CRON", "true")
	}
	b.WriteString(opts.Config)
	b.WriteString("\n$table_prefix = 'wp_';\nif (!defined('ABSPATH')) { define('ABSPATH', __DIR__ . '/'); }\nrequire_once ABSPATH . 'wp-settings.php';\n")
	return b.String()
}

func installScript(s *Site, title string) string {
	return "<?php define('WP_INSTALLING', true); ?>" + s.Load() + fmt.Sprintf(`
require_once ABSPATH . 'wp-admin/includes/upgrade.php';
if (!is_blog_installed()) {
	$result = wp_install(%s, %s, 'admin@example.com', true, '', %s);
	if (is_wp_error($result)) { fwrite(STDERR, $result->get_error_message()); exit(1); }
	global $wp_rewrite;
	$wp_rewrite->set_permalink_structure('/%%postname%%/');
	update_option('ping_sites', '');
	update_option('show_welcome_panel', 0);
}
echo 'installed';
`, phpString(title), phpString(s.User), phpString(s.Password))
}

// phpString quotes a string for PHP.
func phpString(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
