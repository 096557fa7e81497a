package publiccheck

import (
	"context"
	"log/slog"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/media-offload/caddy-media-offload/rewrite"
)

// Config says what is asked.
type Config struct {
	// PublicURL is that of the folder of public objects. It ends with a slash.
	PublicURL string
	// CORS says what is done about CORS.
	CORS CORS
	// Count counts the questions about that. It may be shared.
	Count *Count
	// Hidden returns the names of objects that the public URL should not show, and
	// what the names of public ones begin with; offload.Engine has it.
	Hidden func(ctx context.Context) (names []string, public string, err error)
	// Log is told what is wrong.
	Log *slog.Logger
}

// CORS says how it is known whether pages may use files where CORS is needed.
type CORS string

// What is done about CORS.
const (
	Ask    CORS = "on"      // the public URL is asked, now and then
	Refuse CORS = "off"     // it is not, and taken to allow nothing
	Allow  CORS = "allowed" // it is not, and taken to allow everything
)

// Count counts the questions to a public URL, and those after which files stayed
// local.
type Count struct{ Questions, Refused atomic.Uint64 }

// Header fields by which an answer says who may use it.
const (
	AllowOrigin    = "Access-Control-Allow-Origin"
	ResourcePolicy = "Cross-Origin-Resource-Policy" // which pages may embed it
)

// New returns a check that has seen nothing yet. It asks nothing before Served, and
// is to be closed.
func New(config Config) (*Check, error) {
	public, err := url.Parse(config.PublicURL)
	if err != nil {
		return nil, err
	}
	a := newAsker()
	c := &Check{
		asker: a, public: public, origin: browserOrigin(public.Scheme, public.Host),
		cors: config.CORS, count: config.Count, log: config.Log, now: time.Now,
		exposure: exposure{asker: a, publicURL: config.PublicURL, hidden: config.Hidden, log: config.Log},
	}
	c.origins.Store(&map[pageOrigin]*view{})
	return c, nil
}

// Changes is a number that grows with each change of what pages may use.
func (c *Check) Changes() uint64 { return c.changes.Load() }

// Served tells that a page was rewritten and went out: then the public URL is asked,
// as far as it is time. It does not wait.
func (c *Check) Served(p *rewrite.Page) {
	if c.cors == Ask {
		c.askFor(p)
	}
	c.exposure.served()
}

// Close ends all questions. A nil check has none.
func (c *Check) Close() {
	if c != nil {
		c.close()
	}
}
