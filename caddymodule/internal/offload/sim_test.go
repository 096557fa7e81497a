package offload

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/cluster"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

var (
	simRuns = flag.Int("sim.runs", 60, "simulated histories")
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
//   - decide: putOver where it says keepBoth; putNew where it says removeFile;
//     putOver instead of putKeeping
//   - a Put without IfNoneMatch, or without IfMatch
//   - a changed file taken for a clean one
//   - a delete that does not look at the version first
//   - a request that does not catch up with the log
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

	mu    sync.Mutex
	sure  map[string]string // by content: its key, as answered and not touched since
	tried map[string]bool   // keys that were deleted
	past  map[string]bool   // contents that were overwritten or deleted
}

func newSim(t *testing.T, seed uint64) *sim {
	w := &sim{
		t: t, random: rand.New(rand.NewPCG(seed, 7)), store: &simStore{objects: map[string]simObject{}},
		sure: map[string]string{}, tried: map[string]bool{}, past: map[string]bool{},
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
	w.check()
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
			n.link.set(0.15, false)
		case 2:
			n.link.set(0, true)
		case 3:
			n.link.set(0, false)
		case 4:
			n.stop()
			if w.random.IntN(3) == 0 {
				n.wipe()
			}
			n.start()
		}
	}
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

// simFile is a file with its mark.
type simFile struct {
	content string
	base    string // ETag of the mark; "" none
	strange bool   // replaced by rename: the mark is gone
}

func (f simFile) state(there bool) fileState {
	switch {
	case !there:
		return noFile
	case f.base == "" || f.strange:
		return strangeFile
	case f.base == etagOf(f.content):
		return cleanFile
	}
	return changedFile
}

// simNode is one node: a disk that outlives crashes, and the work on its keys.
type simNode struct {
	w    *sim
	id   string
	link *simLink

	mu      sync.Mutex
	disk    map[string]simFile
	pending map[string]*simItem
	moved   chan struct{}

	node *cluster.Node
	ctx  context.Context
	kill context.CancelFunc
	work sync.WaitGroup
	up   bool
}

// simItem is work on one key.
type simItem struct {
	gen     int
	why     cause
	look    bool
	deleted string // version that the app deleted
	told    bool   // stored, and perhaps not announced
}

func (n *simNode) files() map[string]simFile {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.disk)
}

func (n *simNode) wipe() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.disk = map[string]simFile{}
}

func (n *simNode) start() {
	node, err := cluster.New(cluster.Config{Store: n.link, Prefix: "offload/", Apply: n.apply, Lost: func() { n.reconcile() }})
	if err != nil {
		n.w.t.Fatal(err)
	}
	n.mu.Lock()
	n.pending, n.moved, n.up = map[string]*simItem{}, make(chan struct{}), false
	n.ctx, n.kill = context.WithCancel(context.Background())
	n.node = node
	ctx := n.ctx
	n.mu.Unlock()
	n.work.Go(func() {
		for node.Join(ctx) != nil {
			if !n.pause(ctx) {
				return
			}
		}
		n.work.Go(func() { node.Run(ctx) })
		n.reconcile()
	})
}

// stop ends the node as a crash does: nothing is put in order.
func (n *simNode) stop() {
	n.mu.Lock()
	n.kill()
	n.mu.Unlock()
	n.work.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = n.node.Close(ctx) // cut short on purpose
}

func (n *simNode) pause(ctx context.Context) bool {
	select {
	case <-time.After(300 * time.Millisecond):
		return true
	case <-ctx.Done():
		return false
	}
}

// reconcile compares disk and bucket.
func (n *simNode) reconcile() {
	ctx := n.ctx
	n.work.Go(func() {
		for ctx.Err() == nil {
			listed := map[string]bool{}
			var failed error
			for info, err := range n.link.List(ctx, "media/", "") {
				if failed = err; err != nil {
					break
				}
				listed[strings.TrimPrefix(info.Key, "media/")] = true
			}
			if failed != nil {
				n.pause(ctx)
				continue
			}
			for key, f := range n.files() {
				why := ownChange
				if !listed[key] && f.state(true) == cleanFile {
					why = deletedElsewhere
				}
				n.touch(key, simItem{why: why, look: true})
				delete(listed, key)
			}
			for key := range listed {
				n.touch(key, simItem{why: putElsewhere, look: true})
			}
			n.mu.Lock()
			n.up = true
			n.signal()
			n.mu.Unlock()
			return
		}
	})
}

func (n *simNode) apply(changes []cluster.Change) {
	for _, c := range changes {
		why := putElsewhere
		if c.Op == cluster.Delete {
			why = deletedElsewhere
		}
		n.touch(c.Key, simItem{why: why, look: true})
	}
}

// signal wakes who waits; the caller holds mu.
func (n *simNode) signal() {
	close(n.moved)
	n.moved = make(chan struct{})
}

// touch puts a key into the queue; one worker at a time deals with it.
func (n *simNode) touch(key string, change simItem) {
	n.mu.Lock()
	defer n.mu.Unlock()
	it := n.pending[key]
	if it == nil {
		it = &simItem{}
		n.pending[key] = it
		ctx := n.ctx
		if ctx.Err() != nil {
			return // crashed: the next start finds it
		}
		n.work.Go(func() {
			for ctx.Err() == nil && !n.converge(ctx, key, it) {
				n.pause(ctx)
			}
		})
	}
	it.gen++
	if change.look {
		it.look, it.why = true, change.why
	}
	if change.deleted != "" {
		it.deleted = change.deleted
	}
}

// converge deals with a key as Engine.converge does; false: again.
func (n *simNode) converge(ctx context.Context, key string, it *simItem) bool {
	n.mu.Lock()
	gen, look, why, told, deleted := it.gen, it.look, it.why, it.told, it.deleted
	f, there := n.disk[key]
	n.mu.Unlock()
	file := f.state(there)
	object, info := unseenObject, bucket.Info{}
	if look || !there || told {
		var err error
		info, err = n.link.Head(ctx, "media/"+key)
		switch {
		case errors.Is(err, bucket.ErrNotFound):
			object = noObject
		case err != nil:
			return false
		case there && info.ETag == etagOf(f.content):
			object = sameObject
		case there && f.base == info.ETag && !f.strange:
			object = baseObject
		case there && info.Meta[metaNode] == n.id && file != cleanFile:
			object = heldObject
		default:
			object = otherObject
		}
	}
	if !there && deleted != "" {
		return n.finishDelete(ctx, key, it, gen, object, info, deleted)
	}
	change := cluster.Change{Op: cluster.Put, Key: key, Class: media.Public, Size: int64(len(f.content)), ETag: etagOf(f.content)}
	switch decide(file, object, why) {
	case agreed:
		if told && n.node.Append(ctx, change) != nil {
			return false
		}
	case adopt:
		if info.Meta[metaNode] == n.id && file != cleanFile && n.node.Append(ctx, change) != nil {
			return false
		}
		n.replace(key, f, simFile{content: f.content, base: info.ETag})
	case putNew, putOver, putKeeping:
		if object == heldObject {
			old := n.w.store.content("media/" + key)
			if _, err := n.link.Put(ctx, conflictName("offload/", key, etagOf(old)), strings.NewReader(old), int64(len(old)), bucket.PutOptions{}); err != nil {
				return false
			}
		}
		opts := bucket.PutOptions{Info: bucket.Info{Meta: map[string]string{metaNode: n.id}}, IfNoneMatch: true}
		if decide(file, object, why) != putNew {
			opts.IfNoneMatch, opts.IfMatch = false, f.base
			if object == heldObject {
				opts.IfMatch = info.ETag
			}
		}
		_, err := n.link.Put(ctx, "media/"+key, strings.NewReader(f.content), int64(len(f.content)), opts)
		n.mu.Lock()
		it.look, it.told = true, it.told || err == nil
		if err != nil {
			it.gen++ // what is known is old
		}
		n.mu.Unlock()
		if err != nil || n.node.Append(ctx, change) != nil {
			return false
		}
		n.replace(key, f, simFile{content: f.content, base: etagOf(f.content)})
	case keepBoth:
		name := conflictName("offload/", key, etagOf(f.content))
		if _, err := n.link.Put(ctx, name, strings.NewReader(f.content), int64(len(f.content)), bucket.PutOptions{}); err != nil {
			return false
		}
		fallthrough
	case fetch:
		o, err := n.link.Get(ctx, "media/"+key, bucket.GetOptions{})
		if err != nil {
			return false
		}
		data, err := io.ReadAll(o.Body)
		if err != nil || !n.swap(key, f, there, simFile{content: string(data), base: o.ETag}) {
			return false
		}
	case removeFile:
		if !n.remove(key, f) {
			return false
		}
	}
	return n.settle(key, it, gen)
}

func (n *simNode) finishDelete(ctx context.Context, key string, it *simItem, gen int, object objectState, info bucket.Info, deleted string) bool {
	if object != noObject && info.ETag != deleted {
		n.mu.Lock()
		it.deleted, it.look, it.why = "", true, putElsewhere
		n.mu.Unlock()
		return false // another version: it is to be fetched
	}
	if object != noObject && n.link.Delete(ctx, "media/"+key) != nil {
		return false
	}
	if n.node.Append(ctx, cluster.Change{Op: cluster.Delete, Key: key, ETag: deleted}) != nil {
		return false
	}
	return n.settle(key, it, gen)
}

// settle ends the work if nothing new was heard since.
func (n *simNode) settle(key string, it *simItem, gen int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	it.told = false
	if it.gen != gen {
		return false
	}
	delete(n.pending, key)
	n.signal()
	return true
}

// replace notes a mark, if the file is still the one that was seen.
func (n *simNode) replace(key string, was, now simFile) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f, ok := n.disk[key]; ok && f == was {
		n.disk[key] = now
	}
}

func (n *simNode) swap(key string, was simFile, there bool, now simFile) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f, ok := n.disk[key]; ok != there || f != was {
		return false
	}
	n.disk[key] = now
	return true
}

func (n *simNode) remove(key string, was simFile) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f, ok := n.disk[key]; ok && f != was {
		return false
	}
	delete(n.disk, key)
	return true
}

// idle waits until the keys (nil: all) have no work.
func (n *simNode) idle(ctx context.Context, keys []string) error {
	for {
		n.mu.Lock()
		busy := !n.up || (keys == nil && len(n.pending) > 0)
		for _, key := range keys {
			busy = busy || n.pending[key] != nil
		}
		moved, life := n.moved, n.ctx
		n.mu.Unlock()
		if life.Err() != nil {
			return life.Err()
		}
		if !busy {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		case <-life.Done():
			return life.Err()
		}
	}
}

// request is an upload of a common name, an overwriting, or a delete.
func (n *simNode) request(random *rand.Rand, content string) {
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	stem := fmt.Sprintf("image%d", random.IntN(2))
	n.mu.Lock()
	node := n.node
	n.mu.Unlock()
	claim := node.Claim()
	defer claim.Release()
	claim.Add(stem)
	err := errors.Join(claim.Wait(ctx), node.CatchUp(ctx))
	if err == nil {
		err = n.idle(ctx, nil)
	}
	if err != nil && random.IntN(2) == 0 {
		return // on_failure reject
	}
	time.Sleep(time.Duration(random.Int64N(int64(200 * time.Millisecond)))) // PHP
	key, wrote := n.app(random, stem, content)
	n.w.answered(key, wrote, errors.Join(err, n.idle(ctx, []string{key})))
}

// app does what the app would on this disk.
func (n *simNode) app(random *rand.Rand, stem, content string) (key, wrote string) {
	n.mu.Lock()
	var old string
	var taken []string
	for k := range n.disk {
		if strings.HasPrefix(k, stem) {
			taken = append(taken, k)
		}
	}
	slices.Sort(taken)
	op := random.IntN(4)
	if len(taken) == 0 {
		op = 0
	}
	change := simItem{}
	switch op {
	case 2: // overwrites
		key = taken[random.IntN(len(taken))]
		f := n.disk[key]
		old = f.content
		f.content = content
		n.disk[key] = f
	case 3: // deletes
		key = taken[random.IntN(len(taken))]
		f := n.disk[key]
		old, content = f.content, ""
		change.deleted = f.base
		delete(n.disk, key)
	default:
		for i := 0; ; i++ {
			key = fmt.Sprintf("%s-%d.jpg", stem, i)
			if _, ok := n.disk[key]; !ok {
				break
			}
		}
		n.disk[key] = simFile{content: content}
	}
	n.mu.Unlock()
	n.w.forget(key, old)
	n.touch(key, change)
	if content == "" {
		n.w.mu.Lock()
		n.w.tried[key] = true
		n.w.mu.Unlock()
	}
	return key, content
}

// forget takes back what was certain of a content that is overwritten or deleted.
func (w *sim) forget(key, old string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if old != "" {
		delete(w.sure, old)
		w.past[old] = true
	}
}

// answered checks and notes what a request promised.
func (w *sim) answered(key, content string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		return
	}
	if w.tried[key] || w.past[content] {
		return // by now another request, without a claim, changed it again
	}
	if got := w.store.content("media/" + key); w.calm && got != content {
		w.t.Errorf("%s was answered with %q, the bucket has %q", key, content, got)
	}
	w.sure[content] = key
}
