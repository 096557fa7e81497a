package lease

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/clock/clocktest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// member is a node with what it was told and what its requests do.
type member struct {
	world      *world
	name       string
	node       *node
	link       *buckettest.Link
	clock      *clocktest.Clock
	work       sync.WaitGroup
	background sync.WaitGroup
	stop       context.CancelFunc
	ctx        context.Context

	halting halting

	mu       sync.Mutex
	position uint64 // of the last entry that it was given or told to have missed
	lostAt   uint64 // position when it was last told so
	jumps    int
	appended int
}

// start brings a node up that takes part until it is ended.
func (w *world) start(i, life int) *member {
	m := &member{
		world: w, name: fmt.Sprintf("node%d-%d", i, life),
		clock: clocktest.New(time.Now().Add(-time.Hour), 0.97+0.06*w.random.Float64(),
			time.Duration(w.random.Int64N(int64(2*time.Hour)))-time.Hour),
		halting: halting{random: rand.New(rand.NewPCG(w.random.Uint64(), 7)), share: w.halts, longest: time.Second},
	}
	w.all = append(w.all, m)
	way := buckettest.Way{Latency: time.Duration(1+w.random.IntN(60)) * time.Millisecond, Grain: w.grain}
	if w.quiet {
		m.halting.longest = 100 * time.Millisecond
	}
	if w.random.IntN(3) == 0 && !w.quiet {
		way.Lost = w.random.Float64() / 5
	}
	if w.random.IntN(5) == 0 && !w.quiet {
		way.Slow, way.Slowest = 0.02, 12*w.size.ttl
	}
	m.link = buckettest.NewLink(w.store, rand.New(rand.NewPCG(w.random.Uint64(), 2)), way)
	random := rand.New(rand.NewPCG(w.random.Uint64(), 3))
	var lock sync.Mutex
	draw := func(n int64) int64 {
		lock.Lock()
		defer lock.Unlock()
		return random.Int64N(n)
	}
	node, err := newNode(Config{
		Store: m.link, Prefix: "offload/", TTL: w.size.ttl, ClaimsPerClient: 1, random: draw, beforeLock: m.preempt,
	}, changelog.Config{
		Apply: m.apply, Lost: m.lost, Poll: w.poll,
		Testing: changelog.Testing{
			KeepEntries: 4, KeepAge: w.size.ttl * 3 / 2, Fresh: w.size.ttl * 8 / 10,
			Clock: m.clock.Now, Random: draw, BeforeLock: m.preempt,
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	m.node = node
	m.ctx, m.stop = context.WithCancel(context.Background())
	seeds := make([]uint64, w.size.requests)
	for i := range seeds {
		seeds[i] = w.random.Uint64()
	}
	m.work.Go(func() {
		for {
			if _, err := node.log.Join(m.ctx, 0); err == nil {
				break
			}
			if m.ctx.Err() != nil {
				return
			}
			time.Sleep(time.Second)
		}
		position := node.log.Stats().Position
		m.mu.Lock()
		m.position = position
		m.mu.Unlock()
		m.background.Go(func() { node.log.Run(m.ctx) })
		for _, seed := range seeds {
			m.work.Go(func() { m.requests(rand.New(rand.NewPCG(seed, 4))) })
		}
	})
	return m
}

// preempt has a goroutine of the node stand for a moment before it locks: long if
// the whole node stands still.
func (m *member) preempt() {
	// Time would stand still if it slept with a lock.
	if !m.node.mu.TryLock() {
		return
	}
	m.node.mu.Unlock()
	m.link.Stand()
	time.Sleep(m.halting.draw())
}

// halting is how goroutines of a node stand still, so that they meet between two steps.
type halting struct {
	mu      sync.Mutex
	random  *rand.Rand
	share   float64       // of locks before which one does
	longest time.Duration // how long at most
}

// draw returns how long a goroutine is to stand still.
func (h *halting) draw() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.share == 0 || h.random.Float64() >= h.share {
		return 0
	}
	return time.Duration(h.random.Int64N(int64(h.longest) >> h.random.IntN(8)))
}

func (h *halting) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.share = 0
}

// requests does what the requests of a site do, one after the other.
func (m *member) requests(random *rand.Rand) {
	for time.Now().Before(m.world.ends) && m.ctx.Err() == nil {
		patience := 6 * m.world.size.ttl
		if random.IntN(3) == 0 {
			patience = m.world.size.ttl
		}
		ctx, cancel := context.WithTimeout(m.ctx, time.Duration(1+random.Int64N(int64(patience))))
		switch random.IntN(4) {
		case 0:
			m.append(ctx, random)
		case 1:
			m.catchUp(ctx)
		default:
			m.upload(ctx, random)
		}
		cancel()
		time.Sleep(m.world.below(random, 3*time.Second>>(5*random.IntN(2))))
	}
}

// append returns the number of an entry that it wrote, 0 if it does not know of
// any.
func (m *member) append(ctx context.Context, random *rand.Rand) (entry uint64) {
	var changes []changelog.Change
	m.mu.Lock()
	for range 1 + random.IntN(3) {
		m.appended++
		changes = append(changes, changelog.Change{Op: changelog.Put, Key: fmt.Sprintf("%s.%d", m.name, m.appended), Class: media.Public})
	}
	m.mu.Unlock()
	m.world.mu.Lock()
	for _, c := range changes {
		m.world.writers[c.Key] = m
	}
	m.world.mu.Unlock()
	if m.node.append(ctx, changes...) != nil {
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
	if m.node.log.CatchUp(ctx) != nil {
		return false
	}
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	if next := m.next(); next <= head {
		m.world.t.Errorf("%s has caught up and was not given entry %d, but the log had %d at the call", m.name, next, head)
	}
	return true
}

func (m *member) upload(ctx context.Context, random *rand.Rand) {
	c := m.node.Claim([]string{"", "a", "b"}[random.IntN(3)])
	defer c.Release()
	known := &known{world: m.world}
	m.addNames(c, random, known)
	numbers := c.numbers()
	if random.IntN(4) == 0 {
		m.awaitTurn(ctx, c, random)
	}
	if !m.claim(ctx, c, numbers, known) {
		return
	}
	if random.IntN(8) == 0 { // the request is too slow
		c.Rest()
		time.Sleep(m.world.below(random, 3*time.Second))
		known.head, known.looked = 0, false
		if !m.claim(ctx, c, numbers, known) {
			return
		}
	}
	m.world.hold(c, numbers)
	defer m.world.unhold(c, numbers)
	held := m.world.below(random, time.Second)
	if random.IntN(10) == 0 {
		held = m.world.below(random, 2*m.world.size.ttl)
	}
	time.Sleep(held)
	m.world.checkHolders()
	if m.world.quiet && !c.Held() {
		m.world.t.Errorf("%s has lost a name though nothing hinders it", m.name)
	}
	if random.IntN(2) == 0 {
		if entry := m.append(ctx, random); c.Held() {
			m.world.leave(numbers, entry)
		}
	}
}

// awaitTurn waits as a request does that is not all there, which then takes a while.
func (m *member) awaitTurn(ctx context.Context, c *Claim, random *rand.Rand) {
	m.world.wait(c, m)
	err := c.Turn(ctx)
	m.world.unwait(c)
	if err != nil {
		return
	}
	time.Sleep(m.world.below(random, 2*turn))
	c.Soon()
	time.Sleep(m.world.below(random, turn))
}

// known is what a claim must have been given when it has caught up.
type known struct {
	world  *world
	looked bool
	head   uint64 // of the log when Look was called
}

// look has a claim look ahead.
func (k *known) look(c *Claim) {
	if !k.looked {
		k.looked, k.head = true, k.world.headAt(time.Now())
	}
	c.Look()
}

// now is the last entry that a CatchUp that is called now must bring.
func (k *known) now() uint64 {
	if !k.looked {
		return k.world.headAt(time.Now())
	}
	return max(k.head, k.world.headAt(time.Now().Add(-maxLookAge*11/10))) // clocks run at different speed
}

// addNames has a claim want a few names one after the other, or, as an upload of a
// picture with all its sizes does, all at once. Mostly it looks ahead.
func (m *member) addNames(c *Claim, random *rand.Rand, known *known) {
	names := m.world.names
	if random.IntN(4) > 0 {
		defer func() {
			known.look(c)
			if random.IntN(2) == 0 {
				time.Sleep(m.world.below(random, 2*maxLookAge))
			}
		}()
	}
	if random.IntN(3) == 0 {
		for _, at := range random.Perm(len(names)) {
			c.Add(names[at])
		}
		return
	}
	for range 1 + random.IntN(3) {
		c.Add(names[random.IntN(len(names))])
		time.Sleep(m.world.below(random, 100*time.Millisecond))
	}
}

// claim leases the names of c and catches up.
func (m *member) claim(ctx context.Context, c *Claim, numbers []uint16, known *known) bool {
	w := m.world
	head := known.now()
	w.wait(c, m)
	err := c.CatchUp(ctx)
	w.unwait(c)
	if err != nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	next := m.next()
	if next <= head {
		w.t.Errorf("%s has caught up and was not given entry %d, but the log had %d at the call", m.name, next, head)
	}
	if !c.holds() {
		return true // it took so long that others had the names since
	}
	for _, n := range numbers {
		if next <= w.left[n] {
			w.t.Errorf("%s has slot %04x and was not given entry %d, but a holder before it has written entry %d", m.name, n, next, w.left[n])
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
	c.leaser.mu.Lock()
	defer c.leaser.mu.Unlock()
	for _, s := range c.wants {
		numbers = append(numbers, s.number)
	}
	return numbers
}

// next returns the number of the first entry that the node has yet to be given, if
// it is in the log. The caller holds the world's mu.
func (m *member) next() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := m.world
	for m.position < w.head {
		if e := w.written[m.position+1]; e.writer != m && len(e.keys) > 0 {
			break
		}
		m.position++
	}
	return m.position + 1
}

// apply checks that a node was given the next entry that is not its own.
func (m *member) apply(changes []changelog.Change) {
	var keys []string
	for _, c := range changes {
		keys = append(keys, c.Key)
	}
	w := m.world
	w.mu.Lock()
	defer w.mu.Unlock()
	number := m.next()
	m.mu.Lock()
	defer m.mu.Unlock()
	if want := w.written[number].keys; !slices.Equal(keys, want) {
		// It may stand in the log twice, so that its first place alone says nothing.
		if at := w.positions[keys[0]]; len(at) > 0 && at[0] <= m.lostAt {
			return // it is compared anyway
		}
		w.t.Errorf("%s was given %q, next in the log is %d: %q", m.name, keys, number, want)
	}
	m.position = number
}

// lost notes that a node compares with all there is in the bucket now.
func (m *member) lost() {
	w := m.world
	w.mu.Lock()
	defer w.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.jumps++
	m.position, m.lostAt = w.head, w.head
}

func (m *member) end() {
	m.stop()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_ = m.node.Close(ended)
	m.work.Wait()
	m.background.Wait()
}
