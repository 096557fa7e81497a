package lease

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// faultKinds is how many things disturb knows.
const faultKinds = 10

// disturb does one thing to the world.
func (w *world) disturb() {
	m := w.members[w.random.IntN(len(w.members))]
	lasts := time.Duration(w.random.Int64N(2 * int64(w.size.ttl)))
	switch w.faults[w.random.IntN(len(w.faults))] {
	case 0:
		m.during(lasts, func(w *buckettest.Way) { w.Cut = true }, func(w *buckettest.Way) { w.Cut = false })
	case 1, 2:
		if w.random.IntN(4) == 0 {
			lasts *= 6
		}
		w.pause(m, lasts)
	case 3:
		w.crash(m)
	case 4:
		m.clock.Set(time.Duration(w.random.Int64N(int64(2*time.Hour))) - time.Hour)
	case 5, 6:
		m.work.Go(func() { _ = m.node.log.Trim(m.ctx) })
	case 7:
		m.during(lasts, func(w *buckettest.Way) { w.Lost += 0.3 }, func(w *buckettest.Way) { w.Lost -= 0.3 })
	case 8:
		w.intrude()
	case 9:
		w.shut(m)
	}
}

// pause has a node stand still, now and then with its whole machine.
func (w *world) pause(m *member, lasts time.Duration) {
	if w.random.IntN(3) == 0 {
		m.clock.Suspend()
	}
	goOn := make(chan struct{})
	m.during(lasts, func(w *buckettest.Way) {
		if w.Paused == nil {
			w.Paused = goOn
		}
	}, func(w *buckettest.Way) {
		m.clock.Resume()
		if w.Paused == goOn {
			w.Paused = nil
		}
		close(goOn)
	})
}

func (m *member) during(lasts time.Duration, from, to func(*buckettest.Way)) {
	m.link.Set(from)
	m.world.disturbedFor(lasts)
	m.world.crashed.Go(func() {
		time.Sleep(lasts)
		m.link.Set(to)
	})
}

func (w *world) disturbedFor(lasts time.Duration) {
	if until := time.Now().Add(lasts); until.After(w.calm) {
		w.calm = until
	}
}

// crash ends a node at once, so that nothing it sends from now on arrives, and
// starts another in its place.
func (w *world) crash(m *member) {
	m.link.Set(func(w *buckettest.Way) { w.Cut = true })
	w.crashed.Go(m.end)
	w.replace(m)
}

// shut has a node end in peace, and starts another in its place.
func (w *world) shut(m *member) {
	lasts := 2 * w.size.ttl
	w.disturbedFor(lasts)
	w.crashed.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), lasts)
		defer cancel()
		_ = m.node.Close(ctx)
		m.end()
	})
	w.replace(m)
}

func (w *world) replace(m *member) {
	at := slices.Index(w.members, m)
	w.members[at] = w.start(at, int(w.random.Uint32()))
}

// intrude writes what no node writes.
func (w *world) intrude() {
	junk := []string{"", "{}", "null", "[1,2", `{"v":1,"w":"0123456789012345","n":"0123456789012345","changes":[{"op":"put","key":"../../etc/passwd","class":"public"}]}`}
	data := fmt.Appendf(nil, "%s%*s", junk[w.random.IntN(len(junk))], w.random.IntN(10000), "")
	switch w.random.IntN(3) {
	case 0:
		set(w.store, "offload/log/README", string(data))
	case 1:
		set(w.store, fmt.Sprintf("offload/lease/%04x", slotOf(w.names[0])), string(data))
	case 2:
		w.mu.Lock()
		number := w.head + 1
		w.mu.Unlock()
		_, _ = buckettest.PutText(context.Background(), w.store, fmt.Sprintf("offload/log/%020d", number), string(data), bucket.PutOptions{IfNoneMatch: true})
	}
}

// heal ends all faults.
func (w *world) heal() {
	end := func() {
		for _, m := range w.all {
			m.halting.end()
			m.link.Set(func(w *buckettest.Way) { w.Cut, w.Lost, w.Slow = false, 0, 0 })
			if late := m.link.Late(); late.After(w.calm) {
				w.calm = late
			}
		}
	}
	end()
	time.Sleep(time.Until(w.calm)) // pauses and slow requests end
	end()
}
