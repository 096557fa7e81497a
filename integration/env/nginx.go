package env

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Nginx starts an nginx. servers is what stands in the http block of its
// configuration; address is one that they listen on, "127.0.0.1:1234".
func (e *Env) Nginx(servers, address string) (*Process, error) {
	program, err := exec.LookPath("nginx")
	if err != nil {
		// It is not in the PATH of ordinary users on Debian.
		if program, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			return nil, fmt.Errorf("finding nginx: it is not installed: %w", err)
		}
	}
	name := e.unique("nginx")
	home := filepath.Join(e.Dir, name)
	if err := makeFolder(home, nil); err != nil {
		return nil, err
	}
	file := filepath.Join(home, "nginx.conf")
	if err := os.WriteFile(file, []byte(nginxConfig(home, servers)), 0o644); err != nil {
		return nil, fmt.Errorf("configuring nginx: %w", err)
	}
	p, err := e.start(name, exec.Command(program, "-c", file, "-p", home, "-e", "stderr"), nil)
	if err != nil {
		return nil, err
	}
	return p, p.waitReady(dialable("tcp", address))
}

func nginxConfig(home, servers string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "daemon off;\nworker_processes auto;\nerror_log stderr;\npid %s/pid;\n", home)
	b.WriteString("events { worker_connections 512; }\nhttp {\n\taccess_log off;\n")
	for _, temp := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&b, "\t%s_temp_path %s/%s;\n", temp, home, temp)
	}
	for line := range strings.Lines(servers) {
		b.WriteString("\t" + line)
	}
	b.WriteString("}\n")
	return b.String()
}
