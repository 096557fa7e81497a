package web

import (
	"hash/maphash"
	"sync/atomic"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/rewrite"
)

// resolve is rewrite's resolver: the public URL of a media URL, if its object
// is committed and it may move there. It answers from memory and local disk alone.
//
// (Promise 3: "A URL whose object is not known to be committed stays as it
// is; the local URL always works.")
func (h *Handler) resolve(dst []byte, m rewrite.Match) ([]byte, bool) {
	return h.resolveIn(dst, m, false)
}

// resolveIsolated is resolve for pages that require Cross-Origin-Resource-Policy.
func (h *Handler) resolveIsolated(dst []byte, m rewrite.Match) ([]byte, bool) {
	return h.resolveIn(dst, m, true)
}

func (h *Handler) resolveIn(dst []byte, m rewrite.Match, isolated bool) ([]byte, bool) {
	if m.Place == rewrite.AtHome {
		return dst, false
	}
	changes := h.config.Engine.Changes() // before Public is asked: a change may come after
	start := len(dst)
	dst, place, ok := h.resolved.append(dst, m, changes)
	if !ok {
		if dst, place, ok = h.lookUp(dst, m); !ok {
			return dst, false
		}
		h.resolved.add(m, dst[start:], place, changes)
	}
	if !h.moves(place, m, dst[start:], isolated) {
		return dst[:start], false
	}
	return dst, true
}

// moves reports whether a file, which asks for a place by what is in it, may come
// from its public URL where m is, so that no browser sees a difference.
func (h *Handler) moves(place media.Place, m rewrite.Match, public []byte, isolated bool) bool {
	if place.AtHome() || !h.config.Public.NamesReadable(m.Page, place, public) {
		return false
	}
	// What is allowed by CORS must be allowed without as well, as a script that takes up a
	// URL may fetch it or give it to an element.
	if m.Place == rewrite.WithCORS && !h.config.Public.Readable(m.Page, m.Raw, public) {
		return false
	}
	return h.config.Public.Embeddable(m.Page, public, isolated)
}

// changes is a number that is another one after each change of what resolve answers.
func (h *Handler) changes() uint64 {
	return h.config.Engine.Changes() + h.config.Public.Changes() // both only grow
}

// lookUp asks the engine for what resolve returns, whatever the place in the page,
// and for the place that the file's own content asks for.
func (h *Handler) lookUp(dst []byte, m rewrite.Match) ([]byte, media.Place, bool) {
	var buf [256]byte
	key, ok := h.site.AppendKey(buf[:0], m.Prefix, m.Raw)
	if !ok {
		return dst, 0, false
	}
	etag, place, ok := h.config.Engine.Public(key)
	if !ok {
		return dst, 0, false
	}
	dst = appendPublicURL(dst, h.config.PublicURL, key)
	if h.config.URLVersion && hasVersion(key) {
		dst = appendVersion(dst, etag)
	}
	return dst, place, true
}

// appendPublicURL appends the URL of a key below the public URL.
func appendPublicURL[T string | []byte](dst []byte, public string, key T) []byte {
	return media.EscapeKey(append(dst, public...), key)
}

const (
	// resolvedSlots is how many public URLs are remembered at most: some 4 MB of
	// them. It is a power of two, and large so that few share a slot.
	resolvedSlots = 16 << 10
	// maxResolved is the size in bytes of the longest one that is, with the URL
	// that it stands for.
	maxResolved = 512
)

// resolvedURLs remembers what media URLs were resolved to, for as long as the
// engine knows nothing else: most pages of a site name the same files.
// BenchmarkResolve takes a third of the time with it, as no lock is taken.
type resolvedURLs struct {
	seed  maphash.Seed
	slots [resolvedSlots]atomic.Pointer[resolvedURL]
}

// resolvedURL is never changed.
type resolvedURL struct {
	changes uint64 // Engine.Changes when it was right
	prefix  int
	place   media.Place // that the file's content asks for
	raw     int         // where raw ends in text
	text    []byte      // what follows the prefix, as it stands in pages, and the public URL
}

func newResolvedURLs() *resolvedURLs { return &resolvedURLs{seed: maphash.MakeSeed()} }

func (c *resolvedURLs) slot(raw []byte) *atomic.Pointer[resolvedURL] {
	return &c.slots[maphash.Bytes(c.seed, raw)%resolvedSlots]
}

// append appends the public URL of m to dst, if it is remembered.
func (c *resolvedURLs) append(dst []byte, m rewrite.Match, changes uint64) ([]byte, media.Place, bool) {
	u := c.slot(m.Raw).Load()
	if u == nil || u.changes != changes || u.prefix != m.Prefix || string(u.text[:u.raw]) != string(m.Raw) {
		return dst, 0, false
	}
	return append(dst, u.text[u.raw:]...), u.place, true
}

// add remembers the public URL of m.
func (c *resolvedURLs) add(m rewrite.Match, url []byte, place media.Place, changes uint64) {
	size := len(m.Raw) + len(url)
	if size > maxResolved {
		return
	}
	text := append(append(make([]byte, 0, size), m.Raw...), url...)
	c.slot(m.Raw).Store(&resolvedURL{changes: changes, prefix: m.Prefix, place: place, raw: len(m.Raw), text: text})
}
