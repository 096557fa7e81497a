// Command demo sets up a throw-away WordPress behind this repository's Caddy,
// with a file:// bucket whose public objects are served on a port of their own,
// and runs it until Ctrl-C.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/media-offload/caddy-media-offload/integration/env"
)

type options struct {
	dir             string
	port, mediaPort int
	nodes           int
	fresh           bool
}

func main() {
	opts, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, opts); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// parse reads the flags; their defaults come from the environment.
func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.StringVar(&o.dir, "dir", cmp.Or(os.Getenv("DEMO_DIR"), ".demo"), "folder of the site ($DEMO_DIR)")
	flags.IntVar(&o.port, "port", envInt("DEMO_PORT", 8080), "port of the site ($DEMO_PORT)")
	flags.IntVar(&o.mediaPort, "media-port", envInt("DEMO_MEDIA_PORT", 8081), "port of the public bucket URL ($DEMO_MEDIA_PORT)")
	flags.IntVar(&o.nodes, "nodes", 1, "web servers; with several, each has a port of its own after the site's, and MinIO is the bucket")
	flags.BoolVar(&o.fresh, "fresh", false, "remove the site of an earlier run first")
	return o, flags.Parse(args)
}

func envInt(name string, fallback int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return fallback
}

func run(ctx context.Context, opts options) (err error) {
	if err := env.Setup("site"); err != nil {
		return err
	}
	e, err := prepare(opts)
	if err != nil {
		return err
	}
	defer func() {
		fmt.Println("stopping ...")
		err = errors.Join(err, e.Close())
	}()
	err = serve(ctx, e, opts)
	if ctx.Err() != nil {
		return nil // what a Ctrl-C broke off is no failure
	}
	return err
}

// serve runs the site until ctx ends.
func serve(ctx context.Context, e *env.Env, opts options) error {
	s, err := start(ctx, e, opts)
	if err != nil {
		return err
	}
	if err := s.seed(ctx); err != nil {
		return fmt.Errorf("filling the site: %w", err)
	}
	s.explain()
	return s.supervise(ctx)
}

// noteFile in the folder says that the demo made it and for which address.
const noteFile = "demo-site"

// openFolder is used by root if other users cannot reach the folder asked for.
// Only root can make it.
const openFolder = "/var/lib/media-offload-demo"

// prepare makes the folder of the site, or finds the one of an earlier run.
func prepare(opts options) (*env.Env, error) {
	e, err := env.In(opts.dir)
	if errors.Is(err, env.ErrUnreachable) {
		fmt.Printf("%v\nusing %s instead\n", err, openFolder)
		e, err = env.In(openFolder)
	}
	if err != nil {
		return nil, err
	}
	note := filepath.Join(e.Dir, noteFile)
	made, err := os.ReadFile(note)
	switch {
	case err == nil && opts.fresh:
		if err := os.RemoveAll(e.Dir); err != nil {
			return nil, fmt.Errorf("removing the earlier site: %w", err)
		}
		opts.fresh, opts.dir = false, e.Dir
		return prepare(opts)
	case err == nil && string(made) != opts.note():
		return nil, fmt.Errorf("the site in %s was made for %s; use that port and number of servers, or -fresh to start over", e.Dir, made)
	case err == nil:
		return e, nil
	case !os.IsNotExist(err):
		return nil, fmt.Errorf("looking for an earlier site: %w", err)
	}
	entries, err := os.ReadDir(e.Dir)
	if err != nil {
		return nil, fmt.Errorf("looking for an earlier site: %w", err)
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty and not of this demo; choose another folder by -dir", e.Dir)
	}
	if err := os.WriteFile(note, []byte(opts.note()), 0o644); err != nil {
		return nil, fmt.Errorf("making the site's folder: %w", err)
	}
	return e, nil
}

func (o options) siteURL() string  { return fmt.Sprintf("http://127.0.0.1:%d", o.port) }
func (o options) mediaURL() string { return fmt.Sprintf("http://127.0.0.1:%d", o.mediaPort) }

// note is what noteFile says.
func (o options) note() string {
	if o.nodes == 1 {
		return o.siteURL()
	}
	return fmt.Sprintf("%s on %d servers", o.siteURL(), o.nodes)
}

// ports are those that the user knows.
func (o options) ports() []int {
	if o.nodes == 1 {
		return []int{o.port, o.mediaPort}
	}
	ports := []int{o.port}
	for i := range o.nodes {
		ports = append(ports, o.port+1+i)
	}
	return ports
}
