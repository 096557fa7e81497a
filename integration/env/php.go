package env

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// PHPOptions says how a PHP-FPM pool is set up.
type PHPOptions struct {
	// Workers is the number of requests served at once. Default 4.
	Workers int
	// UploadTmpDir is where PHP keeps an upload while it comes in. Default: a
	// folder of the environment, thus on the file system of the sites.
	UploadTmpDir string
	// Settings are further php.ini settings, name to value.
	Settings map[string]string
}

// PHP is a PHP-FPM pool on a Unix socket, running as the web server's user.
type PHP struct {
	*Process
	Socket string
	// User is who the scripts run as.
	User *Account
}

// PHP starts a PHP-FPM pool.
func (e *Env) PHP(opts PHPOptions) (*PHP, error) {
	user, err := WebServer()
	if err != nil {
		return nil, err
	}
	name := e.unique("php-fpm")
	home := filepath.Join(e.Dir, name)
	if err := makeFolder(home, user); err != nil {
		return nil, err
	}
	tmp := opts.UploadTmpDir
	if tmp == "" {
		tmp = filepath.Join(home, "tmp")
		if err := makeFolder(tmp, user); err != nil {
			return nil, err
		}
	}
	path, err := socket(home, "php.sock")
	if err != nil {
		return nil, err
	}
	p := &PHP{Socket: path, User: user}
	config := filepath.Join(home, "php-fpm.conf")
	if err := os.WriteFile(config, []byte(poolConfig(p, home, tmp, opts)), 0o644); err != nil {
		return nil, fmt.Errorf("configuring PHP-FPM: %w", err)
	}
	program, err := fpmProgram()
	if err != nil {
		return nil, err
	}
	p.Process, err = e.start(name, exec.Command(program, "--nodaemonize", "--fpm-config", config), nil)
	if err != nil {
		return nil, err
	}
	return p, p.waitReady(dialable("unix", p.Socket))
}

// fpmProgram finds php-fpm under the names that distributions give it.
func fpmProgram() (string, error) {
	names := []string{"php-fpm8.2", "php-fpm8.4", "php-fpm8.3", "php-fpm"}
	for _, name := range names {
		for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin") {
			path := filepath.Join(dir, name)
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("finding PHP-FPM: none of %s is installed", strings.Join(names, ", "))
}

func poolConfig(p *PHP, home, tmp string, opts PHPOptions) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[global]\nerror_log = /dev/stderr\ndaemonize = no\n\n[www]\n")
	if p.User != nil {
		fmt.Fprintf(&b, "user = %s\ngroup = %s\n", p.User.Name, p.User.Name)
	}
	fmt.Fprintf(&b, "listen = %s\nlisten.mode = 0666\npm = static\npm.max_children = %d\n", p.Socket, cmp.Or(opts.Workers, 4))
	fmt.Fprintf(&b, "catch_workers_output = yes\ndecorate_workers_output = no\n")
	settings := map[string]string{
		"upload_tmp_dir":      tmp,
		"sys_temp_dir":        tmp,
		"upload_max_filesize": "256M",
		"post_max_size":       "512M",
		"memory_limit":        "512M",
		"max_execution_time":  "300",
		"max_file_uploads":    "50",
		"log_errors":          "1",
		"display_errors":      "0",
		"error_log":           filepath.Join(home, "error.log"),
		"sendmail_path":       "/bin/true",
	}
	for name, value := range opts.Settings {
		settings[name] = value
	}
	names := make([]string, 0, len(settings))
	for name := range settings {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "php_admin_value[%s] = %s\n", name, settings[name])
	}
	return b.String()
}
