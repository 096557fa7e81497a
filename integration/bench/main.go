package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/media-offload/caddy-media-offload/integration/env"
)

// part is one comparison.
type part struct {
	name string
	run  func(*bench) error
}

// parts are in the order in which they run.
var parts = []part{
	{"rewriting", (*bench).rewriting},
	{"firstbyte", (*bench).firstByte},
	{"pages", (*bench).pages},
	{"reads", (*bench).reads},
	{"upload", (*bench).upload},
	{"slowuploads", (*bench).slowUploads},
	{"nodes", (*bench).nodes},
	{beforePart, (*bench).before},
}

// beforePart needs an earlier program, and is the only one that runs if one is named.
const beforePart = "before"

func partNames() []string {
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.name
	}
	return names
}

// usualParts are those that run if none is named.
func usualParts(o options) []string {
	if o.before != "" {
		return []string{beforePart}
	}
	return slices.DeleteFunc(partNames(), func(name string) bool { return name == beforePart })
}

type options struct {
	parts   []string
	quick   bool
	profile string
	keys    int
	slow    int
	plugin  string
	before  string
}

func main() {
	opts, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, opts); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	var names string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&names, "parts", "", "which comparisons, of "+strings.Join(partNames(), ","))
	flags.BoolVar(&o.quick, "quick", false, "fewer rounds: under two minutes")
	flags.StringVar(&o.profile, "profile", "", "folder for processor profiles of the module (pprof); takes longer")
	flags.IntVar(&o.keys, "keys", 20000, "files of the site that a server joins, or starts with")
	flags.IntVar(&o.slow, "slow", 2000, "slow uploads at a time")
	flags.StringVar(&o.plugin, "plugin", "", "folder with WP Offload Media Lite (amazon-s3-and-cloudfront), to upload with it, too")
	flags.StringVar(&o.before, "before", "", "an earlier Caddy with the module: only it and this one are compared")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.parts = usualParts(o); names != "" {
		o.parts = strings.Split(names, ",")
	}
	if o.before == "" && slices.Contains(o.parts, beforePart) {
		return o, fmt.Errorf("part %s needs -before FILE", beforePart)
	}
	for _, name := range o.parts {
		if !slices.Contains(partNames(), name) {
			return o, fmt.Errorf("unknown part %q; there are %s", name, strings.Join(partNames(), ", "))
		}
	}
	return o, nil
}

func run(ctx context.Context, opts options) (err error) {
	b, err := newBench(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.env.Close()) }()
	for _, p := range parts {
		if !slices.Contains(opts.parts, p.name) {
			continue
		}
		if err := p.run(b); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	b.report.summary()
	return nil
}

// newBench prepares what all parts need.
func newBench(ctx context.Context, opts options) (*bench, error) {
	if err := env.Setup("site", "servers", "caddy"); err != nil {
		return nil, err
	}
	plain, err := env.Tool("caddy")
	if err != nil {
		return nil, err
	}
	this, err := new(env.Builder).Build()
	if err != nil {
		return nil, err
	}
	if opts.profile != "" {
		if err := os.MkdirAll(opts.profile, 0o755); err != nil {
			return nil, fmt.Errorf("making the folder of the profiles: %w", err)
		}
	}
	e, err := env.New()
	if err != nil {
		return nil, err
	}
	return &bench{
		ctx: ctx, env: e, options: opts, report: report{out: os.Stdout},
		random:     rand.New(rand.NewPCG(1, 1)),
		plainCaddy: plain, thisCaddy: this,
	}, nil
}
