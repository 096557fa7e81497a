package env

import (
	"fmt"
	"os"
	"path/filepath"
)

// Joomla installs a Joomla from a tree of its files, which is copied, by its
// own installer. url is the site's address, name that of its folder and
// database.
func (e *Env) Joomla(db *MariaDB, php *PHP, tree, name, url string) (*App, error) {
	a, err := e.App(db, php, tree, name, url)
	if err != nil {
		return nil, err
	}
	a.User, a.Password, a.Preset = "admin", "correct horse battery", "joomla"
	// The check wants proof that a database elsewhere is ours; a socket counts
	// as elsewhere.
	_, err = run(php.User, "", "env", "JOOMLA_INSTALLATION_DISABLE_LOCALHOST_CHECK=1",
		"php", filepath.Join(a.Dir, "installation", "joomla.php"), "install", "--no-interaction",
		"--site-name=Media offload", "--admin-user=Admin", "--admin-username="+a.User, "--admin-password="+a.Password,
		"--admin-email=admin@example.com", "--db-type=mysqli", "--db-host=unix:"+db.Socket,
		"--db-user="+a.Database, "--db-pass="+a.Database, "--db-name="+a.Database, "--db-prefix=joo_", "--db-encryption=0")
	if err != nil {
		return nil, fmt.Errorf("installing Joomla: %w", err)
	}
	if err := os.RemoveAll(filepath.Join(a.Dir, "installation")); err != nil {
		return nil, fmt.Errorf("installing Joomla: %w", err)
	}
	return a, nil
}
