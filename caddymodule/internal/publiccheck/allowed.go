package publiccheck

import (
	"log/slog"
	"maps"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/rewrite"
	"golang.org/x/net/publicsuffix"
)

// Whether the public URL lets the site's pages use its files is mostly the
// bucket's or CDN's to say, by the header of its answers. What it was seen to
// allow is kept for each origin that pages have and each ending of file names,
// since rules are often for fonts alone. It is asked (corscheck.go) when the first
// page refers to such a file, and again now and then; no page waits for that.
//
// (Promise 4: "a URL moves to the public host only where that makes no difference
// to a browser: never where only the page's own origin will do, with CORS only once
// the public host was seen to allow it".)

const (
	// maxOrigins is for how many origins something is kept, and maxKinds for how
	// many pairs of an origin and an ending. A client can make up more of both.
	maxOrigins, maxKinds = 32, 32 * 16
	// idleOrigin is how long no page of an origin was served when another one may
	// take its place.
	idleOrigin = 10 * time.Minute
	// The public URL is asked again after so long: as long as something is not
	// allowed, sooner.
	askAgain, askAgainSoon = 10 * time.Minute, time.Minute
	// maxHost is the longest host of which something is kept.
	maxHost = 255
)

// embedding says whether pages may embed the public URL's files in no-cors mode, by
// Cross-Origin-Resource-Policy (Fetch standard, 3.7).
type embedding uint8

const (
	embedUnknown   embedding = iota // no answer
	embedAllowed                    // a page that requires the header may, too
	embedUnsaid                     // without the header: all pages but those
	embedForbidden                  // no page of this origin
)

// Check is what is known of a public URL. A nil one has seen nothing.
type Check struct {
	*asker
	public   *url.URL
	origin   string // of public
	cors     CORS
	count    *Count
	log      *slog.Logger
	now      func() time.Time // tests have a clock of their own
	exposure exposure

	changes    atomic.Uint64 // grows with each change of what is allowed
	forbidding atomic.Int32  // how many origins may not embed anything

	// sample is the public URL of a file that a page refers to, or nil.
	sample atomic.Pointer[string]

	origins atomic.Pointer[map[pageOrigin]*view] // the map is never changed
	mu      sync.Mutex                           // serialises changes
	kinds   int                                  // of all origins
}

// pageOrigin is the origin of pages, as rewrite.Page has it.
type pageOrigin struct{ scheme, host string }

// view is what is known for the pages of one origin.
type view struct {
	origin string // as a browser sends it
	own    bool   // it is that of the public URL: nothing has to be allowed

	kinds    atomic.Pointer[map[string]*kind] // by ending; the map is never changed
	embed    atomic.Uint32                    // the embedding that all answers together allow
	isolated atomic.Bool                      // a page of it required Cross-Origin-Resource-Policy
	used     atomic.Int64                     // when a page of it was served last

	// Serialised by Check.mu.
	removed bool // another has its place
	told    map[complaint]bool
}

// kind is the files of one ending.
type kind struct {
	ending string
	object atomic.Pointer[string] // the public URL of one, or of a file that names one, to ask for
	asked  atomic.Bool            // about that: the next question should be about another
	wanted atomic.Bool            // a page refers to one where CORS is needed
	cors   atomic.Bool            // it was seen to be allowed
	due    atomic.Int64           // when it is to be asked for

	// Serialised by Check.mu.
	embed   embedding
	asking  bool
	problem problem
}

// browserOrigin is an origin as browsers write it (HTML standard, "serialization of
// an origin"): in lower case, and without the port that the scheme has.
func browserOrigin(scheme, host string) string {
	host = strings.ToLower(host)
	if port := map[string]string{"http": ":80", "https": ":443"}[scheme]; port != "" {
		host = strings.TrimSuffix(host, port)
	}
	return scheme + "://" + host
}

// Readable reports whether pages may use a file where CORS is needed. raw is the
// file's path as it stands in the page, public its public URL.
func (c *Check) Readable(p *rewrite.Page, raw, public []byte) bool {
	return c.allows(p, media.Ending(raw), public)
}

// allows reports whether pages may use files with an ending where CORS is needed.
// public is the public URL of one of them, or of a file that names one.
// The first time it is not known, and will be asked for.
func (c *Check) allows(p *rewrite.Page, ending, public []byte) bool {
	switch {
	case c == nil || c.cors == Refuse:
		return false
	case c.cors == Allow:
		return true
	}
	v := c.view(p)
	if v != nil && v.own {
		return true
	}
	k := v.kind(ending)
	if k == nil {
		if v, k = c.note(p, string(ending), string(public)); k == nil {
			return v != nil && v.own
		}
	}
	k.refers(public)
	if !k.wanted.Load() {
		k.wanted.Store(true)
		k.due.Store(0)
	}
	return k.cors.Load()
}

// NamesReadable reports whether pages may use what a file names that is fetched with
// CORS, as its place tells. Those files are found in this one, once they are to be
// asked for.
func (c *Check) NamesReadable(p *rewrite.Page, place media.Place, public []byte) bool {
	readable := true
	for e := range place.CORSEndings() {
		var buf [media.MaxEnding]byte
		if !c.allows(p, append(buf[:0], e...), public) {
			readable = false // the others are to be asked for too
		}
	}
	return readable
}

// Embeddable reports whether pages may use a file in no-cors mode. isolated says
// that they require Cross-Origin-Resource-Policy.
func (c *Check) Embeddable(p *rewrite.Page, public []byte, isolated bool) bool {
	if c == nil {
		return !isolated
	}
	c.refers(public)
	if !isolated && c.forbidding.Load() == 0 {
		return true
	}
	v := c.view(p)
	if v == nil {
		return !isolated
	}
	embed := embedding(v.embed.Load())
	return v.own || embed == embedAllowed || !isolated && embed != embedForbidden
}

// refers notes a file that a page refers to. It is called for each one.
func (c *Check) refers(public []byte) {
	if c.sample.Load() == nil {
		text := string(public)
		c.sample.Store(&text)
	}
}

// refers notes a file for the next question.
func (k *kind) refers(public []byte) {
	if k.asked.Load() {
		k.asked.Store(false)
		text := string(public)
		k.object.Store(&text)
	}
}

// view returns what is known for the pages of p's origin, or nil.
func (c *Check) view(p *rewrite.Page) *view {
	return (*c.origins.Load())[pageOrigin{p.Scheme, p.Host}]
}

// kind returns the files with an ending, or nil.
func (v *view) kind(ending []byte) *kind {
	if v == nil {
		return nil
	}
	return (*v.kinds.Load())[string(ending)]
}

// note adds the files of an ending for p's origin. It returns what is known for
// them: no kind if nothing has to be, and neither if there are too many.
func (c *Check) note(p *rewrite.Page, ending, public string) (*view, *kind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.addOrigin(p)
	if v == nil || v.own {
		return v, nil
	}
	kinds := *v.kinds.Load()
	if k := kinds[ending]; k != nil || c.kinds >= maxKinds {
		return v, k
	}
	k := &kind{ending: ending}
	k.object.Store(&public)
	kinds = maps.Clone(kinds)
	kinds[ending] = k
	v.kinds.Store(&kinds)
	c.kinds++
	return v, k
}

// addOrigin returns what is known for the pages of p's origin. If that is another
// one, it takes the place of one of which no page was served for a while, unless
// there is room; else it is nil. c.mu is held.
func (c *Check) addOrigin(p *rewrite.Page) *view {
	if v := c.view(p); v != nil || len(p.Host) > maxHost {
		return v
	}
	origins := *c.origins.Load()
	idle, found := c.idle(origins)
	if len(origins) >= maxOrigins && !found {
		return nil
	}
	origins = maps.Clone(origins)
	if len(origins) >= maxOrigins {
		c.remove(origins[idle])
		delete(origins, idle)
	}
	v := &view{origin: browserOrigin(p.Scheme, p.Host), told: make(map[complaint]bool)}
	v.own = v.origin == c.origin
	v.kinds.Store(&map[string]*kind{})
	v.used.Store(c.now().UnixNano())
	origins[pageOrigin{strings.Clone(p.Scheme), strings.Clone(p.Host)}] = v
	c.origins.Store(&origins)
	return v
}

// idle returns the origin of which no page was served for longest.
func (c *Check) idle(origins map[pageOrigin]*view) (oldest pageOrigin, found bool) {
	last := c.now().Add(-idleOrigin).UnixNano()
	for o, v := range origins {
		if used := v.used.Load(); used <= last {
			oldest, last, found = o, used, true
		}
	}
	return oldest, found
}

// remove forgets what is known for an origin. c.mu is held.
func (c *Check) remove(v *view) {
	v.removed = true
	c.kinds -= len(*v.kinds.Load())
	if embedding(v.embed.Load()) == embedForbidden {
		c.forbidding.Add(-1)
	}
	c.changes.Add(1)
}

// Isolate notes that a page of p's origin required Cross-Origin-Resource-Policy.
// From then on so do its sheets and data, as any of its pages may load them.
func (c *Check) Isolate(p *rewrite.Page) {
	if c.IsIsolated(p) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.addOrigin(p); v != nil && !v.isolated.Swap(true) {
		c.changes.Add(1)
	}
}

// IsIsolated reports whether Isolate was called for p's origin.
func (c *Check) IsIsolated(p *rewrite.Page) bool {
	v := c.view(p)
	return v != nil && v.isolated.Load()
}

// learn takes over what an answer allows. c.mu is held.
func (c *Check) learn(v *view, k *kind, cors bool, embed embedding) {
	if v.removed {
		return
	}
	changed := k.cors.Swap(cors) != cors
	k.embed = embed
	all := embedUnknown
	for _, k := range *v.kinds.Load() {
		all = max(all, k.embed)
	}
	was := embedding(v.embed.Swap(uint32(all)))
	if allowed := all == embedAllowed; allowed != (was == embedAllowed) {
		changed = true
	}
	if forbidden := all == embedForbidden; forbidden != (was == embedForbidden) {
		changed = true
		if forbidden {
			c.forbidding.Add(1)
		} else {
			c.forbidding.Add(-1)
		}
	}
	if changed {
		c.changes.Add(1) // last: who has seen it sees the rest
	}
}

// embeddingOf is what the Cross-Origin-Resource-Policy of an answer allows the
// pages of an origin.
func (c *Check) embeddingOf(policy, origin string) embedding {
	switch policy {
	case "cross-origin":
		return embedAllowed
	case "same-site":
		if c.isSameSite(origin) {
			return embedAllowed
		}
		return embedForbidden
	case "same-origin":
		return embedForbidden
	}
	return embedUnsaid
}

// isSameSite reports whether an origin is of the public URL's site (Fetch standard,
// "cross-origin resource policy internal check").
func (c *Check) isSameSite(origin string) bool {
	scheme, host, _ := strings.Cut(origin, "://")
	if scheme != "https" && c.public.Scheme == "https" {
		return false
	}
	host, public := (&url.URL{Host: host}).Hostname(), strings.ToLower(c.public.Hostname())
	if host == public {
		return true
	}
	site, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return false
	}
	publicSite, err := publicsuffix.EffectiveTLDPlusOne(public)
	return err == nil && site == publicSite
}
