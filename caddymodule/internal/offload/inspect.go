package offload

import (
	"io"
	"os"
	"strings"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/standing"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
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

// withPlace completes the entry of a file that is committed by from where it may
// be used.
func (e *Engine) withPlace(s *work.Task, x index.Entry, f *os.File) index.Entry {
	if x.Found.Known || !standing.MayBeMoved(s.Key, x) {
		return x
	}
	if known, ok := e.index.Get(s.Key); ok && known.ETag == x.ETag && known.Found.Known {
		x.Found = known.Found
		return x
	}
	if m, ok := local.ReadMark(f); ok && m.Binding == e.marks.Binding(s.Key) && m.ETag == x.ETag {
		x.Found = e.marks.Found(m)
	}
	if !x.Found.Known {
		x.Found = e.inspect(s.Key, f, x)
		x.Found.Known = unchanged(e, s, f, x)
	}
	return x
}

// inspect looks through a file that is to be, or is, committed as x says.
func (e *Engine) inspect(key string, f *os.File, x index.Entry) index.Finding {
	if !standing.MayBeMoved(key, x) {
		return index.Finding{}
	}
	if x.Size > inspectLimit {
		return index.Finding{Place: media.PlaceAtHome, Known: true}
	}
	body := io.NewSectionReader(f, 0, x.Size)
	return index.Finding{Place: e.cfg.Inspector.Inspect(key, body, e.Class), Known: true}
}

// foundInMeta is what the metadata of an object tells, which anyone may have
// written who can write to the bucket. What makes no sense, or is by other rules,
// tells nothing.
func (e *Engine) foundInMeta(key string, info bucket.Info) index.Finding {
	if media.NamingType(key) == "" {
		return index.Finding{}
	}
	word, rules, _ := strings.Cut(info.Meta[index.MetaPlace], " ")
	place, ok := media.ParsePlace(word)
	return index.Finding{Place: place, Known: ok && rules == e.cfg.Inspector.Rules}
}

// learnPlace notes what an object that was read, of which there is no file, tells
// of its place.
func (e *Engine) learnPlace(key string, info bucket.Info) {
	x, ok := e.index.Get(key)
	if !ok || x.State != index.BucketOnly || x.Found.Known || x.ETag != info.ETag || !standing.MayBeMoved(key, x) {
		return
	}
	now := x
	if now.Found = e.foundInMeta(key, info); now.Found.Known {
		e.note(key, x, now)
	}
}
