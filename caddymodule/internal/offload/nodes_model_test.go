package offload

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/naming"
)

// TestRandomHistoriesOfNodes lets several "apps" write, rename, delete and move
// files in requests on random nodes, while nodes are killed, the bucket fails,
// loses answers, or is away for one node.
//
// Promise 1, while the store works: after each request its files are in the
// bucket. Promise 2, at the end: what a request wrote last is in the bucket,
// under its name or, if two nodes stored it at once, kept aside. Promise 6: at
// the end all disks equal the bucket.
func TestRandomHistoriesOfNodes(t *testing.T) {
	t.Parallel()
	playHistories(t, historyOfNodes)
}

// world is what the apps of one history know of their files.
type world struct {
	ns     nodes
	locks  []sync.RWMutex // of nodes: held while one is killed
	faulty bool
	rnd    *rand.Rand
}

func historyOfNodes(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	w := &world{ns: newNodes(t, 2+rnd.IntN(2), func(c *Config) { c.MaxDeleteShare = 1 }), rnd: rnd}
	w.locks = make([]sync.RWMutex, len(w.ns))
	w.ns[0].write("keep/always.jpg", "always")
	w.ns.ready()
	apps := make([]*appModel, 3)
	for i := range apps {
		apps[i] = &appModel{world: w, n: i, rnd: rand.New(rand.NewPCG(seed, uint64(10+i))), sure: map[string]string{}}
	}
	for range 2 {
		w.faulty = rnd.IntN(2) == 0
		w.setFaults(rnd)
		w.awaitUploads()
		var running sync.WaitGroup
		for _, a := range apps {
			running.Go(a.run)
		}
		if rnd.IntN(2) == 0 {
			n := rnd.IntN(len(w.ns))
			w.locks[n].Lock()
			w.ns[n].kill()
			w.ns[n].start()
			w.locks[n].Unlock()
		}
		running.Wait()
	}
	w.faulty = false
	w.setFaults(rnd)
	w.ns.agree()
	w.check(apps)
	if t.Failed() {
		t.Logf("run again with -model.seed=%d", seed)
	}
}

func (w *world) setFaults(rnd *rand.Rand) {
	for _, s := range w.ns {
		s.faults.SetHook(nil)
		if w.faulty {
			s.faults.SetHook(buckettest.Randomly(rnd.Uint64(), 0.15))
		}
	}
	if w.faulty && rnd.IntN(3) == 0 {
		w.ns[rnd.IntN(len(w.ns))].faults.SetHook(buckettest.Always(buckettest.Fault{Before: buckettest.ErrInjected}))
	}
}

// awaitUploads waits until all nodes take uploads, if nothing is to fail.
func (w *world) awaitUploads() {
	if w.faulty {
		return
	}
	for _, s := range w.ns {
		s.until("the bucket", func() bool { _, uploads, _ := s.e.Ready(); return uploads })
	}
}

// check looks for what was lost.
func (w *world) check(apps []*appModel) {
	t := w.ns[0].t
	objects := w.ns[0].everything()
	aside := w.ns[0].conflicts()
	for _, a := range apps {
		for _, key := range slices.Sorted(maps.Keys(a.sure)) {
			want := a.sure[key]
			got, there := objects[key]
			switch {
			case want == "" && there && !a.doubtful(key):
				t.Errorf("%s was deleted and is back with %q", key, got)
			case want != "" && got != want && !slices.Contains(aside, want):
				t.Errorf("%s is %q, want %q; kept aside: %q", key, got, want, aside)
			}
		}
	}
	if len(aside) > 0 && !w.anyDoubt(apps) {
		t.Errorf("no node failed, and yet these contents were kept aside: %q", aside)
	}
}

func (w *world) anyDoubt(apps []*appModel) bool {
	for _, a := range apps {
		if a.doubts > 0 {
			return true
		}
	}
	return false
}

// appModel is an app that does one request at a time on any node, with files
// that no other app has.
type appModel struct {
	world  *world
	n      int
	rnd    *rand.Rand
	sure   map[string]string // what a key must be; "" deleted
	doubt  map[string]bool   // keys of requests that failed
	doubts int
}

func (a *appModel) doubtful(key string) bool { return a.doubts > 0 && (a.doubt[key] || a.doubt[""]) }

func (a *appModel) name() string {
	dirs := []string{"2026/11", "2026/12", "sites/2", "x"}
	return path.Join(dirs[a.rnd.IntN(len(dirs))], fmt.Sprintf("%d-%d.jpg", a.n, a.rnd.IntN(6)))
}

func (a *appModel) run() {
	for range 8 {
		a.request()
	}
}

// request does a few operations on one node. What it changed is certain only if
// it ended well; else all its keys are in doubt until they are written again.
func (a *appModel) request() {
	w := a.world
	n := a.rnd.IntN(len(w.ns))
	w.locks[n].RLock()
	defer w.locks[n].RUnlock()
	s := w.ns[n]
	patient := patience
	if w.faulty {
		patient = 300 * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patient)
	defer cancel()
	r := s.e.beginRunning(ctx, "")
	defer r.End()
	for i := range 6 {
		r.Name(fmt.Sprintf("%d-%d.jpg", a.n, i))
		r.Name(fmt.Sprintf("deep %d-%d.jpg", a.n, i)) // a node that was killed may lack other names yet
	}
	err := r.Ready(ctx)
	if err != nil && !w.faulty { // a busy machine's bucket is slow: clients ask again
		s.until("uploads", func() bool { err = r.Ready(ctx); return err == nil })
	}
	did := map[string]string{}
	if err == nil || a.rnd.IntN(3) == 0 {
		for range 1 + a.rnd.IntN(4) {
			a.operation(s, did)
		}
	}
	if waited := r.Wait(ctx); err == nil {
		err = waited
	}
	var collision *naming.CollisionError
	if err != nil && !w.faulty && !(a.doubts > 0 && errors.As(err, &collision)) {
		s.t.Errorf("app %d on node %d: %v", a.n, n, err)
	}
	objects := map[string]string{}
	if err == nil {
		objects = w.ns[0].everything()
	}
	for key, content := range did {
		if err != nil {
			a.inDoubt(key)
			continue
		}
		a.sure[key] = content
		if got := objects[key]; got != content && !w.faulty && a.doubts == 0 {
			s.t.Errorf("app %d on node %d: after the request %s is %q in the bucket, want %q", a.n, n, key, got, content)
		}
	}
}

func (a *appModel) inDoubt(key string) {
	if a.doubt == nil {
		a.doubt = map[string]bool{}
	}
	a.doubts++
	a.doubt[key] = true
	delete(a.sure, key)
}

func (a *appModel) operation(s *site, did map[string]string) {
	key := a.name()
	switch a.rnd.IntN(8) {
	case 0, 1, 2:
		content := fmt.Sprintf("%d:%d", a.n, a.rnd.Uint64())[:8+a.rnd.IntN(2)]
		s.write(key, content)
		did[key] = content
	case 3:
		s.remove(key)
		did[key] = ""
	case 4:
		to := a.name()
		content := s.read(key)
		if key != to && content != "" && os.MkdirAll(path.Dir(s.path(to)), 0o755) == nil && os.Rename(s.path(key), s.path(to)) == nil {
			did[key], did[to] = "", content
		}
	case 5:
		deep := fmt.Sprintf("own-%d/deep/deep %d-%d.jpg", a.n, a.n, a.rnd.IntN(4))
		content := fmt.Sprint(a.rnd.Uint64())
		s.write(deep, content)
		did[deep] = content
	case 6:
		a.moveDir(s, did)
	case 7:
		tmp := fmt.Sprintf("2026/11/tmp-%d.jpg", a.n)
		s.write(tmp, "x")
		s.remove(tmp)
		did[tmp] = ""
	}
}

// moveDir renames a directory over another.
func (a *appModel) moveDir(s *site, did map[string]string) {
	from, to := fmt.Sprintf("own-%d", a.n), fmt.Sprintf("own-%d-moved", a.n)
	before := s.disk()
	_ = os.RemoveAll(s.path(to))
	moved := os.Rename(s.path(from), s.path(to)) == nil
	for key := range before {
		if strings.HasPrefix(key, to+"/") {
			did[key] = ""
		}
	}
	if !moved {
		return
	}
	for key, content := range before {
		if rest, ok := strings.CutPrefix(key, from+"/"); ok {
			did[key], did[to+"/"+rest] = "", content
		}
	}
}
