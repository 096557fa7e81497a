package offload

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	simRuns = flag.Int("sim.runs", 40, "simulated histories")
	simSeed = flag.Uint64("sim.seed", 0, "seed of the first; 0: a random one")
)

// TestSimulation plays histories of several nodes with the real change log,
// leases and verdicts, on disks and a bucket in memory and under a fake clock:
// uploads of few names, overwrites and deletes on random nodes, while requests
// and answers are lost, nodes are cut off, crash, and come back with their disk
// or an empty one.
//
// Promise 1: when an upload is answered, its object is in the bucket. Promise
// 2: at the end every content whose upload was answered, and which nobody
// overwrote or deleted, is there, under its name or aside. Promise 6: no two
// answered uploads got one name while the bucket worked, and at the end all
// disks equal the bucket. Promise 8: an empty disk empties nothing.
//
// Broken on purpose, it fails within 300 histories; each was tried:
//   - decide: putOver where it says keepBoth; putNew where it says removeFile
//     or nothing, when told of a Put; nothing instead of removeFile, fetch, or a
//     put; fetch or removeFile instead of a put
//   - a Put without IfNoneMatch, or without IfMatch
//   - a changed file taken for a clean one
//   - a delete that does not look at the version first
//   - a request that does not catch up with the log
//   - a request that does not claim its name
//   - an upload answered before its change is in the log
func TestSimulation(t *testing.T) {
	seed := *simSeed
	if seed == 0 {
		seed = rand.Uint64N(1 << 40)
	}
	t.Logf("%d histories from -sim.seed=%d", *simRuns, seed)
	for i := range *simRuns {
		t.Run(fmt.Sprint(seed+uint64(i)), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { newSim(t, seed+uint64(i)).run() })
		})
	}
}

// sim is one history.
type sim struct {
	t      *testing.T
	random *rand.Rand
	store  *simStore
	nodes  []*simNode
	calm   bool // no fault at any time
	wiped  bool // a node lost its disk
	began  time.Time

	mu    sync.Mutex
	sure  map[string]string // by content: its key, as answered and not touched since
	tried map[string]bool   // keys that were deleted
	past  map[string]bool   // contents that were overwritten or deleted
	lines []string          // what happened, for the log of a failure
}

// note writes down what happened to a key, for the log of a failure.
func (w *sim) note(node, key, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, fmt.Sprintf("%8.3f node %s %s: ", time.Since(w.began).Seconds(), node, key)+fmt.Sprintf(format, args...))
}

func newSim(t *testing.T, seed uint64) *sim {
	w := &sim{
		t: t, random: rand.New(rand.NewPCG(seed, 7)), store: &simStore{objects: map[string]simObject{}},
		began: time.Now(), sure: map[string]string{}, tried: map[string]bool{}, past: map[string]bool{},
	}
	w.calm = w.random.IntN(3) == 0
	for i := range 2 + w.random.IntN(4) {
		n := &simNode{w: w, id: fmt.Sprint(i), disk: map[string]simFile{}}
		n.link = &simLink{store: w.store, random: rand.New(rand.NewPCG(seed, uint64(100+i)))}
		w.nodes = append(w.nodes, n)
	}
	return w
}

func (w *sim) run() {
	for _, n := range w.nodes {
		n.start()
	}
	var users sync.WaitGroup
	for i := range 4 {
		random := rand.New(rand.NewPCG(w.random.Uint64(), uint64(i)))
		users.Go(func() {
			for k := range 6 {
				time.Sleep(time.Duration(random.Int64N(int64(3 * time.Second))))
				w.nodes[random.IntN(len(w.nodes))].request(random, fmt.Sprintf("user %d, %d", i, k))
			}
		})
	}
	if !w.calm {
		w.disturb()
	}
	users.Wait()
	for _, n := range w.nodes {
		n.link.set(0, false)
	}
	time.Sleep(2 * time.Minute)
	if w.wiped {
		w.compareDaily()
	}
	w.check()
	if w.t.Failed() {
		w.t.Log("what happened:\n" + strings.Join(w.lines, "\n"))
	}
	for _, n := range w.nodes {
		n.stop()
	}
}

// disturb makes faults for a while.
func (w *sim) disturb() {
	for range 8 {
		time.Sleep(time.Duration(w.random.Int64N(int64(4 * time.Second))))
		n := w.nodes[w.random.IntN(len(w.nodes))]
		switch w.random.IntN(5) {
		case 0, 1:
			w.note(n.id, "", "calls fail")
			n.link.set(0.15, false)
		case 2:
			w.note(n.id, "", "cut off")
			n.link.set(0, true)
		case 3:
			w.note(n.id, "", "in reach")
			n.link.set(0, false)
		case 4:
			w.note(n.id, "", "killed")
			n.stop()
			if w.random.IntN(3) == 0 {
				w.note(n.id, "", "wiped")
				n.wipe()
				w.wiped = true
			}
			n.start()
		}
	}
}

// compareDaily compares all disks with the bucket once more: what a node had
// stored, but not told when it lost its disk, nobody else can tell.
func (w *sim) compareDaily() {
	for _, n := range w.nodes {
		n.reconcile()
	}
	time.Sleep(time.Minute)
}

func (w *sim) check() {
	objects, aside := w.store.below("media/"), slices.Collect(maps.Values(w.store.below("offload/conflict/")))
	for _, n := range w.nodes {
		for key, f := range n.files() {
			if objects[key] != f.content {
				w.t.Errorf("node %s has %s as %q, the bucket %q", n.id, key, f.content, objects[key])
			}
		}
		if files := n.files(); len(files) != len(objects) {
			w.t.Errorf("node %s has %d files, the bucket %d objects", n.id, len(files), len(objects))
		}
	}
	for content, key := range w.sure {
		if objects[key] != content && !slices.Contains(aside, content) {
			w.t.Errorf("%s was answered as %q and is %q; aside: %q", key, content, objects[key], aside)
		}
	}
	if w.calm && len(aside) > 0 {
		w.t.Errorf("without a fault two uploads got one name: %q", aside)
	}
}
