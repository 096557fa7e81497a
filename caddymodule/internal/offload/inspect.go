package offload

import (
	"io"
	"os"
	"strings"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// A file that may name others (media.NamingType) is looked through when it is
// committed, and what was found is noted where the state of the file is: in the
// index, in the mark, and for nodes that do not have the file in the metadata of
// its object. Until it is known, such a file is to be used at home.
//
// (Promise 4: "never for a file whose own URLs would then lead elsewhere".)
//
// What was found of a file stays until the file changes, or the rules: an
// .htaccess that makes a file private that it names, later, makes no difference
// to who reads that file by its URL.

// Inspector looks through files that may name others.
type Inspector struct {
	// Rules names in a few characters what Inspect goes by besides the file:
	// what was found by other rules is found anew.
	Rules string
	// Inspect returns from where the file of a key may be used. class knows the
	// class of other keys. The body ends after inspectLimit bytes at the latest.
	Inspect func(key string, body io.Reader, class func(key string) media.Class) media.Place
}

// inspectLimit is the size in bytes of the largest file that is looked through;
// what is larger is to be used at home.
const inspectLimit = 4 << 20

// finding is what is known of the place of a file that may name others.
type finding struct {
	place media.Place
	known bool
}

// judged completes the entry of a file that names no others: it may be used
// anywhere, and Public need not look at its name again.
func (x entry) judged(key string) entry {
	if !x.found.known && media.NamingType(key) == "" {
		x.found = finding{place: media.PlaceAnywhere, known: true}
	}
	return x
}

// place is from where the file of an entry may be used.
func (x entry) place(key string) media.Place {
	if x = x.judged(key); !x.found.known {
		return media.PlaceAtHome
	}
	return x.found.place
}

// withPlace completes the entry of a file that is committed by from where it may
// be used.
func (e *Engine) withPlace(s *task, x entry, f *os.File) entry {
	if x.found.known || !mayBeMoved(s.key, x) {
		return x
	}
	if known, ok := e.index.get(s.key); ok && known.etag == x.etag && known.found.known {
		x.found = known.found
		return x
	}
	if m, ok := local.ReadMark(f); ok && m.Binding == e.binding(s.key) && m.ETag == x.etag {
		x.found = e.foundInMark(m)
	}
	if !x.found.known {
		x.found = e.inspect(s.key, f, x)
		x.found.known = unchanged(e, s, f, x)
	}
	return x
}

// mayBeMoved reports whether it makes a difference from where a file may be used.
func mayBeMoved(key string, x entry) bool {
	return x.class == media.Public && media.NamingType(key) != ""
}

// inspect looks through a file that is to be, or is, committed as x says.
func (e *Engine) inspect(key string, f *os.File, x entry) finding {
	if !mayBeMoved(key, x) {
		return finding{}
	}
	if x.size > inspectLimit {
		return finding{place: media.PlaceAtHome, known: true}
	}
	body := io.NewSectionReader(f, 0, x.size)
	return finding{place: e.cfg.Inspector.Inspect(key, body, e.Class), known: true}
}

// foundInMark is what a mark tells.
func (e *Engine) foundInMark(m local.Mark) finding {
	return finding{place: m.Place, known: m.Rules == e.cfg.Inspector.Rules}
}

// metaPlace, in an object's metadata, tells from where the file may be used and
// by which rules that was found: "cors 0123abcd".
const metaPlace = "place"

// meta is the metadata that tells the finding, nil if nothing is known.
func (f finding) meta(rules string) map[string]string {
	if !f.known {
		return nil
	}
	return map[string]string{metaPlace: f.place.String() + " " + rules}
}

// foundInMeta is what the metadata of an object tells, which anyone may have
// written who can write to the bucket. What makes no sense, or is by other rules,
// tells nothing.
func (e *Engine) foundInMeta(key string, info bucket.Info) finding {
	if media.NamingType(key) == "" {
		return finding{}
	}
	word, rules, _ := strings.Cut(info.Meta[metaPlace], " ")
	place, ok := media.ParsePlace(word)
	return finding{place: place, known: ok && rules == e.cfg.Inspector.Rules}
}

// learnPlace notes what an object that was read, of which there is no file, tells
// of its place.
func (e *Engine) learnPlace(key string, info bucket.Info) {
	x, ok := e.index.get(key)
	if !ok || x.state != bucketOnly || x.found.known || x.etag != info.ETag || !mayBeMoved(key, x) {
		return
	}
	now := x
	if now.found = e.foundInMeta(key, info); now.found.known {
		e.note(key, x, now)
	}
}
