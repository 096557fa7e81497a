//go:build integration

package integration

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/env"
	"github.com/media-offload/caddy-media-offload/integration/sample"
	"github.com/media-offload/caddy-media-offload/integration/wp"
)

// TestKill kills Caddy by SIGKILL at random moments under a stream of uploads,
// edits and deletes. After each restart, with nobody's help, disk and bucket
// are equal: nothing on disk is missing in the bucket, and nothing that the app
// deleted has come back.
//
// Promise 2: "No failure of the bucket, the network or the node (kill -9 at
// any point) loses a file that the app has on disk: it is committed after
// recovery, without anyone's help."
func TestKill(t *testing.T) {
	for _, store := range []store{onVersitygw, onFile} {
		t.Run(string(store), func(t *testing.T) {
			t.Parallel()
			testKill(t, store)
		})
	}
}

func testKill(t *testing.T, store store) {
	kills := length(3, 100)
	ctx := within(t, time.Duration(kills)*30*time.Second+2*time.Minute)
	// As the only server: among several, what a killed one was storing may be
	// another's, and stays for a day.
	w := newWorld(t, worldOptions{store: store, php: env.PHPOptions{Workers: 6}, options: []string{"hold 5s", "local own"}})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	done := 0
	for kill := range kills {
		done += w.killUnderLoad(ctx, random, kill)
		// PHP finishes what it was doing, sometimes after Caddy is back.
		if random.IntN(2) == 0 {
			w.phpIdle(ctx)
		}
		must(t, w.caddy.Start())
		w.phpIdle(ctx)
		took, err := w.check.Eventually(ctx, 15*time.Second)
		if err != nil {
			t.Fatalf("after kill %d (seed %d): %v", kill, seed, err)
		}
		if took > 5*time.Second {
			t.Logf("after kill %d: equal after %s", kill, took)
		}
	}
	t.Logf("%d kills, %d operations done", kills, done)
	if done < kills {
		t.Errorf("only %d operations were done during %d kills", done, kills)
	}
	w.nothingHidden(ctx)
}

// killUnderLoad runs clients against the site, kills Caddy at a random moment,
// and returns the number of operations that succeeded.
func (w *world) killUnderLoad(ctx context.Context, random *rand.Rand, kill int) int {
	w.t.Helper()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var clients sync.WaitGroup
	counts := make([]int, 3)
	for i := range counts {
		client := login(w.t, ctx, w.site)
		source := rand.New(rand.NewPCG(random.Uint64(), 0))
		clients.Go(func() { counts[i] = workUntilFailure(ctx, client, source, fmt.Sprintf("k%d-%d", kill, i)) })
	}
	// The moment of the kill is what this test is about.
	moment := time.NewTimer(time.Duration(random.Int64N(int64(2500 * time.Millisecond))))
	defer moment.Stop()
	select {
	case <-moment.C:
	case <-w.caddy.Done():
		w.t.Fatalf("Caddy ended by itself:\n%s", w.caddy.Log())
	}
	must(w.t, w.caddy.Kill())
	stop()
	clients.Wait()
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return sum
}

// workUntilFailure uploads, edits and deletes until a request fails, and
// returns the number of operations done.
func workUntilFailure(ctx context.Context, client *wp.Client, random *rand.Rand, name string) int {
	var ids []int
	for n := 0; ; n++ {
		var err error
		switch action := random.IntN(5); {
		case action == 0 && len(ids) > 1:
			i := random.IntN(len(ids))
			err = client.DeleteREST(ctx, ids[i])
			ids = append(ids[:i], ids[i+1:]...)
		case action == 1 && len(ids) > 0:
			err = client.Crop(ctx, ids[random.IntN(len(ids))], 10, 10, 200, 150)
		default:
			var id int
			way := wp.Ways[random.IntN(len(wp.Ways))]
			id, err = way.Upload(client, ctx, sample.JPEG(fmt.Sprintf("%s %d.jpg", name, n), 0.6, random.Uint64()))
			ids = append(ids, id)
		}
		if err != nil {
			return n
		}
	}
}

// phpIdle waits until PHP-FPM serves no request.
func (w *world) phpIdle(ctx context.Context) {
	w.t.Helper()
	phpIdle(w.t, w.site.PHP)
}

// phpIdle waits until a pool serves no request: the kernel lists a connected
// socket of its path for each one under way.
func phpIdle(t *testing.T, php *env.PHP) {
	t.Helper()
	waitFor(t, 30*time.Second, "idle PHP", func() bool {
		sockets := must1(os.ReadFile("/proc/net/unix"))(t)
		connections := 0
		for line := range bytes.Lines(sockets) {
			// Num RefCount Protocol Flags Type St Inode Path; St 03 is connected.
			fields := strings.Fields(string(line))
			if len(fields) == 8 && fields[7] == php.Socket && fields[5] == "03" {
				connections++
			}
		}
		return connections == 0
	})
}

// nothingHidden fails the test if temporary files are left, in the bucket or
// in the media root.
func (w *world) nothingHidden(ctx context.Context) {
	w.t.Helper()
	w.noLeftovers(ctx)
	for _, name := range must1(env.Hidden(w.site.Uploads()))(w.t) {
		w.t.Errorf("left in the media root: %s", name)
	}
	if resp, _ := request(w.t, ctx, http.DefaultClient, http.MethodGet, w.site.URL+"/", nil); resp.StatusCode != http.StatusOK {
		w.t.Errorf("the front page: %s", resp.Status)
	}
}
