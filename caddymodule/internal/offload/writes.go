package offload

import "context"

// A change log tells that a bucket was put back to an older state. Where there is
// none, a number in the identity does: a node raises it at a look after it has
// written, and notes it on its disk. A bucket with a lower one is older. So is one
// that lacks what was stored since the last look (see health.Sample).

// raiseWrites raises the number if this node has written since it did, and the bucket has
// what it wrote.
func (e *Engine) raiseWrites(ctx context.Context) error {
	i := &e.identity
	wrote := e.count.committed.Load() + e.count.deleted.Load()
	i.mu.Lock()
	due, known := !i.older && i.counted != wrote, i.known.writes
	i.mu.Unlock()
	if !due || e.isGuest() {
		return nil
	}
	lacks, err := e.stored.Lost(ctx, e.store)
	if err != nil {
		return err
	}
	if lacks {
		e.lostStored()
		return nil
	}
	var raised uint64
	err = e.changeSite(ctx, func(f *siteFile) bool {
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
	e.stored.Reset()
	return nil
}

// lostStored notes that the bucket is in an older state.
func (e *Engine) lostStored() {
	i := &e.identity
	i.mu.Lock()
	i.older, i.putBack, i.known.doubted = true, true, true
	i.mu.Unlock()
	e.stored.Reset()
	e.sayOlder()
	e.doubt()
}

// seeWrites notes how much was written by nodes without a change log: none told of what
// it deleted. The caller holds mu.
func (i *identity) seeWrites(r *reconciler, writes uint64) {
	if writes > max(i.writes, i.known.writes) {
		r.blur(everything)
	}
	i.writes = writes
}

// sawWrites notes that a comparison has settled what was written until then.
func (i *identity) sawWrites(writes uint64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.known.writes = max(i.known.writes, writes)
}

func (i *identity) writesNow() uint64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.writes
}
