package identity

import "context"

// A change log tells that a bucket was put back to an older state. Where there is
// none, a number in the identity does: a node raises it at a look after it has
// written, and notes it on its disk. A bucket with a lower one is older. So is one
// that lacks what was stored since the last look (see health.Sample).

// raiseWrites raises the number if this node has written since it did, and the bucket has
// what it wrote.
func (g *Guard) raiseWrites(ctx context.Context) error {
	i := &g.identity
	i.raising.Lock() // once for what was written
	defer i.raising.Unlock()
	wrote := g.cfg.Node.Written()
	i.mu.Lock()
	due, known := !i.older && i.counted != wrote, i.known.writes
	i.mu.Unlock()
	if !due || g.IsGuest() {
		return nil
	}
	lacks, err := g.stored.Lost(ctx, g.Store())
	if err != nil {
		return err
	}
	if lacks {
		g.lostStored()
		return nil
	}
	var raised uint64
	err = g.changeSite(ctx, func(f *File) bool {
		if raised = 0; f.Writes < known {
			return false // it was put back just now: the next look sees that
		}
		f.Writes++
		raised = f.Writes
		return true
	})
	if err != nil || raised == 0 {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.known.writes, i.counted = raised, wrote
	g.stored.Reset()
	return nil
}

// lostStored notes that the bucket is in an older state.
func (g *Guard) lostStored() {
	i := &g.identity
	i.mu.Lock()
	i.older, i.putBack, i.known.doubted = true, true, true
	i.mu.Unlock()
	g.stored.Reset()
	g.sayOlder()
	g.cfg.Node.Doubt()
}

// seeWrites notes how much was written by nodes without a change log: none told of what
// it deleted. The caller holds mu.
func (g *Guard) seeWrites(writes uint64) {
	i := &g.identity
	if writes > max(i.writes, i.known.writes) {
		g.cfg.Node.Blur()
	}
	i.writes = writes
}

// SawWrites notes that a comparison has settled what was written until then.
func (g *Guard) SawWrites(writes uint64) {
	i := &g.identity
	i.mu.Lock()
	defer i.mu.Unlock()
	i.known.writes = max(i.known.writes, writes)
}

// Writes is how much was written, as far as is known, by nodes without a change log.
func (g *Guard) Writes() uint64 {
	i := &g.identity
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.writes
}
