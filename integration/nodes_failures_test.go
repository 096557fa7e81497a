//go:build integration

package integration

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/check"
	"github.com/media-offload/caddy-media-offload/integration/env"
	"github.com/media-offload/caddy-media-offload/integration/sample"
	"github.com/media-offload/caddy-media-offload/integration/wp"
)

// leaseExpiry is when the next upload of a name has to be done whose node is
// gone: the lease's ten seconds with their margin, and the upload itself on a
// busy machine. The time that it took is in the log.
const leaseExpiry = 25 * time.Second

// TestNodesFailures has servers and their networks fail while others upload
// files of the same name. Each part ends with all disks equal, and with a file
// of its own for each upload that a client was told of.
func TestNodesFailures(t *testing.T) {
	t.Parallel() // it waits most of the time, for leases to expire
	ctx := within(t, time.Duration(length(8, 90))*time.Minute)
	c := newCluster(t, clusterOptions{store: onVersitygw, options: []string{"hold 5s"}})
	for _, part := range []struct {
		name string
		test func(*testing.T, context.Context, *cluster)
	}{
		{"killed", testKilledNode},
		{"stopped", testStoppedNode},
		{"cut off", testCutOffNode},
		{"answers lost", testLostAnswers},
		{"joining", testJoiningNode},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, ctx, c) })
	}
}

// load are clients that upload files of one name again and again.
type load struct {
	uploadLog
	gap   time.Duration // the longest time without a success
	since time.Time     // of the last success
	stop  func()        // ends the clients and waits for them
}

// keepUploading starts two clients for each of the nodes.
func (c *cluster) keepUploading(ctx context.Context, name string, nodes ...*node) *load {
	c.t.Helper()
	l := &load{uploadLog: uploadLog{content: map[int]sum{}}, since: time.Now()}
	ctx, cancel := context.WithCancel(ctx)
	var clients sync.WaitGroup
	for i := range 2 * len(nodes) {
		client := c.login(ctx, nodes[i/2].direct)
		way := []wp.Way{{Upload: (*wp.Client).UploadGrid}, {Upload: (*wp.Client).UploadREST}}[i%2]
		clients.Go(func() {
			for ctx.Err() == nil {
				// Three files each: the picture and two sizes.
				file := sample.JPEG(name, 0.3, rand.Uint64())
				// What is under way at the end is waited for.
				id, err := way.Upload(client, context.WithoutCancel(ctx), file)
				l.note(id, file, err)
				// People upload no faster, and two cores have to do for all.
				pause(ctx, 200*time.Millisecond)
			}
		})
	}
	l.stop = sync.OnceFunc(func() {
		cancel()
		clients.Wait()
	})
	c.t.Cleanup(l.stop)
	return l
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (l *load) note(id int, file sample.File, err error) {
	if err != nil {
		l.fail()
		return
	}
	l.add(id, file.Content)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.gap, l.since = max(l.gap, now.Sub(l.since)), now
}

// goesOn waits for n further successes.
func (l *load) goesOn(t *testing.T, n int) {
	t.Helper()
	want := l.done() + n
	waitFor(t, 2*leaseExpiry, fmt.Sprintf("%d further uploads", n), func() bool { return l.done() >= want })
}

// noWedge fails the test if there was a time of more than leaseExpiry without a
// success.
func (l *load) noWedge(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	t.Logf("%d uploads, %d failed, %s without a success at most", len(l.content), l.failed, l.gap.Round(time.Millisecond))
	if l.gap > leaseExpiry {
		t.Errorf("for %s no upload succeeded", l.gap)
	}
}

// isPutOfSize reports whether a request stores one of the smaller sizes of a
// picture: the picture itself is stored, the whole is half committed.
func isPutOfSize(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/"+objectPrefix) && strings.Contains(r.URL.Path, "-150x150")
}

// testKilledNode kills a server that holds leases and has half committed what
// an upload wrote.
//
// Promise 2: "No failure of the bucket, the network or the node (kill -9 at any
// point) loses a file that the app has on disk: it is committed after recovery,
// without anyone's help."
func testKilledNode(t *testing.T, ctx context.Context, c *cluster) {
	victim := c.nodes[0]
	for kill := range length(1, 30) {
		name := fmt.Sprintf("killed %d.jpg", kill)
		doomed := c.keepUploading(ctx, name, victim)
		others := c.keepUploading(ctx, name, c.nodes[1:]...)
		others.goesOn(t, 3)

		half := make(chan struct{})
		once := sync.OnceFunc(func() { close(half) })
		must(t, victim.faults.SetFor(env.Hanging, func(r *http.Request) bool {
			if isPutOfSize(r) {
				once()
				return true
			}
			return false
		}))
		<-half
		must(t, victim.caddy.Kill())
		doomed.stop()
		phpIdle(t, victim.php)
		onDisk := contents(t, victim)
		must(t, victim.faults.Set(env.Healthy))
		others.goesOn(t, 3)

		must(t, victim.caddy.Start())
		others.goesOn(t, 3)
		others.stop()
		others.noWedge(t)
		c.equalWithin(ctx, "after the kill", leaseExpiry)
		c.kept(ctx, t, &doomed.uploadLog)
		c.kept(ctx, t, &others.uploadLog)
		c.keptSomewhere(ctx, t, onDisk)
	}
}

// contents are the files on a node's disk, by their content.
func contents(t *testing.T, n *node) map[sum]string {
	t.Helper()
	files := map[sum]string{}
	for _, key := range must1(check.Files(n.media))(t) {
		f := must1(os.Open(filepath.Join(n.media, filepath.FromSlash(key))))(t)
		files[must1(sumOf(f))(t)] = key
		f.Close()
	}
	return files
}

// keptSomewhere fails the test unless the bucket has each content, be it as the
// loser of a collision.
func (c *cluster) keptSomewhere(ctx context.Context, t *testing.T, files map[sum]string) {
	t.Helper()
	for object := range must1(c.bucket.Objects(ctx))(t) {
		if strings.HasPrefix(object, objectPrefix) || strings.HasPrefix(object, "offload/conflict/") {
			delete(files, must1(c.stored(ctx, object))(t))
		}
	}
	for _, key := range files {
		t.Errorf("lost: what the server had as %s", key)
	}
}

// testStoppedNode stops a server in the middle of a commit for longer than its
// leases last, and lets it go on. Others may have taken the name meanwhile that
// its app had chosen before, which nobody else could know: then both contents are
// kept, one aside, and its client is told a failure. Of the uploads that were
// answered with success, on any server, each has its own name and its own content
// on all servers.
func testStoppedNode(t *testing.T, ctx context.Context, c *cluster) {
	const name = "stopped.jpg"
	victim := c.nodes[1]
	victims := c.keepUploading(ctx, name, victim)
	others := c.keepUploading(ctx, name, c.nodes[0], c.nodes[2])
	others.goesOn(t, 3)

	stopped := make(chan error, 1)
	once := sync.OnceFunc(func() { stopped <- victim.caddy.Signal(syscall.SIGSTOP) })
	must(t, victim.faults.SetFor(env.Hanging, func(r *http.Request) bool {
		if isPutOfSize(r) {
			once()
		}
		return false
	}))
	must(t, <-stopped)
	// As long as this: the time itself is what the test is about.
	until := time.Now().Add(time.Duration(length(14, 120)) * time.Second)
	others.goesOn(t, 3)
	pause(ctx, time.Until(until))
	onDisk := contents(t, victim)
	must(t, victim.caddy.Signal(syscall.SIGCONT))
	must(t, victim.faults.Set(env.Healthy))
	victims.goesOn(t, 3)
	victims.stop()
	others.goesOn(t, 3)
	others.stop()
	others.noWedge(t)
	c.equalWithin(ctx, "after the stop", leaseExpiry)
	answered := &uploadLog{content: map[int]sum{}}
	maps.Copy(answered.content, victims.content)
	maps.Copy(answered.content, others.content)
	c.kept(ctx, t, answered)
	c.keptSomewhere(ctx, t, onDisk)
}

// testCutOffNode separates a server from the bucket, while uploads go on
// elsewhere, and heals it. The cut-off server serves what it has; what it takes
// nonetheless is everywhere after the healing.
func testCutOffNode(t *testing.T, ctx context.Context, c *cluster) {
	victim := c.nodes[2]
	client := c.login(ctx, victim.direct)
	for _, fault := range []env.Fault{env.Hanging, env.Refusing}[:length(1, 2)] {
		t.Run(fault.String(), func(t *testing.T) {
			name := "cut off " + fault.String()
			local := must1(client.UploadGrid(ctx, sample.JPEG(name+" before.jpg", 0.3, 1)))(t)
			before := &uploadLog{content: map[int]sum{}}
			before.add(local, sample.JPEG(name+" before.jpg", 0.3, 1).Content)
			others := c.keepUploading(ctx, name+".jpg", c.nodes[:2]...)
			others.goesOn(t, 3)

			must(t, victim.faults.Set(fault))
			defer func() { must(t, victim.faults.Set(env.Healthy)) }()
			cutOff := &uploadLog{content: map[int]sum{}}
			var alone sync.WaitGroup
			for i := range 2 {
				file := sample.JPEG(fmt.Sprintf("%s alone %d.jpg", name, i), 0.3, uint64(i))
				alone.Go(func() {
					start := time.Now()
					id, err := client.UploadGrid(ctx, file)
					t.Logf("an upload to the server that was cut off took %s: %.300v", time.Since(start).Round(time.Millisecond), err)
					if err != nil {
						cutOff.fail()
						return
					}
					cutOff.add(id, file.Content)
				})
			}
			if soak {
				alone.Wait() // it goes on without names in the end
			}
			for id, content := range before.content {
				if err := c.serves(ctx, victim, c.attachedFiles(ctx, t)[id], &content); err != nil {
					t.Errorf("cut off: %v", err)
				}
			}
			others.goesOn(t, 10)
			c.health(ctx, t, victim, "?for=uploads", http.StatusServiceUnavailable)
			c.health(ctx, t, victim, "", http.StatusOK)
			onDisk := contents(t, victim)
			must(t, victim.faults.Set(env.Healthy))
			healed := time.Now()
			c.health(ctx, t, victim, "?for=uploads", http.StatusOK)
			alone.Wait()
			others.stop()
			others.noWedge(t)
			c.equalWithin(ctx, "after the healing", recoveryTime)
			t.Logf("equal %s after the healing; the server that was cut off took %d uploads", time.Since(healed).Round(time.Millisecond), cutOff.done())
			c.kept(ctx, t, before)
			c.kept(ctx, t, cutOff)
			c.kept(ctx, t, &others.uploadLog)
			c.keptSomewhere(ctx, t, onDisk)
		})
	}
}

// health waits until a node tells load balancers so.
func (c *cluster) health(ctx context.Context, t *testing.T, n *node, query string, want int) {
	t.Helper()
	waitFor(t, recoveryTime, fmt.Sprintf("answer %d at %s%s", want, healthPath, query), func() bool {
		resp, _ := request(t, ctx, n.client, http.MethodGet, c.url+healthPath+query, nil)
		return resp.StatusCode == want
	})
}

// testLostAnswers loses the answers to one write in seven on all servers: the
// write is done, and the server does not know.
func testLostAnswers(t *testing.T, ctx context.Context, c *cluster) {
	for _, n := range c.nodes {
		var writes atomic.Int64
		must(t, n.faults.SetFor(env.LosingAnswers, func(r *http.Request) bool {
			return r.Method != http.MethodGet && r.Method != http.MethodHead && writes.Add(1)%7 == 0
		}))
	}
	before := len(c.conflicts(ctx))
	uploads := c.keepUploading(ctx, "lost.jpg", c.nodes...)
	want := length(20, 1000)
	waitFor(t, time.Duration(want)*time.Second, "uploads", func() bool { return uploads.done() >= want })
	uploads.stop()
	uploads.noWedge(t)
	for _, n := range c.nodes {
		must(t, n.faults.Set(env.Healthy))
	}
	c.equalWithin(ctx, "after the losses", recoveryTime)
	c.kept(ctx, t, &uploads.uploadLog)
	if collisions := len(c.conflicts(ctx)) - before; collisions > 0 {
		t.Errorf("%d collisions", collisions)
	}
}
