package rewrite

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strings"
	"sync/atomic"
)

const (
	// memorySets is how many sets of setSize pieces a Rewriter remembers at most.
	// It is a power of two.
	memorySets, setSize = 2 << 10, 2
	// maxPiece is the size in bytes of the largest piece that is remembered, as it
	// came and with what became of it: 16 MiB for all.
	maxPiece = 4 << 10
	editSize = 64 // bytes, about
)

// memory is of the tags and scripts with media in them that came before, and of
// what became of them. The pages of a site show the same pictures over and over,
// and to compare a tag with one that came before takes a third of what it takes
// to read it (BenchmarkPage, dense).
type memory struct {
	seed maphash.Seed
	sets [memorySets]struct {
		pieces [setSize]atomic.Pointer[piece]
		// seen is the hashes of pieces that came once: one is remembered when it
		// comes for the second time, so that those that never do cost no memory.
		seen [setSize]atomic.Uint64
	}
}

// piece is a tag or the content of a script element, and what becomes of it as
// long as nothing changes that it depends on. It is never changed.
type piece struct {
	text []byte
	// If each edit is carried out wherever none of the piece has left before it is
	// read, out is the piece after them, and replaced their number. Else there are
	// the edits themselves, by positions in text and repl.
	out      []byte
	replaced int
	edits    []edit
	repl     []byte
	how      reading
	site     site
	changes  uint64 // Config.Changes before anything was resolved
}

// reading is how a piece is read.
type reading struct {
	kind kind // noValue for a tag
	rel  relative
	// places is what the places of its URLs depend on besides its text: the key of
	// a script's use, or of what is around a tag.
	places uint16
}

// site is what a piece depends on of the page that it stands in, and of where there.
type site struct {
	scheme, host string
	asciiOnly    bool
	hashed       Context
}

// pieceInHand is a piece that was not found in the memory.
type pieceInHand struct {
	hash       uint64
	how        reading
	start, end int
	// Where the edits and replacements of it begin.
	first, firstRepl int
}

func newMemory() *memory { return &memory{seed: maphash.MakeSeed()} }

// beginMemory makes w ready to recall pieces of the page that begins.
func (w *Writer) beginMemory() {
	w.hand.end = 0
	if w.rw.memory == nil {
		return
	}
	w.changes = w.rw.changes()
	w.setSite()
}

// setSite takes note of what pieces depend on from here on.
func (w *Writer) setSite() {
	if s := (site{w.page.Scheme, w.pageHost, w.asciiOnly, w.hashed}); w.rw.memory != nil && s != w.site {
		w.site = site{strings.Clone(s.scheme), strings.Clone(s.host), s.asciiOnly, s.hashed} // no part of something larger
		w.siteHash = maphash.Comparable(w.rw.memory.seed, s)
	}
}

// remembers reports whether what becomes of a piece at depth depends on nothing
// but its text, Writer.site, and what Resolve knows. (A URL that depends on the
// page's path is noted in Writer.relative.)
func (w *Writer) remembers(depth int) bool {
	return w.rw.memory != nil && depth == 0 && w.base.own
}

// recall adds the edits of the piece src[start:end], if it is remembered. Else it
// takes note of it as the one in hand.
func (w *Writer) recall(src []byte, start, end int, how reading) bool {
	w.hand.end = 0
	text := src[start:end]
	if len(text) > min(maxPiece, w.rw.maxToken) || start < w.sent {
		return false
	}
	hash := maphash.Bytes(w.rw.memory.seed, text) ^ w.siteHash
	p := w.rw.memory.find(hash, text, how, w.site)
	if p == nil || p.changes != w.changes {
		w.hand = pieceInHand{hash, how, start, end, len(w.edits), len(w.repl)}
		w.relative = false
		return false
	}
	if p.out != nil {
		w.edits = append(w.edits, edit{start: start, end: end, literal: true, known: p})
		return true
	}
	at := len(w.repl)
	w.repl = append(w.repl, p.repl...)
	for i := range p.edits {
		w.edits = append(w.edits, p.edits[i].moved(start, at))
	}
	return true
}

// find returns what is remembered of a text, or nil.
func (m *memory) find(hash uint64, text []byte, how reading, s site) *piece {
	set := &m.sets[hash%memorySets]
	for i := range set.pieces {
		if p := set.pieces[i].Load(); p != nil && p.is(text, how, s) {
			return p
		}
	}
	return nil
}

func (p *piece) is(text []byte, how reading, s site) bool {
	return bytes.Equal(p.text, text) && p.how == how && p.site == s
}

// moved is an edit by other positions.
func (e edit) moved(by, replBy int) edit {
	e.start, e.end, e.from, e.to = e.start+by, e.end+by, e.from+replBy, e.to+replBy
	return e
}

// remember keeps what has become of the piece in hand, if that is src[start:end]
// and has come before.
func (w *Writer) remember(src []byte, start, end int) {
	h := w.hand
	if h.start != start || h.end != end || end == 0 {
		return
	}
	w.hand.end = 0
	edits, repl := w.edits[h.first:], w.repl[h.firstRepl:]
	size := end - start + len(repl) + len(edits)*editSize
	if w.relative || size > maxPiece || !w.rw.memory.cameBefore(h.hash) {
		return
	}
	p := &piece{
		text: bytes.Clone(src[start:end]), edits: slices.Clone(edits), repl: bytes.Clone(repl),
		how: h.how, site: w.site, changes: w.changes,
	}
	for i := range p.edits {
		e := &p.edits[i]
		e.literal = w.mayCarryOut(e) // that depends on the piece alone
		*e = e.moved(-start, -h.firstRepl)
	}
	if out := p.edited(); out != nil && len(p.text)+len(out) <= maxPiece {
		p.out, p.replaced, p.edits, p.repl = out, replacements(p.edits), nil, nil
	}
	w.rw.memory.add(h.hash, p)
}

// cameBefore reports whether a text of this hash came before, and takes note that
// it has.
func (m *memory) cameBefore(hash uint64) bool {
	seen := &m.sets[hash%memorySets].seen
	last := seen[0].Load()
	if last == hash || seen[1].Load() == hash {
		return true
	}
	seen[1].Store(last)
	seen[0].Store(hash)
	return false
}

// add puts a piece in the place of one of the same text or of the oldest one.
func (m *memory) add(hash uint64, p *piece) {
	pieces := &m.sets[hash%memorySets].pieces
	if last := pieces[0].Load(); last != nil && !last.is(p.text, p.how, p.site) {
		pieces[1].Store(last)
	}
	pieces[0].Store(p)
}

// replacements is how many URLs the edits replace.
func replacements(edits []edit) (n int) {
	for i := range edits {
		if !edits[i].joined {
			n++
		}
	}
	return n
}

// edited is the text of a piece after its edits, nil if there are none or one of
// them may not be carried out.
func (p *piece) edited() (out []byte) {
	done := 0
	for i := range p.edits {
		e := &p.edits[i]
		if e.start < done || !e.literal {
			return nil
		}
		out = append(append(out, p.text[done:e.start]...), p.repl[e.from:e.to]...)
		done = e.end
	}
	if out != nil {
		out = append(out, p.text[done:]...)
	}
	return out
}
