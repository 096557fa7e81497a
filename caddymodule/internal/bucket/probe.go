package bucket

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

const (
	// probeWriters race for one key. A store that checks first and writes
	// then, without a lock, has shown several winners with as few as these.
	probeWriters = 16
	// ProbeName is what the names of objects begin with that are stored for a moment, to
	// find out what the store does with them.
	ProbeName = "probe-"
	// CleanupTime bounds the removal of what a failed or cancelled call left.
	CleanupTime = 10 * time.Second
)

// prober tries a store out with objects of its own.
type prober struct {
	store Store
	// base begins all keys of this probe. They are random, so that several
	// nodes may probe at once and an old probe's remains disturb none.
	base string
	keys []string
	caps Capabilities
}

// Probe is what all stores share of Store.Probe: about 12 requests and 16 more
// at once. It fails on what the store must be able to do, and notes what only
// several nodes need.
func Probe(ctx context.Context, s Store, prefix string) (Capabilities, error) {
	p := &prober{store: s, base: prefix + ProbeName + RandomText() + "/"}
	defer func() { CleanUp(ctx, s, p.keys...) }()
	for _, step := range []func(context.Context) error{p.roundTrip, p.list, p.createOnly, p.compareAndSwap, p.remove} {
		if err := step(ctx); err != nil {
			return Capabilities{}, fmt.Errorf("probing %s: %w", s, err)
		}
	}
	return p.caps, nil
}

func (p *prober) key(name string) string {
	key := p.base + name
	p.keys = append(p.keys, key)
	return key
}

// CleanUp removes what a probe wrote, also after ctx has ended.
func CleanUp(ctx context.Context, s Store, keys ...string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), CleanupTime)
	defer cancel()
	// A remnant under a random name harms nothing, and a store that refuses
	// deletes has been reported by remove.
	_ = s.Delete(ctx, keys...)
}

func (p *prober) put(ctx context.Context, key, body string, opts PutOptions) (Info, error) {
	opts.ContentType = "text/plain"
	return p.store.Put(ctx, key, strings.NewReader(body), int64(len(body)), opts)
}

func (p *prober) get(ctx context.Context, key string) (string, error) {
	o, err := p.store.Get(ctx, key, GetOptions{})
	if err != nil {
		return "", err
	}
	defer o.Body.Close()
	// A store that frames bodies (aws-chunked) gives back more than was put.
	body, err := io.ReadAll(io.LimitReader(o.Body, 1<<20))
	return string(body), err
}

// roundTrip: what is put comes back unaltered; what is absent is reported so.
func (p *prober) roundTrip(ctx context.Context) error {
	key, body := p.key("a"), "probe "+rand.Text()
	if _, err := p.put(ctx, key, body, PutOptions{}); err != nil {
		return err
	}
	got, err := p.get(ctx, key)
	if err != nil {
		return err
	}
	if got != body {
		return errors.New("the store gives back other bytes than it was given: it does not understand how they were sent, try another checksum setting")
	}
	if _, err := p.get(ctx, p.base+"absent"); !errors.Is(err, ErrNotFound) {
		if errors.Is(err, ErrDenied) {
			// S3 tells of absent objects only those who may list.
			return fmt.Errorf("reading an absent object: %w (grant s3:ListBucket too)", err)
		}
		return fmt.Errorf("reading an absent object: no such object expected, got: %w", orNothing(err))
	}
	return nil
}

// list: a listing shows at once what was put, and starts after a name that
// does not exist with the very next one.
func (p *prober) list(ctx context.Context) error {
	want := p.key("list/3")
	for _, key := range []string{p.key("list/1"), want, p.key("list/5")} {
		if _, err := p.put(ctx, key, "probe", PutOptions{}); err != nil {
			return err
		}
	}
	for info, err := range p.store.List(ctx, p.base+"list/", p.base+"list/2") {
		if err != nil {
			return err
		}
		if info.Key != want {
			return fmt.Errorf("a listing after an absent key began at %s, not at the next key %s", QuoteKey(info.Key), QuoteKey(want))
		}
		return nil
	}
	return errors.New("a listing does not show what was stored just before")
}

// createOnly: of many conditional writers exactly one wins.
func (p *prober) createOnly(ctx context.Context) error {
	key := p.key("create")
	_, err := p.put(ctx, key, "first", PutOptions{IfNoneMatch: true})
	if errors.Is(err, ErrUnsupported) {
		p.lack("create-only writes (If-None-Match) are not supported")
		return nil
	}
	if err != nil {
		return err
	}
	switch _, err = p.put(ctx, key, "second", PutOptions{IfNoneMatch: true}); {
	case err == nil:
		p.lack("create-only writes (If-None-Match) are not heeded")
		return nil
	case !errors.Is(err, ErrExists):
		return err
	}
	wins, err := p.race(ctx, p.key("race"))
	if err != nil {
		return err
	}
	if wins != 1 {
		p.lack(fmt.Sprintf("of %d create-only writes at once %d won, not one", probeWriters, wins))
		return nil
	}
	p.caps.CreateOnly = true
	return nil
}

func (p *prober) race(ctx context.Context, key string) (wins int, err error) {
	results := make([]error, probeWriters)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() {
			_, results[i] = p.put(ctx, key, fmt.Sprint("writer ", i), PutOptions{IfNoneMatch: true})
		})
	}
	wg.Wait()
	for _, result := range results {
		switch {
		case result == nil:
			wins++
		case !errors.Is(result, ErrExists):
			err = result
		}
	}
	return wins, err
}

// compareAndSwap: a write over a version that is no longer there, or over
// nothing, is refused and leaves all as it was.
func (p *prober) compareAndSwap(ctx context.Context) error {
	key := p.key("swap")
	old, err := p.put(ctx, key, "one", PutOptions{})
	if err != nil {
		return err
	}
	switch _, err = p.put(ctx, key, "two", PutOptions{IfMatch: old.ETag}); {
	case errors.Is(err, ErrUnsupported):
		p.lack("conditional writes (If-Match) are not supported")
		return nil
	case errors.Is(err, ErrChanged):
		p.lack("conditional writes (If-Match) are refused even when the version is right")
		return nil
	case err != nil:
		return err
	}
	for _, stale := range []string{key, p.key("swap-absent")} {
		switch _, err := p.put(ctx, stale, "three", PutOptions{IfMatch: old.ETag}); {
		case err == nil:
			p.lack("conditional writes (If-Match) are not heeded")
			return nil
		case !errors.Is(err, ErrChanged):
			return err
		}
	}
	got, err := p.get(ctx, key)
	if err != nil {
		return err
	}
	if got != "two" {
		p.lack("a refused conditional write (If-Match) changed the object")
		return nil
	}
	p.caps.CompareAndSwap = true
	return nil
}

// remove: a delete is allowed and works.
func (p *prober) remove(ctx context.Context) error {
	if err := p.store.Delete(ctx, p.keys...); err != nil {
		return err
	}
	if _, err := p.store.Head(ctx, p.keys[0]); !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("looking at a deleted object: no such object expected, got: %w", orNothing(err))
	}
	return nil
}

func (p *prober) lack(what string) {
	if p.caps.Missing != "" {
		p.caps.Missing += "; "
	}
	p.caps.Missing += what
}

// RandomText is lower case, because file systems may fold the rest.
func RandomText() string { return strings.ToLower(rand.Text()) }

// orNothing makes a nil error printable.
func orNothing(err error) error {
	if err == nil {
		return errors.New("an object")
	}
	return err
}
