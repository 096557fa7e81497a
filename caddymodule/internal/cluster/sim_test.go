package cluster

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "seed of the first simulated history; 0: a random one")
	simRuns  = flag.Int("sim.runs", 40, "number of simulated histories")
	simNodes = flag.Int("sim.nodes", 0, "number of nodes; 0: 2 to 6, now and then up to 50")
)

// TestSimulation plays histories of several nodes on one store: appends,
// catch-ups and claims, while requests and answers are delayed and lost, nodes
// are cut off, stand still for minutes, crash and come back, clocks differ, run
// at different speed and are set, the log is trimmed and others write into it.
//
// What must hold, whatever happens:
//
//   - One total order: the log has no hole; each node is given the others'
//     entries in its order, each once and none left out, or is told by Lost.
//   - An acknowledged append stands in the log once, one that was not at most
//     once (an entry that was in the log and trimmed before its writer learnt
//     of it may be written again).
//   - When CatchUp returns nil, all that was in the log at the call was given
//     to Apply; when that of a claim does, what its names' earlier holders wrote.
//   - A slot has at most one claim, of all nodes, whose Held is true.
//   - No wedge: once the faults end, every node can append, catch up and lease
//     every name within the expiry of what crashed nodes left.
//   - An idle node sends one request per poll.
//
// A seed decides faults and work, which are spread over virtual time so finely
// that hardly ever two goroutines can run at the same moment: a failure nearly
// always comes again with its seed:
//
//	go test -run TestSimulation -sim.seed 42 -sim.runs 1 ./caddymodule/internal/cluster
//
// Rules that were broken on purpose, one by one, and what noticed:
//
//   - this, in most of 150 histories: 412 is taken for written; after a lost
//     answer the next number is tried;
//   - this, in several of 60: one's own entry is not recognised; takeover by the
//     wall clock, or without If-Match; release without If-Match; another ETag
//     does not start the wait anew;
//   - this, in nearly all of 40: what earlier holders of a name wrote counts as
//     read, always or by a look that began before the lease was got;
//   - this, but hardly ever (one or two of 40 to 150): a holder that has not read
//     what those before it wrote leaves its own place in the lease; the lease's
//     deadline is counted from the answer; a free lease is granted while its
//     release is under way; no freshness check, or Lost is not called, which
//     TestTrimmedLog and TestTrimmedWhileRead always notice;
//   - tests of their own: an append is acknowledged before it is written
//     (TestAppendIsSeen); higher slots are kept while waiting
//     (TestClaimsCrosswise); a lease never expires for its holder, takeover too
//     early (TestCrashedHolder); a slot that was taken over counts as one never used
//     (TestClaimCatchesUpAfterWaiting); no check of an entry below the log, its
//     predecessor not demanded (TestEntryBelowTheLog); catching up by an older
//     look (TestCatchUpIsLateEnough); an old entry that is there proves where
//     the log ends, freshness by the monotonic clock alone
//     (TestTrimmedWhileRead); rests by a clock that was set (TestRestsAreShort);
//     no rests for those who ask, catching up only where nothing follows
//     (TestFarNodeIsNotStarved);
//   - nothing: of one's own entries the writer is compared and not the nonce (a
//     node has one entry under way, so either would do); after the cursor
//     jumped it is not looked whether the last write was in time, a lease's
//     deadline by the monotonic clock alone or from an earlier write of one's
//     own, after a takeover one's own place is left in the lease though the log was
//     not read since (all four take a moment that is too rare for 40 histories).
func TestSimulation(t *testing.T) {
	seed := *simSeed
	if seed == 0 {
		seed = rand.Uint64N(1 << 30)
	}
	t.Logf("%d histories from -sim.seed %d", *simRuns, seed)
	for i := range *simRuns {
		t.Run(fmt.Sprint(seed+uint64(i)), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { newWorld(t, seed+uint64(i)).run() })
		})
	}
}

// world is one history.
type world struct {
	t      *testing.T
	random *rand.Rand // of the main goroutine
	store  *memStore
	names  []string
	ends   time.Time // of work and new faults
	calm   time.Time // when the last fault has ended

	mu        sync.Mutex
	written   map[uint64]written  // the log as it was ever written
	positions map[string][]uint64 // of each change's key
	head      uint64
	writers   map[string]*member // of each change's key
	holders   map[uint16][]*Claim
	left      map[uint16]uint64 // the last entry that a holder of the slot wrote

	members []*member
	crashed sync.WaitGroup
}

// written is an entry of the log.
type written struct {
	writer string
	keys   []string
}

// member is a node with what it was told and what its requests do.
type member struct {
	world      *world
	name       string
	node       *Node
	link       *link
	clock      *simClock
	work       sync.WaitGroup
	background sync.WaitGroup
	stop       context.CancelFunc
	ctx        context.Context

	mu       sync.Mutex
	position uint64 // of the last entry that it was given, or has jumped to
	jumps    int
	appended int
}

// simClock is the clock of one machine.
type simClock struct {
	mu     sync.Mutex
	origin time.Time
	speed  float64
	wall   time.Duration // off by

	// A suspended machine's monotonic clock stands still.
	suspended time.Time // since when; zero: it runs
	lost      time.Duration
	steady    bool // suspended once: only the wall clock tells, so it is not set
}

func (c *simClock) now() instant {
	c.mu.Lock()
	defer c.mu.Unlock()
	passed := time.Duration(float64(time.Since(c.origin)) * c.speed)
	mono := passed - c.lost
	if !c.suspended.IsZero() {
		mono -= time.Duration(float64(time.Since(c.suspended)) * c.speed)
	}
	return instant{mono: mono, wall: c.origin.Add(passed + c.wall).Round(0)}
}

func (c *simClock) suspend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.suspended.IsZero() {
		c.suspended, c.steady = time.Now(), true
	}
}

func (c *simClock) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.suspended.IsZero() {
		c.lost += time.Duration(float64(time.Since(c.suspended)) * c.speed)
		c.suspended = time.Time{}
	}
}

// set moves the wall clock.
func (c *simClock) set(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.steady {
		c.wall += by
	}
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), store: newMemStore(),
		written: map[uint64]written{}, positions: map[string][]uint64{},
		writers: map[string]*member{}, holders: map[uint16][]*Claim{}, left: map[uint16]uint64{},
	}
	w.store.onPut = w.wrote
	for i := range 1 + w.random.IntN(6) {
		w.names = append(w.names, fmt.Sprint("name", i))
	}
	return w
}

func (w *world) run() {
	count := 2 + w.random.IntN(5)
	if w.random.IntN(40) == 0 {
		count = 10 + w.random.IntN(41)
	}
	if *simNodes > 0 {
		count = *simNodes
	}
	w.ends = time.Now().Add(15*time.Second + time.Duration(w.random.Int64N(int64(75*time.Second))))
	for i := range count {
		w.members = append(w.members, w.start(i, 0))
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for time.Now().Before(w.ends) {
			time.Sleep(337 * time.Millisecond)
			w.checkHolders()
		}
	}()
	for time.Now().Before(w.ends) && !w.t.Failed() {
		time.Sleep(time.Duration(w.random.Int64N(int64(6 * time.Second))))
		w.disturb()
	}
	<-watched
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

// start brings a node up that takes part until it is ended.
func (w *world) start(i, life int) *member {
	m := &member{
		world: w, name: fmt.Sprintf("node%d-%d", i, life),
		link: &link{store: w.store, random: rand.New(rand.NewPCG(w.random.Uint64(), 2))},
		clock: &simClock{
			origin: time.Now().Add(-time.Hour), speed: 0.97 + 0.06*w.random.Float64(),
			wall: time.Duration(w.random.Int64N(int64(2*time.Hour))) - time.Hour,
		},
	}
	m.link.latency = time.Duration(1+w.random.IntN(60)) * time.Millisecond
	if w.random.IntN(3) == 0 {
		m.link.lost = w.random.Float64() / 5
	}
	if w.random.IntN(5) == 0 {
		m.link.slow = 0.02
		w.calm = w.ends.Add(slowest)
	}
	random := rand.New(rand.NewPCG(w.random.Uint64(), 3))
	var lock sync.Mutex
	node, err := New(Config{
		Store: m.link, Prefix: "offload/", Apply: m.apply, Lost: m.lost,
		Log:  func() *slog.Logger { return slog.New(slog.DiscardHandler) },
		Poll: 2 * time.Second, keepEntries: 10, keepAge: 40 * time.Second, fresh: 8 * time.Second,
		clock: m.clock.now,
		random: func(n int64) int64 {
			lock.Lock()
			defer lock.Unlock()
			return random.Int64N(n)
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	m.node = node
	m.ctx, m.stop = context.WithCancel(context.Background())
	seeds := []uint64{w.random.Uint64(), w.random.Uint64(), w.random.Uint64()}
	m.work.Go(func() {
		for node.Join(m.ctx) != nil {
			if m.ctx.Err() != nil {
				return
			}
			time.Sleep(time.Second)
		}
		m.mu.Lock()
		m.position = m.cursor() - 1
		m.mu.Unlock()
		m.background.Go(func() { node.Run(m.ctx) })
		for _, seed := range seeds {
			m.work.Go(func() { m.requests(rand.New(rand.NewPCG(seed, 4))) })
		}
	})
	return m
}

func (m *member) cursor() uint64 {
	m.node.log.mu.Lock()
	defer m.node.log.mu.Unlock()
	return m.node.log.next
}

// requests does what the requests of a site do, one after the other.
func (m *member) requests(random *rand.Rand) {
	for time.Now().Before(m.world.ends) && m.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(m.ctx, time.Duration(1+random.Int64N(int64(time.Minute))))
		switch random.IntN(4) {
		case 0:
			m.append(ctx, random)
		case 1:
			m.catchUp(ctx)
		default:
			m.upload(ctx, random)
		}
		cancel()
		time.Sleep(time.Duration(random.Int64N(int64(3 * time.Second))))
	}
}

// append returns the number of an entry that it wrote, 0 if it does not know of
// any.
func (m *member) append(ctx context.Context, random *rand.Rand) (entry uint64) {
	var changes []Change
	m.mu.Lock()
	for range 1 + random.IntN(3) {
		m.appended++
		changes = append(changes, Change{Op: Put, Key: fmt.Sprintf("%s.%d", m.name, m.appended), Class: media.Public})
	}
	m.mu.Unlock()
	m.world.mu.Lock()
	for _, c := range changes {
		m.world.writers[c.Key] = m
	}
	m.world.mu.Unlock()
	if m.node.Append(ctx, changes...) != nil {
		return 0
	}
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	for _, c := range changes {
		at := m.world.positions[c.Key]
		if len(at) == 0 {
			m.world.t.Errorf("%s was acknowledged and is not in the log", c.Key)
			continue
		}
		entry = at[0]
	}
	return entry
}

func (m *member) catchUp(ctx context.Context) bool {
	m.world.mu.Lock()
	head := m.world.head
	m.world.mu.Unlock()
	if m.node.CatchUp(ctx) != nil {
		return false
	}
	if at := m.cursor() - 1; at < head {
		m.world.t.Errorf("%s has caught up to %d, but the log had %d entries at the call", m.name, at, head)
	}
	return true
}

func (m *member) upload(ctx context.Context, random *rand.Rand) {
	c := m.node.Claim()
	defer c.Release()
	for range 1 + random.IntN(3) {
		c.Add(m.world.names[random.IntN(len(m.world.names))])
		time.Sleep(time.Duration(random.Int64N(int64(100 * time.Millisecond))))
	}
	numbers := c.numbers()
	if !m.claim(ctx, c, numbers) {
		return
	}
	m.world.hold(c, numbers)
	defer m.world.unhold(c, numbers)
	held := time.Duration(random.Int64N(int64(time.Second)))
	if random.IntN(10) == 0 {
		held *= 20
	}
	time.Sleep(held)
	m.world.checkHolders()
	if random.IntN(2) == 0 {
		if entry := m.append(ctx, random); c.Held() {
			m.world.leave(numbers, entry)
		}
	}
}

// claim leases the names of c and catches up.
func (m *member) claim(ctx context.Context, c *Claim, numbers []uint16) bool {
	w := m.world
	w.mu.Lock()
	head := w.head
	w.mu.Unlock()
	if c.CatchUp(ctx) != nil {
		return false
	}
	at := m.cursor() - 1
	if at < head {
		w.t.Errorf("%s has caught up to %d, but the log had %d entries at the call", m.name, at, head)
	}
	if !c.Held() {
		return true // it took so long that others had the names since
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range numbers {
		if at < w.left[n] {
			w.t.Errorf("%s has slot %04x and is at %d, but a holder before it has written entry %d", m.name, n, at, w.left[n])
		}
	}
	return true
}

// leave notes the last entry that a holder of slots wrote.
func (w *world) leave(numbers []uint16, entry uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range numbers {
		w.left[n] = max(w.left[n], entry)
	}
}

func (c *Claim) numbers() (numbers []uint16) {
	c.leases.mu.Lock()
	defer c.leases.mu.Unlock()
	for _, s := range c.wants {
		numbers = append(numbers, s.number)
	}
	return numbers
}

func (w *world) hold(c *Claim, numbers []uint16) {
	w.mu.Lock()
	for _, n := range numbers {
		w.holders[n] = append(w.holders[n], c)
	}
	w.mu.Unlock()
	w.checkHolders()
}

func (w *world) unhold(c *Claim, numbers []uint16) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range numbers {
		w.holders[n] = slices.DeleteFunc(w.holders[n], func(other *Claim) bool { return other == c })
	}
}

func (w *world) checkHolders() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for number, claims := range w.holders {
		held := 0
		for _, c := range claims {
			if c.Held() {
				held++
			}
		}
		if held > 1 {
			w.t.Errorf("%d claims hold slot %04x", held, number)
		}
	}
}

// wrote notes an entry at the moment it comes into being. An entry below the
// trimmed log is none: nobody reads there.
func (w *world) wrote(key string, data []byte) {
	name, ok := strings.CutPrefix(key, "offload/log/")
	if !ok {
		return
	}
	number, ok := entryNumber(name)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, twice := w.written[number]; twice {
		return // trimmed: below the log
	}
	if number != w.head+1 {
		w.t.Errorf("entry %d was written when the log had %d", number, w.head)
		return
	}
	w.head = number
	e, _, err := decodeEntry(data)
	if err != nil {
		w.written[number] = written{}
		return
	}
	entry := written{writer: e.Writer}
	for _, c := range e.Changes {
		entry.keys = append(entry.keys, c.Key)
		w.positions[c.Key] = append(w.positions[c.Key], number)
	}
	w.written[number] = entry
}

// apply checks that a node was given the next entry that is not its own.
func (m *member) apply(changes []Change) {
	var keys []string
	for _, c := range changes {
		keys = append(keys, c.Key)
	}
	w := m.world
	w.mu.Lock()
	defer w.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	number := m.position + 1
	for number <= w.head && (w.written[number].writer == m.node.id || len(w.written[number].keys) == 0) {
		number++
	}
	if want := w.written[number].keys; !slices.Equal(keys, want) {
		w.t.Errorf("%s, at %d, was given %q, next in the log is %d: %q", m.name, m.position, keys, number, want)
	}
	m.position = number
}

func (m *member) lost() {
	at := m.cursor() - 1
	m.mu.Lock()
	defer m.mu.Unlock()
	m.jumps++
	m.position = at
}

// disturb does one thing to the world.
func (w *world) disturb() {
	m := w.members[w.random.IntN(len(w.members))]
	lasts := time.Duration(w.random.Int64N(int64(20 * time.Second)))
	switch w.random.IntN(9) {
	case 0:
		m.during(lasts, func(l *link) { l.cut = true }, func(l *link) { l.cut = false })
	case 1, 2:
		if w.random.IntN(4) == 0 {
			lasts *= 6
		}
		w.pause(m, lasts)
	case 3:
		w.crash(m)
	case 4:
		m.clock.set(time.Duration(w.random.Int64N(int64(2*time.Hour))) - time.Hour)
	case 5, 6:
		m.work.Go(func() { _ = m.node.log.trim(m.ctx) })
	case 7:
		m.during(lasts, func(l *link) { l.lost += 0.3 }, func(l *link) { l.lost -= 0.3 })
	case 8:
		w.intrude()
	}
}

// pause has a node stand still, now and then with its whole machine.
func (w *world) pause(m *member, lasts time.Duration) {
	if w.random.IntN(3) == 0 {
		m.clock.suspend()
	}
	goOn := make(chan struct{})
	m.during(lasts, func(l *link) {
		if l.paused == nil {
			l.paused = goOn
		}
	}, func(l *link) {
		m.clock.resume()
		if l.paused == goOn {
			l.paused = nil
		}
		close(goOn)
	})
}

func (m *member) during(lasts time.Duration, from, to func(*link)) {
	m.link.set(from)
	if until := time.Now().Add(lasts); until.After(m.world.calm) {
		m.world.calm = until
	}
	m.world.crashed.Go(func() {
		time.Sleep(lasts)
		m.link.set(to)
	})
}

// crash ends a node at once, so that nothing it sends from now on arrives, and
// starts another in its place.
func (w *world) crash(m *member) {
	m.link.set(func(l *link) { l.cut = true })
	w.crashed.Go(m.end)
	at := slices.Index(w.members, m)
	w.members[at] = w.start(at, int(w.random.Uint32()))
}

func (m *member) end() {
	m.stop()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_ = m.node.Close(ended)
	m.work.Wait()
	m.background.Wait()
}

// intrude writes what no node writes.
func (w *world) intrude() {
	junk := []string{"", "{}", "null", "[1,2", `{"v":1,"w":"0123456789012345","n":"0123456789012345","changes":[{"op":"put","key":"../../etc/passwd","class":"public"}]}`}
	data := fmt.Appendf(nil, "%s%*s", junk[w.random.IntN(len(junk))], w.random.IntN(10000), "")
	switch w.random.IntN(3) {
	case 0:
		_, _ = w.store.put("offload/log/README", data, putAnyway)
	case 1:
		_, _ = w.store.put(fmt.Sprintf("offload/lease/%04x", slotOf(w.names[0])), data, putAnyway)
	case 2:
		w.mu.Lock()
		number := w.head + 1
		w.mu.Unlock()
		_, _ = w.store.put("offload/log/"+entryName(number), data, putOnce)
	}
}

// heal ends all faults.
func (w *world) heal() {
	for _, m := range w.members {
		m.link.set(func(l *link) { l.cut, l.lost, l.slow = false, 0, 0 })
	}
	time.Sleep(time.Until(w.calm) + 10*time.Second) // pauses and slow requests end
	for _, m := range w.members {
		m.link.set(func(l *link) { l.cut, l.lost, l.slow = false, 0, 0 })
	}
}

func (w *world) checkEnd() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	var all sync.WaitGroup
	for _, m := range w.members {
		order := w.random.Perm(len(w.names))
		random := rand.New(rand.NewPCG(w.random.Uint64(), 6))
		all.Go(func() { w.checkAlive(ctx, m, order, random) })
	}
	all.Wait()
	for _, m := range w.members {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		m.catchUp(ctx)
		cancel()
		m.mu.Lock()
		for number := m.position + 1; number <= w.head; number++ {
			if e := w.written[number]; e.writer != m.node.id && len(e.keys) > 0 {
				w.t.Errorf("%s was never given entry %d", m.name, number)
			}
		}
		m.mu.Unlock()
	}
	for key, numbers := range w.positions {
		if m := w.writers[key]; len(numbers) != 1 && m.jumps == 0 {
			w.t.Errorf("%s stands in the log at %d", key, numbers)
		}
	}
	if w.random.IntN(4) == 0 {
		w.checkIdle()
	}
}

// checkAlive has a node do everything once, at the same time as all others.
func (w *world) checkAlive(ctx context.Context, m *member, order []int, random *rand.Rand) {
	soon, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if m.append(soon, random) == 0 || !m.catchUp(soon) {
		w.t.Errorf("%s cannot append or catch up though nothing hinders it: %s", m.name, m.node.describe())
	}
	c := m.node.Claim()
	defer c.Release()
	for _, i := range order {
		c.Add(w.names[i])
		time.Sleep(time.Duration(random.Int64N(int64(50 * time.Millisecond))))
	}
	if err := c.Wait(ctx); err != nil || !c.Held() {
		w.t.Errorf("%s cannot lease names though nothing hinders it: %v", m.name, err)
	}
}

// describe tells of the log what may be in the way of who waits for it.
func (n *Node) describe() string {
	stats, l := n.Stats(), &n.log
	l.mu.Lock()
	defer l.mu.Unlock()
	now := n.now()
	return fmt.Sprintf("next %d, synced %s ago, proved %s ago, doubted %t, following %t, waiters %d, read error %v; "+
		"flushing %t, pending %d, batch %+v, write error %v, round trip %s, rival %s ago, yielding %+v; %+v",
		l.next, atMost(l.synced, now), atMost(l.proved, now), l.doubted, l.following, len(l.waiters), l.readErr,
		l.flushing, len(l.pending), l.batch, l.writeErr, l.roundTrip, atLeast(l.rival, now), l.yielding, stats)
}

// checkIdle counts the requests of a minute in which nothing happens.
func (w *world) checkIdle() {
	time.Sleep(20 * time.Second)
	before := w.store.total()
	time.Sleep(time.Minute)
	if sent := w.store.total() - before; sent > len(w.members)*33 {
		w.t.Errorf("%d nodes sent %d requests in an idle minute", len(w.members), sent)
	}
}
