package lease

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

func (w *world) hold(c *Claim, numbers []uint16) {
	w.mu.Lock()
	for _, n := range numbers {
		w.holders[n] = append(w.holders[n], c)
	}
	w.mu.Unlock()
	w.checkHolders()
}

// holds is Held without a pause before.
func (c *Claim) holds() bool {
	c.leaser.mu.Mutex.Lock()
	defer c.leaser.mu.Unlock()
	return !c.ended() && c.complete()
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
			if c.holds() {
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
	number, err := strconv.ParseUint(name, 10, 64)
	if err != nil {
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
	w.grew = append(w.grew, time.Now())
	var entry written
	for _, key := range keysOf(data) {
		entry.writer = w.writers[key]
		entry.keys = append(entry.keys, key)
		w.positions[key] = append(w.positions[key], number)
	}
	w.written[number] = entry
}

// keysOf returns the keys of an entry's changes that a node can have written.
func keysOf(data []byte) (keys []string) {
	var e struct {
		V       int
		Changes []struct{ Key string }
	}
	if json.Unmarshal(data, &e) != nil || e.V != 1 {
		return nil
	}
	for _, c := range e.Changes {
		if media.CheckKey(c.Key) == nil {
			keys = append(keys, c.Key)
		}
	}
	return keys
}

// headAt is the last entry that was in the log at a time.
func (w *world) headAt(at time.Time) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := len(w.grew)
	for i > 0 && w.grew[i-1].After(at) {
		i--
	}
	return uint64(i)
}

func (w *world) checkEnd() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	var all sync.WaitGroup
	for _, m := range w.members {
		order := w.random.Perm(len(w.names))
		if len(w.members) < 4 {
			order = order[:min(2, len(order))]
		}
		random := rand.New(rand.NewPCG(w.random.Uint64(), 6))
		all.Go(func() { w.checkAlive(ctx, m, order, random) })
	}
	all.Wait()
	for _, m := range w.members {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		m.catchUp(ctx)
		cancel()
		w.mu.Lock()
		if next := m.next(); next <= w.head {
			w.t.Errorf("%s was never given entry %d", m.name, next)
		}
		w.mu.Unlock()
	}
	for key, numbers := range w.positions {
		if m := w.writers[key]; len(numbers) != 1 && m.jumps == 0 {
			w.t.Errorf("%s stands in the log at %d", key, numbers)
		}
	}
	if w.random.IntN(20) == 0 {
		w.checkIdle()
	}
}

// checkAlive has a node do everything once, at the same time as all others.
func (w *world) checkAlive(ctx context.Context, m *member, order []int, random *rand.Rand) {
	soon, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if m.append(soon, random) == 0 || !m.catchUp(soon) {
		w.t.Errorf("%s cannot append or catch up though nothing hinders it: %s", m.name, m.node.log)
	}
	c := m.node.Claim("")
	defer c.Release()
	for _, i := range order {
		c.Add(w.names[i])
		time.Sleep(time.Duration(random.Int64N(int64(50 * time.Millisecond))))
	}
	if err := c.Wait(ctx); err != nil || !c.Held() {
		w.t.Errorf("%s cannot lease names though nothing hinders it: %v", m.name, err)
	}
}

// checkIdle counts the requests of a minute in which nothing happens.
func (w *world) checkIdle() {
	time.Sleep(20 * time.Second)
	before := w.store.Requests()
	time.Sleep(time.Minute)
	most := len(w.members) * (int(time.Minute/w.poll) + 5)
	if w.poll > w.size.ttl {
		most *= 2 // after so long each look begins with a listing
	}
	if sent := w.store.Requests() - before; sent > most {
		w.t.Errorf("%d nodes sent %d requests in an idle minute", len(w.members), sent)
	}
}
