package env

import (
	"fmt"
	"os"
	"path/filepath"
)

// mediawikiSource is where Debian's package puts MediaWiki.
const mediawikiSource = "/usr/share/mediawiki"

// mediawikiOwn are the entries of the package's folder that each wiki has for
// itself.
var mediawikiOwn = map[string]bool{"LocalSettings.php": true, "images": true, "config": true}

// MediaWiki sets up a wiki whose code is Debian's. url is the site's address,
// name that of its folder and database.
func (e *Env) MediaWiki(db *MariaDB, php *PHP, name, url string) (*App, error) {
	fail := func(err error) (*App, error) { return nil, fmt.Errorf("installing MediaWiki: %w", err) }
	name = e.unique(name)
	a := &App{
		Dir: filepath.Join(e.Dir, name), URL: url, Database: name, Preset: "mediawiki",
		User: "Admin", Password: "correct horse battery", PHP: php, DB: db,
	}
	a.Environ = map[string]string{"MW_INSTALL_PATH": a.Dir}
	if err := db.Create(a.Database); err != nil {
		return nil, err
	}
	if err := makeFolder(a.Dir, php.User); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(mediawikiSource)
	if err != nil {
		return fail(err)
	}
	for _, entry := range entries {
		if mediawikiOwn[entry.Name()] {
			continue
		}
		if err := os.Symlink(filepath.Join(mediawikiSource, entry.Name()), filepath.Join(a.Dir, entry.Name())); err != nil {
			return fail(err)
		}
	}
	if err := makeFolder(filepath.Join(a.Dir, "images"), php.User); err != nil {
		return nil, err
	}
	if _, err := run(php.User, "", "env", "MW_INSTALL_PATH="+a.Dir, "php", filepath.Join(mediawikiSource, "maintenance", "install.php"),
		"--confpath="+a.Dir, "--dbtype=mysql", "--dbserver=localhost:"+db.Socket, "--dbname="+a.Database, "--dbuser="+a.Database,
		"--dbpass="+a.Database, "--server="+url, "--scriptpath=", "--with-extensions=",
		"--skins=Vector", "--pass="+a.Password, "Media offload", a.User); err != nil {
		return fail(err)
	}
	settings, err := os.OpenFile(filepath.Join(a.Dir, "LocalSettings.php"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fail(err)
	}
	defer settings.Close()
	if _, err := settings.WriteString(mediawikiSettings); err != nil {
		return fail(err)
	}
	return a, nil
}

const mediawikiSettings = `
$wgEnableUploads = true;
$wgUseImageMagick = false;
$wgShowExceptionDetails = true;
`
