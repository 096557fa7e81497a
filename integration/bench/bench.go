package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/env"
)

// bench is one run.
type bench struct {
	ctx     context.Context
	env     *env.Env
	options options
	report  report
	random  *rand.Rand

	// plainCaddy and thisCaddy are the programs without and with the module.
	plainCaddy, thisCaddy string

	typical   *typicalSite   // nil until typicalSite is called
	wordpress *wordpressPair // nil until wordpressPair is called
}

// readyTimeout bounds the wait for what a comparison needs.
const readyTimeout = 60 * time.Second

// quickly is what a quick run spends instead of d.
const quickly = 6

func (b *bench) budget(d time.Duration) time.Duration {
	if b.options.quick {
		return d / quickly
	}
	return d
}

// rounds calls f until the budget is used up. A machine too slow for three
// rounds gets twice the budget for them.
func (b *bench) rounds(budget time.Duration, f func() error) error {
	budget = b.budget(budget)
	start := time.Now()
	for round := 0; ; round++ {
		used := time.Since(start)
		if round > 0 && (used > 2*budget || round >= 3 && used > budget) {
			return nil
		}
		if err := b.ctx.Err(); err != nil {
			return err
		}
		if err := f(); err != nil {
			return err
		}
	}
}

// until polls ready, as there is nothing to wait on.
func (b *bench) until(what string, ready func() (bool, error)) error {
	return b.untilWithin(readyTimeout, what, ready)
}

func (b *bench) untilWithin(timeout time.Duration, what string, ready func() (bool, error)) error {
	deadline := time.Now().Add(timeout)
	for {
		ok, err := ready()
		if err == nil && ok {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("waiting until %s: not so after %s", what, timeout), err)
		}
		select {
		case <-b.ctx.Done():
			return b.ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// contender is one of the servers that are compared.
type contender struct {
	load load
	// process is the one whose processor time counts.
	process *env.Process
}

// samples are what the rounds measured of one contender.
type samples struct {
	perSecond series // requests
	cpu       series // ms of processor time per request
}

// compare has the contenders take turns.
func (b *bench) compare(budget time.Duration, contenders ...contender) ([]samples, error) {
	for _, c := range contenders { // warm-up
		if _, err := c.load.send(b.ctx); err != nil {
			return nil, err
		}
	}
	all := make([]samples, len(contenders))
	err := b.rounds(budget, func() error {
		for _, i := range b.random.Perm(len(contenders)) {
			if err := all[i].add(b.ctx, contenders[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return all, err
}

func (s *samples) add(ctx context.Context, c contender) error {
	before, err := c.process.CPU()
	if err != nil {
		return err
	}
	took, err := c.load.send(ctx)
	if err != nil {
		return err
	}
	after, err := c.process.CPU()
	if err != nil {
		return err
	}
	s.perSecond = append(s.perSecond, float64(c.load.n)/took.Seconds())
	s.cpu = append(s.cpu, milliseconds(after-before)/float64(c.load.n))
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// profile writes a processor profile of caddy, while work is done again and
// again, to a file, if profiles are wanted.
func (b *bench) profile(name string, caddy *env.Caddy, d time.Duration, work func() error) error {
	if b.options.profile == "" {
		return nil
	}
	taken := make(chan error, 1)
	go func() {
		profile, err := caddy.AdminGet(fmt.Sprintf("/debug/pprof/profile?seconds=%d", int(d.Seconds())))
		if err == nil {
			err = os.WriteFile(filepath.Join(b.options.profile, name+".pprof"), profile, 0o644)
		}
		taken <- err
	}()
	for {
		select {
		case err := <-taken:
			if err != nil {
				return fmt.Errorf("profiling %s: %w", name, err)
			}
			return nil
		default:
		}
		if err := work(); err != nil {
			return errors.Join(err, <-taken)
		}
	}
}

// profileLoad is profile with a load.
func (b *bench) profileLoad(name string, caddy *env.Caddy, l load) error {
	return b.profile(name, caddy, 5*time.Second, func() error {
		_, err := l.send(b.ctx)
		return err
	})
}

// folder makes a folder of files, name to content.
func (b *bench) folder(name string, files map[string][]byte) (string, error) {
	dir, err := b.env.Folder(name, nil)
	if err != nil {
		return "", err
	}
	for file, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", fmt.Errorf("making %s: %w", file, err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return "", fmt.Errorf("making %s: %w", file, err)
		}
	}
	return dir, nil
}

// caddy starts a Caddy with one site on a port of its own, of any host name,
// and returns the site's address.
func (b *bench) caddy(binary, directives string) (*env.Caddy, string, error) {
	port, err := env.FreePort()
	if err != nil {
		return nil, "", err
	}
	c, err := b.env.Caddy(env.CaddyOptions{
		Binary: binary,
		Sites:  fmt.Sprintf("http://:%d {\n\tbind 127.0.0.1\n%s}\n", port, directives),
	})
	return c, fmt.Sprintf("http://127.0.0.1:%d", port), err
}
