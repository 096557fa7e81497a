package web

import (
	"hash/maphash"
	"net/http"
	"strings"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// The app's ETag and Last-Modified say whether what it made is what it was. What
// becomes of its page depends on the media and the public URL as well, so:
//
//   - A page of which nothing was changed keeps both.
//   - A changed one gets a mark on its ETag with a sum of what it has become, the
//     same on all servers, and no date.
//   - Of one that leaves before its end is known the sum is of what it depends on, in
//     this process.
//   - The app is asked whether its page has changed only where it is known that the
//     client has what would become of the page now. Else it is asked for the page,
//     and the client told if that has become what it has.
//
// So no answer 304 keeps a URL alive that an answer 200 would not have.

// maxValidators is of how many answers the validators are remembered, and
// maxValidated the size in bytes of the largest such entry.
const maxValidators, maxValidated = 4 << 10, 2 << 10

// validators remembers the validators that answers had from the app and left with.
type validators struct {
	changes func() uint64 // Handler.changes
	seed    maphash.Seed

	mu   sync.Mutex
	seen *simplelru.LRU[validated, appValidators]
}

// validated is what a client knows of an answer: one of the validators.
type validated struct{ scheme, host, uri, tag, modified string }

// appValidators are those that the app gave.
type appValidators struct {
	tag, modified string
	// page says that the answer depends on the media and the public URL, which were
	// as this number says.
	page    bool
	changes uint64
}

func newValidators(changes func() uint64) *validators {
	seen, err := simplelru.NewLRU[validated, appValidators](maxValidators, nil)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &validators{changes: changes, seed: maphash.MakeSeed(), seen: seen}
}

// find returns the app's validators of an answer that a client has, if the answer
// would be the same now as long as the app's is.
func (v *validators) find(key validated) (appValidators, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	a, ok := v.seen.Get(key)
	return a, ok && (!a.page || a.changes == v.changes())
}

func (v *validators) add(key validated, a appValidators) {
	if len(key.host)+len(key.uri)+len(key.tag)+len(key.modified)+len(a.tag)+len(a.modified) > maxValidated {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.seen.Add(key, a)
}

// sum is of what a page depends on that is the same as another one to the app.
func (v *validators) sum(changes uint64) uint64 { return maphash.Comparable(v.seed, changes) }

// condition is what the client has of a page already (RFC 9110, section 13.1).
type condition struct {
	tags  []string // If-None-Match
	since string   // If-Modified-Since; "" if there are tags
	// tag is the one of them by which the app was asked, if it was.
	tag   string
	asked bool
	page  bool // it was for a page
}

// toApp returns r as the app is to see it: it need not compress what would have to
// be decompressed again, and is asked whether its page has changed only if that
// tells whether the client's has. r itself keeps its header for the handlers before
// this one.
func (p *page) toApp(r *http.Request) *http.Request {
	conditional := p.method != http.MethodPost && len(r.Header["If-None-Match"])+len(r.Header["If-Modified-Since"]) > 0
	if !conditional && len(r.Header["Accept-Encoding"]) == 0 {
		return r
	}
	r2 := r.WithContext(r.Context())
	r2.Header = make(http.Header, len(r.Header))
	for name, values := range r.Header {
		switch {
		case name == "Accept-Encoding", conditional && (name == "If-None-Match" || name == "If-Modified-Since"):
		default:
			r2.Header[name] = values
		}
	}
	if conditional {
		p.condition = &condition{tags: r.Header["If-None-Match"]}
		if len(p.condition.tags) == 0 {
			p.condition.since = r.Header.Get("If-Modified-Since")
		}
		p.ask(r2.Header)
	}
	return r2
}

// ask puts the app's validators into the header of a request if what the client has
// is known.
func (p *page) ask(hdr http.Header) {
	c := p.condition
	found := func(tag, modified string) bool {
		a, ok := p.validators.find(p.validated(tag, modified))
		if !ok {
			return false
		}
		c.tag, c.asked, c.page = tag, true, a.page
		if a.tag != "" {
			hdr["If-None-Match"] = []string{a.tag}
		}
		if a.modified != "" {
			hdr["If-Modified-Since"] = []string{a.modified}
		}
		return true
	}
	eachTag(c.tags, func(tag string) bool { return !found(tag, "") })
	if c.since != "" {
		found("", c.since)
	}
}

// validated is the key of an answer by one of the validators that the client has.
func (p *page) validated(tag, modified string) validated {
	return validated{
		scheme: p.info.Scheme, host: p.info.Host, uri: p.uri.RequestURI(),
		tag: strings.TrimPrefix(tag, "W/"), modified: modified,
	}
}

// note remembers the validators that an answer leaves with and those that it had.
func (p *page) note(hdr http.Header, a appValidators) {
	if p.method == http.MethodPost {
		return
	}
	if tag := hdr.Get("Etag"); tag != "" {
		p.validators.add(p.validated(tag, ""), a)
	}
	if modified := hdr.Get("Last-Modified"); modified != "" {
		p.validators.add(p.validated("", modified), a)
	}
}

// validate makes the validators in the header of a page fit it. Of a page that is
// complete sum is the sum; replaced says that it is not the app's.
func (p *page) validate(hdr http.Header, complete, replaced bool, sum func() uint64) {
	a := appValidators{tag: hdr.Get("Etag"), modified: hdr.Get("Last-Modified"), page: true, changes: p.changes}
	if a.tag == "" && a.modified == "" {
		return
	}
	if !complete || replaced {
		delete(hdr, "Etag")
		delete(hdr, "Last-Modified")
		if p.head {
			return // what would become of the page is not known
		}
		s := p.validators.sum(p.changes)
		if complete {
			s = sum()
		}
		if tag, ok := markedTag(a.tag, s); ok {
			hdr["Etag"] = []string{tag}
		}
	}
	p.note(hdr, a)
}

// notModified reports whether an answer is what the client has already. exact says
// that only the date that the client was given counts: what was made of the page may
// have changed since another one.
func (p *page) notModified(status int, hdr http.Header, exact bool) bool {
	c := p.condition
	if c == nil || status != http.StatusOK {
		return false
	}
	if len(c.tags) > 0 {
		found, etag := false, hdr.Get("Etag")
		eachTag(c.tags, func(tag string) bool {
			found = sameTag(tag, etag)
			return !found
		})
		return found
	}
	modified := hdr.Get("Last-Modified")
	if modified == "" || exact || modified == c.since {
		return modified != "" && modified == c.since
	}
	is, err := http.ParseTime(modified)
	if err != nil {
		return false
	}
	since, err := http.ParseTime(c.since)
	return err == nil && !is.After(since)
}

// passedOn settles the status of an answer whose body stays as it is.
func (p *page) passedOn(status int, hdr http.Header) int {
	switch {
	case p.active || p.mediaFile: // HEAD, or the answer is judged already
	case status == http.StatusNotModified:
		p.revalidated(hdr)
	case status == http.StatusOK:
		if len(hdr["Etag"]) == 0 && len(hdr["Last-Modified"]) == 0 {
			break
		}
		p.note(hdr, appValidators{tag: hdr.Get("Etag"), modified: hdr.Get("Last-Modified")})
		if p.notModified(status, hdr, false) {
			becomeNotModified(hdr)
			return http.StatusNotModified
		}
	}
	return status
}

// revalidated makes the header of the app's answer 304 fit what the client has.
func (p *page) revalidated(hdr http.Header) {
	c := p.condition
	if c == nil || !c.asked || !c.page {
		return
	}
	if _, marked := unmarkedTag(c.tag); marked {
		hdr["Etag"] = []string{c.tag}
		delete(hdr, "Last-Modified")
	}
}

// becomeNotModified takes from a header what is not in an answer 304 (RFC 9110,
// section 15.4.5).
func becomeNotModified(hdr http.Header) {
	dropFields(hdr, []string{"Content-Type", "Content-Length", "Content-Encoding", "Content-Language", "Accept-Ranges"})
}

// withConditions returns the request of a media file that the app lets this module
// send, with the conditions that the app was not to see.
func (p *page) withConditions(r *http.Request) *http.Request {
	c := p.condition
	if c == nil {
		return r
	}
	r2 := r.WithContext(r.Context())
	r2.Header = r.Header.Clone()
	dropFields(r2.Header, []string{"If-None-Match", "If-Modified-Since"})
	if len(c.tags) > 0 {
		r2.Header["If-None-Match"] = c.tags
	} else {
		r2.Header.Set("If-Modified-Since", c.since)
	}
	return r2
}
