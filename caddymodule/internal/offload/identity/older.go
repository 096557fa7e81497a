package identity

import (
	"context"
	"crypto/rand"
	"fmt"
)

// CheckState looks whether the bucket is the right one, and not an older state of
// it.
func (g *Guard) CheckState(ctx context.Context) error {
	if err := g.Check(ctx); err != nil {
		return err
	}
	alone, log := g.cfg.Node.Nodes()
	if alone {
		return g.raiseWrites(ctx)
	}
	if log == nil {
		return nil // not known yet
	}
	i := &g.identity
	i.mu.Lock()
	position, told := max(i.known.position, log.Stats().Position), i.rewound
	i.mu.Unlock()
	if told {
		return nil
	}
	goesOn, err := log.Continues(ctx, position)
	if err != nil || goesOn {
		return err
	}
	return g.foundOlder(ctx)
}

// foundOlder notes that the bucket is in an older state, and lets the other nodes
// know.
func (g *Guard) foundOlder(ctx context.Context) error {
	i := &g.identity
	i.mu.Lock()
	i.older, i.rewound, i.putBack = true, true, true
	era := i.era
	i.mu.Unlock()
	g.sayOlder()
	if err := g.beginEra(ctx, era); err != nil {
		g.cfg.Log().Warn("other servers could not be told that the bucket is in an older state", keyError, err)
	}
	g.recheck()
	g.cfg.Node.Doubt()
	return nil
}

// beginEra replaces an era, unless another node did.
func (g *Guard) beginEra(ctx context.Context, old string) error {
	return g.changeSite(ctx, func(f *File) bool {
		if f.Era != old {
			return false
		}
		f.Era = rand.Text()
		return true
	})
}

// Older reports whether the bucket is in an older state than this disk knows, and whether
// it may be older than the files: it was put back to that, and was not only away.
func (g *Guard) Older() (older, putBack bool) {
	g.identity.mu.Lock()
	defer g.identity.mu.Unlock()
	return g.identity.older || g.identity.putBack, g.identity.putBack
}

// caughtUp notes that all was compared with the older state.
func (g *Guard) caughtUp(ctx context.Context) error {
	data, _, err := g.readSite(ctx)
	if err != nil {
		return fmt.Errorf("looking at the bucket's identity: %w", err)
	}
	f, err := ParseFile(data)
	if err != nil {
		return fmt.Errorf("reading the bucket's identity: %w", err)
	}
	i := &g.identity
	i.mu.Lock()
	defer i.mu.Unlock()
	if f.ID == i.known.id {
		i.older, i.rewound, i.putBack, i.known.doubted = false, false, false, false
		i.known.era, i.known.position, i.known.writes = f.Era, g.newest(), f.Writes
	}
	return nil
}

// compareAgain asks for the next comparison with an older state when what the last
// one found has been stored: only one that finds nothing ends it, since a kill
// forgets the queue.
func (g *Guard) compareAgain() {
	g.identity.mu.Lock()
	due := g.identity.again && g.cfg.Node.IsIdle()
	if due {
		g.identity.again = false
	}
	g.identity.mu.Unlock()
	if due {
		g.cfg.Node.Compare()
	}
}

// Compared notes the end of a comparison with an older state that found lost files.
func (g *Guard) Compared(ctx context.Context, lost int) error {
	if lost == 0 {
		return g.caughtUp(ctx)
	}
	g.identity.mu.Lock()
	defer g.identity.mu.Unlock()
	g.identity.again = true
	return nil
}
