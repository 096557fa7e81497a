package lease

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "seed of the first simulated history; 0: a random one")
	simRuns  = flag.Int("sim.runs", 300, "number of simulated histories")
	simNodes = flag.Int("sim.nodes", 0, "number of nodes; 0: mostly 2 or 3, now and then up to 50")
)

// TestSimulation plays histories of several nodes on one store: appends,
// catch-ups and claims, while requests and answers are delayed and lost, nodes
// are cut off, stand still for minutes, crash, leave and come back, clocks differ,
// run at different speed and are set, the log is trimmed and others write into it.
//
// What must hold, whatever happens:
//
//   - One total order: the log has no hole; each node is given the others'
//     entries in its order, each once and none left out, or is told by Lost.
//   - An acknowledged append stands in the log once, one that was not at most
//     once (an entry that was in the log and trimmed before its writer learnt
//     of it may be written again).
//   - When CatchUp returns nil, all that was in the log at the call was given
//     to Apply; when that of a claim does, what its names' earlier holders wrote,
//     and, if it has looked ahead, what was in the log then and two seconds ago.
//   - A slot has at most one claim, of all nodes, whose Held is true.
//   - No wedge: for whatever waits somebody is at work, all the time; where nothing
//     fails, no claim waits for longer than other claims have its names, and none
//     loses them; once the faults end, every node can append, catch up and lease
//     names within the expiry of what crashed nodes left.
//   - An idle node sends one request per poll.
//
// A seed decides faults and work, and before which locks a goroutine stands still,
// so that what it has decided may not hold any more: without that, goroutines would
// hardly ever meet between two steps, as their events are spread finely over
// virtual time. On one processor a failure nearly always comes again with its seed:
//
//	GOMAXPROCS=1 go test -run TestSimulation -sim.seed 42 -sim.runs 1 ./caddymodule/internal/lease
//
// Rules that were broken on purpose, one by one, and what noticed; a history takes
// about 4 ms of a processor:
//
//   - this, within a second: 412 is taken for written; one's own entry is not
//     recognised; a lease is written without If-Match; another ETag does not start
//     the wait anew; what earlier holders of a name wrote counts as read, always or
//     by a look that began before the lease was got; a claim goes by a look or a
//     poll however old; a free lease is granted while its release is under way, or
//     released while it is granted; higher slots are kept while waiting; a takeover
//     too early; a lease's deadline by the monotonic clock alone; an append is
//     acknowledged before it is written; nobody is told that an owner has left;
//   - this, within ten seconds: Lost is not called, no freshness check;
//   - this, but hardly ever (once or twice in 25 seconds, or not at all): the lease's
//     deadline is counted from the answer; no check of an entry below the log, which
//     TestEntryBelowTheLog always notices;
//   - tests of their own: a lease never expires for its holder (TestCrashedHolder);
//     a slot that was taken over counts as one never used
//     (TestClaimCatchesUpAfterWaiting); the predecessor of an entry is not demanded
//     (TestEntryBelowTheLog); catching up by an older look (TestCatchUpIsLateEnough);
//     an old entry that is there proves where the log ends, freshness by the
//     monotonic clock alone (TestTrimmedWhileRead); the cursor moves before Lost is
//     called (TestTrimmedLog); rests by a clock that was set (TestRestsAreShort); no
//     rests for those who ask, catching up only where nothing follows
//     (TestFarNodeIsNotStarved);
//   - nothing, in half a minute: of one's own entries the writer is compared and not
//     the nonce (a node has one entry under way, so either would do); after the
//     cursor jumped it is not looked whether the last write was in time; a lease's
//     deadline from an earlier write of one's own; after a takeover, or without having
//     read what those before wrote, one's own place is left in the lease, or the
//     place as it was a moment before (polls have mostly read it by then).
func TestSimulation(t *testing.T) {
	seed, workers := *simSeed, runtime.GOMAXPROCS(0)
	if seed == 0 {
		seed = rand.Uint64N(1 << 30)
	}
	t.Logf("%d histories from -sim.seed %d", *simRuns, seed)
	for worker := range workers {
		t.Run(fmt.Sprint(worker), func(t *testing.T) {
			t.Parallel()
			for i := worker; i < *simRuns; i += workers {
				t.Run(fmt.Sprint(seed+uint64(i)), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { newWorld(t, seed+uint64(i)).run() })
				})
			}
		})
	}
}

// world is one history.
type world struct {
	t      *testing.T
	random *rand.Rand // of the main goroutine
	store  *buckettest.Memory
	names  []string
	size   size
	ends   time.Time // of work and new faults
	calm   time.Time // when the last fault has ended
	quiet  bool      // nothing fails
	faults []int     // what may happen: a few kinds more often find more than all now and then
	poll   time.Duration
	halts  float64       // share of locks before which a goroutine stands still
	grain  time.Duration // what times are multiples of, so that events meet

	mu        sync.Mutex
	written   map[uint64]written  // the log as it was ever written
	positions map[string][]uint64 // of each change's key
	head      uint64
	grew      []time.Time        // when each entry was written
	writers   map[string]*member // of each change's key
	holders   map[uint16][]*Claim
	left      map[uint16]uint64 // the last entry that a holder of the slot wrote
	waiting   map[*Claim]*patient

	members []*member
	all     []*member // that there ever were
	crashed sync.WaitGroup
}

// size is what a history costs. What is found at all is mostly found in small
// ones, of which many can be played in the time of a large one.
type size struct {
	nodes, names, requests int
	ttl                    time.Duration // of leases; faults and freshness are measured by it
	work                   time.Duration
}

func drawSize(random *rand.Rand) size {
	s := size{nodes: 2, names: 1 + random.IntN(4), requests: 1 + random.IntN(2), ttl: minTTL}
	s.work = 3*time.Second + time.Duration(random.Int64N(int64(7*time.Second)))
	switch n := random.IntN(1000); {
	case n == 0:
		s = size{nodes: 10 + random.IntN(41), names: 4, requests: 3, ttl: 10 * time.Second, work: 20 * time.Second}
	case n < 20:
		s = size{nodes: 2 + random.IntN(5), names: 1 + random.IntN(6), requests: 3, ttl: 10 * time.Second}
		s.work = 15*time.Second + time.Duration(random.Int64N(int64(45*time.Second)))
	case n < 200:
		s.nodes = 3
	}
	if random.IntN(5) == 0 {
		s.names = 12
	}
	if *simNodes > 0 {
		s.nodes = *simNodes
	}
	return s
}

// written is an entry of the log.
type written struct {
	writer *member // nil: no node wrote it
	keys   []string
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), store: buckettest.NewMemory(),
		written: map[uint64]written{}, positions: map[string][]uint64{}, writers: map[string]*member{},
		holders: map[uint16][]*Claim{}, left: map[uint16]uint64{}, waiting: map[*Claim]*patient{},
	}
	w.store.OnPut(w.wrote)
	w.size = drawSize(w.random)
	w.quiet = w.random.IntN(4) == 0
	w.faults = w.random.Perm(faultKinds)[:1+w.random.IntN(faultKinds)]
	w.poll = w.size.ttl / 2
	if w.random.IntN(4) == 0 {
		w.poll *= 6
	}
	if w.random.IntN(4) > 0 {
		w.halts = 1 / float64(int(8)<<w.random.IntN(4))
	}
	if w.random.IntN(4) == 0 {
		w.grain = 10 * time.Millisecond
	}
	for i := range w.size.names {
		w.names = append(w.names, fmt.Sprint("name", i))
	}
	return w
}

// below returns a random time below limit.
func (w *world) below(random *rand.Rand, limit time.Duration) time.Duration {
	return time.Duration(random.Int64N(int64(limit))).Truncate(w.grain)
}

func (w *world) run() {
	w.ends = time.Now().Add(w.size.work)
	w.calm = time.Now()
	for i := range w.size.nodes {
		w.members = append(w.members, w.start(i, 0))
	}
	for time.Now().Before(w.ends) && !w.t.Failed() {
		time.Sleep(time.Duration(w.random.Int64N(int64(600 * time.Millisecond))))
		w.check()
		if !w.quiet && w.random.Int64N(int64(w.size.ttl)) < int64(time.Second) {
			w.disturb()
		}
	}
	w.heal()
	for _, m := range w.members {
		m.work.Wait()
	}
	if !w.t.Failed() {
		w.checkEnd()
	}
	for _, m := range w.members {
		m.end()
	}
	w.crashed.Wait()
	time.Sleep(5 * time.Minute) // requests that are still under way
}
