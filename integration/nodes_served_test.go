//go:build integration

package integration

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// sum is the hash of a file's content.
type sum [sha256.Size]byte

// overwriteDelay is how long other nodes may serve what was overwritten or
// deleted.
//
// Promise 6: "Overwrites and deletes reach the other disks within about a
// second."
const overwriteDelay = 2 * time.Second

// objectPrefix begins the names of public objects.
const objectPrefix = "media/"

// serves returns what is wrong with a node's answer for a media file: want is
// its content, nil if there must be none.
func (c *cluster) serves(ctx context.Context, n *node, key string, want *sum) error {
	status, got, err := c.fetch(ctx, n, key)
	switch {
	case err != nil:
		return fmt.Errorf("%s serves %s: %w", n.name, key, err)
	case want == nil && status != http.StatusNotFound:
		return fmt.Errorf("%s serves %s: status %d for a file that is gone", n.name, key, status)
	case want != nil && status != http.StatusOK:
		return fmt.Errorf("%s serves %s: status %d", n.name, key, status)
	case want != nil && got != *want:
		return fmt.Errorf("%s serves %s: other content", n.name, key)
	}
	return nil
}

// fetch asks a node for a media file.
func (c *cluster) fetch(ctx context.Context, n *node, key string) (status int, content sum, err error) {
	address := c.url + (&url.URL{Path: c.mediaPath + key}).EscapedPath()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, content, err
	}
	resp, err := n.client.Do(req)
	if err != nil {
		return 0, content, err
	}
	defer resp.Body.Close()
	content, err = sumOf(resp.Body)
	return resp.StatusCode, content, err
}

func sumOf(r io.Reader) (s sum, err error) {
	hash := sha256.New()
	if _, err := io.Copy(hash, r); err != nil {
		return s, err
	}
	return sum(hash.Sum(nil)), nil
}

// stored is the content of an object.
func (c *cluster) stored(ctx context.Context, object string) (s sum, err error) {
	open, err := c.bucket.Read(ctx, object)
	if err != nil {
		return s, err
	}
	defer open.Body.Close()
	return sumOf(open.Body)
}

// allServe fails the test unless all nodes serve these files with this
// content.
func (c *cluster) allServe(ctx context.Context, files map[string]sum) {
	c.t.Helper()
	for key, want := range files {
		for _, n := range c.nodes {
			if err := c.serves(ctx, n, key, &want); err != nil {
				c.t.Error(err)
			}
		}
	}
}

// auditor looks at all nodes after each request that may write.
type auditor struct {
	*cluster
	ctx  context.Context
	seen map[string]string // public objects at the last look, to their versions
	// overwrites are the longest times until other nodes served what was
	// overwritten or deleted, and until all disks were equal.
	overwrites, disks time.Duration
	requests          int
}

func (c *cluster) auditor(ctx context.Context) *auditor {
	a := &auditor{cluster: c, ctx: ctx}
	a.seen = a.objects()
	return a
}

// objects are the public objects, key to version.
func (a *auditor) objects() map[string]string {
	a.t.Helper()
	public := map[string]string{}
	for object, version := range must1(a.bucket.Objects(a.ctx))(a.t) {
		if key, ok := strings.CutPrefix(object, objectPrefix); ok {
			public[key] = version
		}
	}
	return public
}

// look is called when the answer to a request has come from writer. Before it,
// all disks equalled the bucket.
func (a *auditor) look(writer *node, request string) {
	a.t.Helper()
	if a.ctx.Err() != nil {
		return
	}
	// Promise 1: "When the client has the last byte of the answer […] every
	// file that was written, renamed or deleted […] is committed".
	problems, err := writer.check.Compare(a.ctx)
	if err != nil || len(problems) > 0 {
		a.t.Errorf("after %s by %s its disk and the bucket differ: %v\n%s", request, writer.name, err, strings.Join(problems, "\n"))
	}
	a.lookAtBucket(writer, request)
}

// lookAtBucket compares what the nodes serve with what has changed in the
// bucket.
//
// Promise 6: "What one node wrote, all others can serve as soon as the answer
// is out. Overwrites and deletes reach the other disks within about a second."
func (a *auditor) lookAtBucket(writer *node, request string) {
	a.t.Helper()
	start := time.Now()
	now, before := a.objects(), a.seen
	a.seen = now
	changes := 0
	var later []func() error
	check := func(key string, want *sum, atOnce bool) {
		changes++
		for _, n := range a.nodes {
			ask := func() error { return a.serves(a.ctx, n, key, want) }
			if err := ask(); err != nil && (atOnce || n == writer) {
				a.t.Errorf("after %s by %s: %v", request, writer.name, err)
			} else if err != nil {
				later = append(later, ask)
			}
		}
	}
	for key, version := range now {
		if old, known := before[key]; old != version {
			content := must1(a.stored(a.ctx, objectPrefix+key))(a.t)
			check(key, &content, !known)
		}
	}
	for key := range before {
		if _, kept := now[key]; !kept {
			check(key, nil, false)
		}
	}
	if changes == 0 {
		return
	}
	a.requests++
	for _, ask := range later {
		a.eventually(start, request, ask)
	}
	if len(later) > 0 {
		a.overwrites = max(a.overwrites, time.Since(start))
	}
	a.equalWithin(a.ctx, "after "+request+" by "+writer.name, 2*time.Second-time.Since(start))
	a.disks = max(a.disks, time.Since(start))
}

// eventually polls ask until overwriteDelay after start.
func (a *auditor) eventually(start time.Time, request string, ask func() error) {
	a.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		if took := time.Since(start); took > overwriteDelay || errors.Is(err, context.Canceled) {
			a.t.Errorf("%s after %s: %v", took.Round(time.Millisecond), request, err)
			return
		}
		<-tick.C
	}
}
