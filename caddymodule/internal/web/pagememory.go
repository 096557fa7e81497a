package web

import (
	"bytes"
	"hash/maphash"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/media-offload/caddy-media-offload/rewrite"
)

const (
	// rememberedBytes bounds the pages that one handler remembers, as they came
	// and as they left, together.
	rememberedBytes = 16 << 20
	// rememberedPages bounds their number.
	rememberedPages = 4 << 10
	// seenPages is of how many pages the hash is kept of which nothing else is.
	seenPages = 4 << 10
	// A page's key is made of so many pieces of it, of so many bytes.
	keyPieces, keyPiece = 64, 32
)

// pageMemory remembers pages as they came from the app and what was made of
// them, for as long as the engine knows nothing else. Where a cache stands in or
// before the app, most pages come more than once; to compare one with what came
// before takes a fraction of what it takes to read it (BenchmarkChain).
//
// A page is remembered when it comes for the second time, so that those which
// are different each time cost no memory, and but now and then a hash.
type pageMemory struct {
	seed    maphash.Seed
	changes func() uint64 // Engine.Changes

	mu    sync.Mutex
	seen  [seenPages]seenPage // by the last bits of their keys
	pages *simplelru.LRU[uint64, *rememberedPage]
	size  int // of all pages, in bytes
}

// seenPage is a page that came and is not remembered.
type seenPage struct {
	key, hash uint64
	// Of so many of its key not even the hash is taken next. While each is another,
	// as with a number for each visit in it, that grows up to maxUnhashed.
	unhashed, wait uint8
}

// maxUnhashed is how many times a page comes as it was at most before it is seen
// that it does not change any more.
const maxUnhashed = 15

// rememberedPage is never changed.
type rememberedPage struct {
	info    rewrite.Page
	changes uint64 // as they were when it was right
	in, out []byte // out is nil if it is the same
	sum     uint64 // of out
}

func newPageMemory(changes func() uint64) *pageMemory {
	m := &pageMemory{seed: maphash.MakeSeed(), changes: changes}
	pages, err := simplelru.NewLRU(rememberedPages, func(_ uint64, p *rememberedPage) { m.size -= p.size() })
	if err != nil {
		panic(err) // only for a size below 1
	}
	m.pages = pages
	return m
}

func (p *rememberedPage) size() int {
	return len(p.in) + len(p.out) + len(p.info.ContentType) + len(p.info.Host) + len(p.info.Path)
}

// key is under what a page is remembered: most pages that differ have different
// ones.
func (m *pageMemory) key(info *rewrite.Page, in []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(m.seed)
	for i, step := 0, max(len(in)/keyPieces, keyPiece); i < len(in); i += step {
		_, _ = h.Write(in[i:min(i+keyPiece, len(in))]) // never fails
	}
	return h.Sum64() ^ maphash.Comparable(m.seed, len(in)) ^ maphash.Comparable(m.seed, *info)
}

// find returns what is remembered of a page, or nil.
func (m *pageMemory) find(key uint64, info *rewrite.Page, in []byte, changes uint64) *rememberedPage {
	m.mu.Lock()
	p, ok := m.pages.Get(key)
	m.mu.Unlock()
	if !ok || p.changes != changes || !p.is(info, in) {
		return nil
	}
	return p
}

func (p *rememberedPage) is(info *rewrite.Page, in []byte) bool {
	return p.info == *info && bytes.Equal(p.in, in)
}

// note takes note of a page that was not found and, if it came before, remembers
// it and what was made of it: out, or nil for the same.
func (m *pageMemory) note(key uint64, info *rewrite.Page, in, out []byte, changes uint64) {
	if !m.cameBefore(key, info, in) {
		return
	}
	p := &rememberedPage{changes: changes, in: bytes.Clone(in), out: bytes.Clone(out)}
	if out != nil {
		p.sum = xxhash.Sum64(out)
	}
	p.info = *info
	for _, s := range []*string{&p.info.ContentType, &p.info.Scheme, &p.info.Host, &p.info.Path} {
		*s = strings.Clone(*s) // no part of something larger
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pages.Remove(key) // another page, or one that is out of date
	m.pages.Add(key, p)
	m.size += p.size()
	for m.size > rememberedBytes {
		m.pages.RemoveOldest()
	}
}

// cameBefore reports whether a page came before, and if not takes note that it
// has come.
func (m *pageMemory) cameBefore(key uint64, info *rewrite.Page, in []byte) bool {
	m.mu.Lock()
	p, _ := m.pages.Peek(key)
	m.mu.Unlock()
	if p != nil && p.is(info, in) {
		return true // it is out of date
	}
	if !m.worthHashing(key) {
		return false
	}
	hash := maphash.Bytes(m.seed, in)
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &m.seen[key%seenPages]
	switch {
	case s.key != key:
		*s = seenPage{key: key, hash: hash}
	case s.hash == hash:
		*s = seenPage{} // two that take turns are not remembered by turns
		return true
	default:
		s.hash, s.wait = hash, min(2*s.wait+1, maxUnhashed)
		s.unhashed = s.wait
	}
	return false
}

// worthHashing reports whether the page of a key may be one that came before.
func (m *pageMemory) worthHashing(key uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &m.seen[key%seenPages]
	if s.key != key || s.unhashed == 0 {
		return true
	}
	s.unhashed--
	return false
}
