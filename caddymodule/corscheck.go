package caddymodule

import (
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
)

// Whether the public URL lets the site's pages use its fonts and pictures (see
// cors.go) is mostly the bucket's or CDN's to say. It is asked once for each of
// the site's hosts, as a browser would ask, about a file that a page of that
// host refers to; what is wrong is logged. Pages do not wait for it.

// corsCheckHosts is for how many hosts the public URL is asked. A client can make
// up more of them.
const corsCheckHosts = 8

// corsCheck asks the public URL.
type corsCheck struct {
	*asker
	host string // of the public URL
	log  *slog.Logger

	// object is the public URL of a file that a page refers to, or nil.
	object atomic.Pointer[string]
	// last is the host of the page before.
	last atomic.Pointer[string]

	hostsMu sync.Mutex
	hosts   map[string]bool // those asked for
}

// newCORSCheck returns a check that does nothing yet. publicURL is one that
// publicURL has made.
func newCORSCheck(publicURL string, a *asker, log *slog.Logger) (*corsCheck, error) {
	u, err := url.Parse(publicURL)
	if err != nil {
		return nil, err
	}
	return &corsCheck{asker: a, host: strings.ToLower(u.Host), log: log, hosts: make(map[string]bool)}, nil
}

// refers notes the public URL that a page refers to. It is called for each one.
func (c *corsCheck) refers(publicURL []byte) {
	if c == nil || c.object.Load() != nil {
		return
	}
	text := string(publicURL)
	c.object.Store(&text)
}

// served makes the check ask for a host the first time that a page of it was
// rewritten. It does not wait.
func (c *corsCheck) served(p *page) {
	if c == nil || !p.active {
		return
	}
	if host := c.last.Load(); host != nil && *host == p.info.Host {
		return
	}
	object := c.object.Load()
	if object == nil {
		return
	}
	last := p.info.Host
	c.last.Store(&last)
	host := strings.ToLower(last)
	if host == c.host {
		return // where no other origin is, nothing has to be allowed
	}
	origins := []string{"https://" + host}
	if p.info.Scheme == "http" { // as this server sees it; before it may stand one that speaks TLS
		origins = append(origins, "http://"+host)
	}
	c.hostsMu.Lock()
	defer c.hostsMu.Unlock()
	if c.hosts[host] || len(c.hosts) >= corsCheckHosts {
		return
	}
	c.hosts[host] = true
	c.object.Store(nil) // the next host is asked for about a file of its own pages
	c.start(func() { c.report(*object, origins) })
}

// report asks for the origins that a host may have and logs what is wrong.
func (c *corsCheck) report(object string, origins []string) {
	var got string
	for _, origin := range origins {
		allowed, err := c.ask(object, origin)
		switch {
		case c.ctx.Err() != nil:
			return
		case err != nil:
			c.log.Warn("the public URL could not be asked for a file that a page refers to: if visitors cannot either, they do not see it",
				"url", object, "error", err)
			return
		case allowed == "*" || allowed == origin:
			return
		}
		got = allowed
	}
	c.log.Warn("web fonts from the public URL, and pictures in a canvas, will not work on pages of the site: "+
		"the bucket, or the CDN before it, must answer GET and HEAD with the header Access-Control-Allow-Origin; if this module answers there, "+
		"name the site by site_hosts (docs/pages.md: CORS). If the site has neither, set cors_check off",
		"url", object, "origin", origins[len(origins)-1], "access_control_allow_origin", got)
}

// ask returns the origin that the answer to a request from an origin allows.
func (c *corsCheck) ask(object, origin string) (allowed string, err error) {
	answer, err := c.get(object, origin)
	if err != nil {
		return "", err
	}
	if !answer.found() {
		return "", errors.New("the answer is " + answer.status)
	}
	return answer.header.Get(allowOrigin), nil
}
