package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/rewrite"
)

// The public URL is asked as a browser would ask, about files that pages of the
// site refer to. What is wrong is logged once, and once more when it is mended.

// served has the public URL asked for what pages of p's origin refer to, as far as
// it is time. It does not wait.
func (c *allowed) served(p *page) {
	if c == nil || c.word != wordOn || !p.active {
		return
	}
	v := c.view(&p.info)
	if v == nil || len(*v.kinds.Load()) == 0 {
		sample := c.sample.Swap(nil)
		if sample == nil {
			return
		}
		if v, _ = c.note(&p.info, ending(withoutQuery(*sample)), *sample); v == nil {
			return
		}
	}
	now := c.now()
	v.used.Store(now.UnixNano())
	for _, k := range *v.kinds.Load() {
		if now.UnixNano() >= k.due.Load() {
			c.begin(v, k, now)
		}
	}
}

func withoutQuery(url string) string {
	url, _, _ = strings.Cut(url, "?")
	return url
}

// begin asks for the files of one kind, unless that is being done.
func (c *allowed) begin(v *view, k *kind, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k.asking || now.UnixNano() < k.due.Load() {
		return
	}
	k.asking = true
	k.due.Store(now.Add(askAgainSoon).UnixNano())
	if k.asked.Load() && !k.wanted.Load() {
		c.renew(k)
	}
	object := *k.object.Load()
	c.start(func() { c.ask(v, k, object) })
}

// renew has the next question be about another file, if one is known.
func (c *allowed) renew(k *kind) {
	if sample := c.sample.Swap(nil); sample != nil && ending(withoutQuery(*sample)) == k.ending {
		k.object.Store(sample)
	}
}

// verdict is what an answer says.
type verdict struct {
	cors   bool
	embed  embedding
	allows string // its Access-Control-Allow-Origin
	err    error  // there was no answer, or none that says anything
	object string // what was asked for
}

// ask asks for a file and takes over what the answer says.
func (c *allowed) ask(v *view, k *kind, object string) {
	said := c.questionOf(k, object, v.origin)
	if c.ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell(v, k, said)
	if said.err == nil && (said.cors || !k.wanted.Load()) && said.embed != embedForbidden {
		k.due.Store(c.now().Add(askAgain).UnixNano())
	}
	k.asking = false
	k.asked.Store(true)
	c.learn(v, k, said.cors, said.embed)
}

// questionOf asks for a file of a kind from an origin. object is one, or names one: then
// that is looked for in it.
func (c *allowed) questionOf(k *kind, object, origin string) (said verdict) {
	if hasEnding(withoutQuery(object), k.ending) {
		return c.question(object, origin)
	}
	files, err := c.named(object, k.ending)
	if err != nil {
		return verdict{err: err, object: object}
	}
	for _, file := range files {
		if said = c.question(file, origin); said.err == nil {
			break
		}
	}
	return said
}

// maxNamed is how many files are asked for that another one names, if they are not
// there.
const maxNamed = 4

// named returns the public URLs of files with an ending that another one names and that
// are fetched with CORS; at least one.
func (c *allowed) named(object, ending string) (files []string, err error) {
	base, err := url.Parse(object)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", object, err)
	}
	body, err := c.read(object)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	err = rewrite.References(media.NamingType(withoutQuery(object)), body, func(name []byte, place rewrite.Place) bool {
		file, err := base.Parse(string(name))
		if err == nil && place == rewrite.WithCORS && hasEnding(file.Path, ending) && strings.HasPrefix(file.String(), c.public.String()) {
			file.Fragment = ""
			files = append(files, file.String())
		}
		return len(files) < maxNamed
	})
	if err == nil && len(files) == 0 {
		err = errors.New("it names no such file any more")
	}
	if err != nil {
		return nil, fmt.Errorf("looking for a file *.%s in %s: %w", ending, object, err)
	}
	return files, nil
}

func hasEnding(path, want string) bool { return strings.EqualFold(ending(path), want) }

// question asks for a file from an origin.
func (c *allowed) question(object, origin string) verdict {
	answer, err := c.get(object, origin)
	if err != nil {
		return verdict{err: err, object: object}
	}
	if !answer.found() {
		return verdict{err: errors.New("the answer is " + answer.status), object: object}
	}
	allows := strings.Join(answer.header.Values(allowOrigin), ", ") // of several, none counts
	return verdict{
		cors:   allows == "*" || allows == origin,
		embed:  c.embeddingOf(strings.Join(answer.header.Values(resourcePolicy), ", "), origin),
		allows: allows,
		object: object,
	}
}

// tell logs what is wrong, if it was not said last time. c.mu is held.
func (c *allowed) tell(v *view, k *kind, said verdict) {
	var problem string
	switch {
	case said.err != nil:
		problem = "the public URL could not be asked for a file that a page refers to: if visitors cannot either, they do not see it; " +
			stayLocal + "until it can"
	case said.embed == embedForbidden:
		problem = "all media stay local on pages of the site, where they work: the public URL answers with a Cross-Origin-Resource-Policy " +
			"that forbids these pages to embed its files; it must be cross-origin, or not be sent (docs/pages.md: CORS)"
	case !said.cors && k.wanted.Load():
		problem = stayLocal + "where they work, as the public URL was not seen to allow them: the bucket, or the CDN before it, must answer GET and HEAD " +
			"with the header Access-Control-Allow-Origin; if this module answers there, name the site by site_hosts; " +
			"if a proxy before this server speaks TLS, name it by trusted_proxies (docs/pages.md: CORS)"
	}
	if problem == k.told {
		return
	}
	k.told = problem
	switch {
	case problem == "":
		c.log.Info("the public URL allows the site's pages to use its files", "url", said.object, "origin", v.origin)
	case said.err != nil:
		c.log.Warn(problem, "url", said.object, "origin", v.origin, "error", said.err)
	default:
		c.log.Warn(problem, "url", said.object, "origin", v.origin, "access_control_allow_origin", said.allows)
	}
}

// stayLocal begins a warning.
const stayLocal = "web fonts and what has a crossorigin attribute stay local on pages of the site, "

// resourcePolicy is the header that says which pages may embed a file.
const resourcePolicy = "Cross-Origin-Resource-Policy"

// requiresPolicy reports whether a page loads nothing from another origin that
// does not say by Cross-Origin-Resource-Policy that it may (HTML standard, "embedder
// policy"; Document-Isolation-Policy). Those that only report do not count, and
// credentialless needs no header.
func requiresPolicy(hdr http.Header) bool {
	return mediaType(hdr.Get("Cross-Origin-Embedder-Policy")) == "require-corp" ||
		mediaType(hdr.Get("Document-Isolation-Policy")) == "isolate-and-require-corp"
}
