package publiccheck

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// A CDN reads the bucket with credentials of its own. If it was given all of the
// bucket rather than the folder of public files, anyone gets private files from
// it, whatever this server and the bucket's policy say. Whether that is so is
// asked once, when the first page with media in it went out.
//
// (Promise 7: "Private stays private.")

// exposureTimeout bounds the looking for private files in the bucket.
const exposureTimeout = time.Minute

// exposure asks the public URL for what it should not show.
type exposure struct {
	*asker
	publicURL string // ends with a slash
	hidden    func(ctx context.Context) (names []string, public string, err error)
	log       *slog.Logger
	once      sync.Once
}

// served asks the first time that a page was rewritten. It does not wait.
func (c *exposure) served() { c.once.Do(func() { c.start(c.report) }) }

// report asks and logs what is wrong.
func (c *exposure) report() {
	ctx, cancel := context.WithTimeout(c.ctx, exposureTimeout)
	defer cancel()
	names, public, err := c.hidden(ctx)
	if err != nil {
		return // the engine tells of a bucket that does not answer
	}
	for _, name := range names {
		object, ok := siblingURL(c.publicURL, public, name)
		if !ok || !c.shows(object) || c.shows(object+"-"+rand.Text()) {
			continue // or something is there for every URL
		}
		c.log.Error("anyone can read private files, or this program's notes, at the public URL: "+
			"let it show the folder of public files alone (docs/bucket.md)",
			"url", object, "public_url", c.publicURL)
	}
}

// shows reports whether there is something at a URL. If that is not known, there
// is not.
func (c *exposure) shows(object string) bool {
	answer, err := c.get(object, "")
	return err == nil && answer.found()
}

// siblingURL is where the object of a name is to be read if the public URL shows
// more of the bucket than what lies below the prefix public: for "s/private/a" it
// is "https://cdn/s/private/a" if the public URL is "https://cdn/s/media/" and the
// prefix "s/media/", and also if it is "https://cdn/media/". If the URL ends as no
// part of the prefix does, it is not known.
func siblingURL(publicURL, public, name string) (string, bool) {
	for above := ""; public != ""; {
		base, ok := strings.CutSuffix(publicURL, "/"+public)
		rest, below := strings.CutPrefix(name, above)
		if ok && below && strings.Contains(base, "://") {
			return string(media.EscapeKey([]byte(base+"/"), rest)), true
		}
		first, after, _ := strings.Cut(public, "/")
		above, public = above+first+"/", after
	}
	return "", false
}
