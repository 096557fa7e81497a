package env

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// App is a PHP app: a folder, an address, a database, and the pool that runs it.
type App struct {
	// Dir is the document root.
	Dir string
	// URL is the site's address, without a slash at the end.
	URL string
	// User and Password log in to the admin screens.
	User, Password string
	// Database is the name of the app's database.
	Database string
	// Preset is what the module calls the app.
	Preset string
	// PresetOptions are the lines of the block of the option app.
	PresetOptions []string

	// Environ are variables that the scripts are given.
	Environ map[string]string

	PHP *PHP
	DB  *MariaDB
}

// App sets up an app that needs no installer: a copy of tree, and an empty
// database of that name. url is the site's address.
func (e *Env) App(db *MariaDB, php *PHP, tree, name, url string) (*App, error) {
	name = e.unique(name)
	a := &App{Dir: filepath.Join(e.Dir, name), URL: url, Database: strings.ReplaceAll(name, "-", "_"), PHP: php, DB: db}
	if err := db.Create(a.Database); err != nil {
		return nil, err
	}
	return a, a.copyFrom(tree)
}

// Serve is the part of a Caddyfile that serves the app at the given
// addresses. directives are put before PHP, for example those of MediaOffload.
func (a *App) Serve(directives string, addresses ...string) string {
	php := "php_fastcgi unix/" + a.PHP.Socket
	if len(a.Environ) > 0 {
		var lines []string
		for _, name := range slices.Sorted(maps.Keys(a.Environ)) {
			lines = append(lines, "env "+name+" "+a.Environ[name])
		}
		php = block(php, lines...)
	}
	return block(strings.Join(addresses, ", "), "bind 127.0.0.1", "root * "+a.Dir, directives, php, "file_server")
}

// MediaOffload is the app's media_offload directive. publicURL may be empty;
// options are further lines of the block.
func (a *App) MediaOffload(bucket Bucket, publicURL string, options ...string) string {
	app := "app " + a.Preset + " " + a.Dir
	if len(a.PresetOptions) > 0 {
		app = block(app, a.PresetOptions...)
	}
	lines := []string{app, bucket.Caddyfile()}
	if publicURL != "" {
		lines = append(lines, "public_url "+publicURL)
	}
	return block("media_offload", append(lines, options...)...)
}

// Run executes PHP code from the command line, as the web server's user, and
// returns what it prints.
func (a *App) Run(code string) (string, error) {
	out, err := run(a.PHP.User, code, "php", "-d", "display_errors=stderr", "-d", "sendmail_path=/bin/true", "-d", "memory_limit=512M")
	return string(out), err
}

// copyFrom makes the app's folder a copy of tree that belongs to the web
// server's user.
func (a *App) copyFrom(tree string) error {
	if _, err := run(nil, "", "cp", "-rL", "--no-preserve=mode,ownership", tree, a.Dir); err != nil {
		return fmt.Errorf("copying %s: %w", tree, err)
	}
	if a.PHP.User == nil {
		return nil
	}
	if _, err := run(nil, "", "chown", "-R", a.PHP.User.Name+":", a.Dir); err != nil {
		return fmt.Errorf("copying %s: %w", tree, err)
	}
	return nil
}
