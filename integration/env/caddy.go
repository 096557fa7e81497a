package env

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Builder builds this repository's Caddy once. If $MEDIA_OFFLOAD_CADDY names a
// binary, for example a release to be tested, that one is used instead.
type Builder struct {
	// Race builds with the race detector.
	Race bool
	// Clock builds with a clock that ClockAhead sets.
	Clock bool

	once sync.Once
	path string
	err  error
}

// Build returns the path of the binary.
func (b *Builder) Build() (string, error) {
	b.once.Do(func() { b.path, b.err = b.build() })
	return b.path, b.err
}

func (b *Builder) build() (string, error) {
	if path := os.Getenv("MEDIA_OFFLOAD_CADDY"); path != "" {
		return path, nil
	}
	path := filepath.Join(Root(), ".cache", "bin", "media-offload-caddy")
	// Git refuses to tell root about a checkout of another user.
	args := []string{"-C", Root(), "build", "-buildvcs=false"}
	if b.Race {
		path += "-race"
		args = append(args, "-race")
	}
	if b.Clock {
		path += "-clock"
		dir, err := os.MkdirTemp("", "media-offload-clock-")
		if err != nil {
			return "", fmt.Errorf("building Caddy: %w", err)
		}
		defer os.RemoveAll(dir)
		overlay, err := clockOverlay(dir)
		if err != nil {
			return "", fmt.Errorf("building Caddy: %w", err)
		}
		args = append(args, "-overlay", overlay)
	}
	args = append(args, "-o", path, "./cmd/media-offload-caddy")
	cmd := exec.Command("go", args...)
	// The workspace of the caller, if any, need not know the module.
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building Caddy: %w\n%s", err, out)
	}
	return path, nil
}

// CaddyOptions says how a Caddy process is set up.
type CaddyOptions struct {
	// Binary is the path of the program. Required.
	Binary string
	// Global are lines for the global options block.
	Global string
	// Sites is the rest of the Caddyfile. Required.
	Sites string
	// Environ are further environment variables, "NAME=value".
	Environ []string
}

// Caddy is a Caddy server.
type Caddy struct {
	*Process
	// Admin is the address of the admin API, "127.0.0.1:2019".
	Admin string

	env  *Env
	name string
	home string
	opts CaddyOptions
}

// Caddy starts a Caddy server.
func (e *Env) Caddy(opts CaddyOptions) (*Caddy, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	name := e.unique("caddy")
	c := &Caddy{Admin: fmt.Sprintf("127.0.0.1:%d", port), env: e, name: name, home: filepath.Join(e.Dir, name), opts: opts}
	if err := makeFolder(c.home, nil); err != nil {
		return nil, err
	}
	return c, c.Start()
}

// Start starts the server again after Stop or Kill, on the same addresses.
func (c *Caddy) Start() error {
	file := filepath.Join(c.home, "Caddyfile")
	if err := os.WriteFile(file, []byte(c.Caddyfile()), 0o644); err != nil {
		return fmt.Errorf("writing the Caddyfile: %w", err)
	}
	cmd := exec.Command(c.opts.Binary, "run", "--config", file, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(),
		"HOME="+c.home, "XDG_DATA_HOME="+filepath.Join(c.home, "data"), "XDG_CONFIG_HOME="+filepath.Join(c.home, "config"))
	cmd.Env = append(cmd.Env, c.opts.Environ...)
	var err error
	if c.Process, err = c.env.start(c.name, cmd, nil); err != nil {
		return err
	}
	// The admin API answers /config/ with the running config, which is null
	// until the first one is loaded.
	return c.waitReady(func() error {
		body, err := c.AdminGet("/config/apps/http/servers")
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(body)) == 0 || strings.TrimSpace(string(body)) == "null" {
			return fmt.Errorf("no servers are configured")
		}
		return nil
	})
}

// Caddyfile is the whole configuration.
func (c *Caddy) Caddyfile() string {
	global := block("", "admin "+c.Admin, "persist_config off", "skip_install_trust", "auto_https disable_redirects", "grace_period 10s", c.opts.Global)
	return strings.TrimSpace(global) + "\n\n" + strings.TrimSpace(c.opts.Sites) + "\n"
}

// Sites are the sites of the Caddyfile.
func (c *Caddy) Sites() string { return c.opts.Sites }

// SetSites replaces the sites of the Caddyfile for the next Start or Reload.
func (c *Caddy) SetSites(sites string) { c.opts.Sites = sites }

// Reload loads the Caddyfile into the running server, even if it is unchanged.
//
// The admin endpoint is replaced as well, and resets a connection that comes in just then:
// loading the same once more does no harm.
func (c *Caddy) Reload() error {
	err := c.reload()
	for try := 1; errors.Is(err, syscall.ECONNRESET) && try < reloadTries; try++ {
		err = c.reload()
	}
	return err
}

// reloadTries bounds how often a configuration is loaded whose connection was reset.
const reloadTries = 5

func (c *Caddy) reload() error {
	req, err := http.NewRequest(http.MethodPost, "http://"+c.Admin+"/load", strings.NewReader(c.Caddyfile()))
	if err != nil {
		return fmt.Errorf("reloading Caddy: %w", err)
	}
	req.Header.Set("Content-Type", "text/caddyfile")
	req.Header.Set("Cache-Control", "must-revalidate")
	if _, err := c.admin(req); err != nil {
		return fmt.Errorf("reloading Caddy: %w", err)
	}
	return nil
}

// Command runs a command of the server's binary that speaks to it by the admin
// API, and returns what it prints.
func (c *Caddy) Command(ctx context.Context, args ...string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, c.opts.Binary, append(args, "--address", c.Admin)...).CombinedOutput()
	if err != nil {
		return out, fmt.Errorf("running %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return out, nil
}

// AdminGet reads from the admin API.
func (c *Caddy) AdminGet(path string) ([]byte, error) {
	req, err := http.NewRequest(http.MethodGet, "http://"+c.Admin+path, nil)
	if err != nil {
		return nil, err
	}
	return c.admin(req)
}

func (c *Caddy) admin(req *http.Request) ([]byte, error) {
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: %s: %s", req.Method, req.URL.Path, resp.Status, body)
	}
	return body, nil
}

// DataRaces returns what the race detector reported, "" if nothing.
func (c *Caddy) DataRaces() string {
	log, err := os.ReadFile(c.LogFile)
	if err != nil {
		return ""
	}
	if i := bytes.Index(log, []byte("WARNING: DATA RACE")); i >= 0 {
		return string(log[i:min(len(log), i+8<<10)])
	}
	return ""
}

// Goroutines is the number of goroutines in the server.
func (c *Caddy) Goroutines() (int, error) {
	profile, err := c.AdminGet("/debug/pprof/goroutine?debug=1")
	if err != nil {
		return 0, err
	}
	var n int
	if _, err := fmt.Sscanf(string(profile), "goroutine profile: total %d", &n); err != nil {
		return 0, fmt.Errorf("reading the goroutine profile: %w", err)
	}
	return n, nil
}

// OpenFiles is the number of the process's file descriptors.
func (p *Process) OpenFiles() (int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID()))
	return len(entries), err
}

// PeakMemory is the largest resident set size the process has had, in bytes.
func (p *Process) PeakMemory() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		value, found := strings.CutPrefix(line, "VmHWM:")
		if !found {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		return kib << 10, err
	}
	return 0, fmt.Errorf("reading the memory of process %d: no VmHWM", p.PID())
}

// block is a block of a Caddyfile, formatted as `caddy fmt` does. A part may
// have several lines, or none.
func block(head string, parts ...string) string {
	var b strings.Builder
	b.WriteString(head + " {\n")
	for _, part := range parts {
		for line := range strings.Lines(part) {
			b.WriteString("\t" + strings.TrimRight(line, "\n") + "\n")
		}
	}
	b.WriteString("}\n")
	return b.String()
}
