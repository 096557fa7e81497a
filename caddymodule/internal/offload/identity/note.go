package identity

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
)

// known is what this disk notes of its bucket.
type known struct {
	id, era  string // "" if it has none yet
	position uint64 // in the change log, that this node has come to
	writes   uint64 // of the identity: see raiseWrites
	// doubted: it was away, and has not been compared since, also by an earlier process.
	doubted bool
}

// adoptedEra stands for that of a bucket that was adopted, until it has all that is on
// disk: it differs from any, so that the next process goes on.
const adoptedEra = "AAAAAAAAAAAAAAAA"

// noteDoubted ends the note about a bucket that is doubted.
const noteDoubted = "doubted"

// noteOf and parseNote are what stands on a root.
func (g *Guard) noteOf(k known) string {
	note := fmt.Sprintf("1 %s %s %s %d", g.cfg.Binding, k.id, k.era, k.position)
	if k.writes > 0 {
		note += fmt.Sprintf(" %d", k.writes)
	}
	if k.doubted {
		note += " " + noteDoubted
	}
	return note
}

func (g *Guard) parseNote(s string) (k known, ok bool) {
	s, k.doubted = strings.CutSuffix(s, " "+noteDoubted)
	f := strings.Split(s, " ")
	if len(f) == 5 {
		f = append(f, "0")
	}
	if len(f) != 6 || f[0] != "1" || f[1] != g.cfg.Binding || !isToken(f[2]) || !isToken(f[3]) {
		return k, false
	}
	position, err1 := strconv.ParseUint(f[4], 10, 64)
	writes, err2 := strconv.ParseUint(f[5], 10, 64)
	k.id, k.era, k.position, k.writes = f[2], f[3], position, writes
	return k, err1 == nil && err2 == nil
}

// loadIdentity reads the notes, once. The caller holds mu.
func (g *Guard) loadIdentity() {
	i := &g.identity
	if i.loaded {
		return
	}
	i.loaded = true
	for _, t := range g.cfg.Roots {
		if k, ok := g.parseNote(t.DirNote("", local.AttrBucket)); ok && (i.known.id == "" || k.position > i.known.position || k.writes > i.known.writes) {
			i.known = k
		}
	}
	i.knew = i.known.id
}

// note keeps the notes on the roots up to date.
func (g *Guard) note() {
	i := &g.identity
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.known.id == "" {
		return
	}
	if position, ok := g.cfg.Node.Position(); ok && !i.older && i.away == nil {
		i.known.position = max(i.known.position, position)
	}
	note := g.noteOf(i.known)
	for _, t := range g.cfg.Roots {
		if i.noted == note && t.DirNote("", local.AttrBucket) == note {
			continue
		}
		if err := t.SetDirNote("", local.AttrBucket, note); err != nil {
			g.cfg.Log().Debug("noting which bucket the files are in", keyDir, t.Dir(), keyError, err)
		}
	}
	i.noted = note
}

// PositionBefore is the position of an earlier process of this node, from which on
// the change log tells what others did meanwhile; 0 if it had none, or the bucket was put
// back, so that its log may be another one. behind: if the log does not go on from there,
// that is because this node was away for long, or ended before its place was noted.
func (g *Guard) PositionBefore() (position uint64, behind bool) {
	i := &g.identity
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.putBack {
		return 0, false
	}
	return i.known.position, i.knew != ""
}
