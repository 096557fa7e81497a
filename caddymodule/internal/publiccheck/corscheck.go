package publiccheck

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/rewrite"
)

// The public URL is asked as a browser would ask, about files that pages of the
// site refer to. What is wrong is logged once, and once more when it is mended.

// askFor has the public URL asked for what pages of p's origin refer to, as far as
// it is time.
func (c *Check) askFor(p *rewrite.Page) {
	v := c.view(p)
	if v == nil || len(*v.kinds.Load()) == 0 {
		sample := c.sample.Swap(nil)
		if sample == nil {
			return
		}
		if v, _ = c.note(p, media.Ending(withoutQuery(*sample)), *sample); v == nil {
			return
		}
	}
	now := c.now()
	v.used.Store(now.UnixNano())
	for _, k := range *v.kinds.Load() {
		if now.UnixNano() >= k.due.Load() {
			c.begin(v, now)
			break
		}
	}
}

func withoutQuery(url string) string {
	url, _, _ = strings.Cut(url, "?")
	return url
}

// round is the questions that were begun when a page was served. What is wrong by their
// answers is logged together.
type round struct {
	left int                     // questions without an answer
	said [len(problems)]*verdict // the first answer with each problem
}

// begin asks for the files of the kinds for which it is time, unless that is being done.
func (c *Check) begin(v *view, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := new(round)
	for _, k := range *v.kinds.Load() {
		if k.asking || now.UnixNano() < k.due.Load() {
			continue
		}
		k.asking = true
		k.due.Store(now.Add(askAgainSoon).UnixNano())
		if k.asked.Load() && !k.wanted.Load() {
			c.renew(k)
		}
		object := *k.object.Load()
		r.left++
		c.start(func() { c.ask(v, k, object, r) })
	}
}

// renew has the next question be about another file, if one is known.
func (c *Check) renew(k *kind) {
	if sample := c.sample.Swap(nil); sample != nil && media.Ending(withoutQuery(*sample)) == k.ending {
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
func (c *Check) ask(v *view, k *kind, object string, r *round) {
	c.count.Questions.Add(1)
	said := c.questionOf(k, object, v.origin)
	if c.ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.judge(k, r, &said)
	if r.left == 0 {
		c.tell(v, r)
	}
	if said.err == nil && (said.cors || !k.wanted.Load()) && said.embed != embedForbidden {
		k.due.Store(c.now().Add(askAgain).UnixNano())
	}
	k.asking = false
	k.asked.Store(true)
	c.learn(v, k, said.cors, said.embed)
}

// questionOf asks for a file of a kind from an origin. object is one, or names one: then
// that is looked for in it.
func (c *Check) questionOf(k *kind, object, origin string) (said verdict) {
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
func (c *Check) named(object, ending string) (files []string, err error) {
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

func hasEnding(path, want string) bool { return strings.EqualFold(media.Ending(path), want) }

// question asks for a file from an origin.
func (c *Check) question(object, origin string) verdict {
	answer, err := c.get(object, origin)
	if err != nil {
		return verdict{err: err, object: object}
	}
	if !answer.found() {
		return verdict{err: errors.New("the answer is " + answer.status), object: object}
	}
	allows := strings.Join(answer.header.Values(AllowOrigin), ", ") // of several, none counts
	return verdict{
		cors:   allows == "*" || allows == origin,
		embed:  c.embeddingOf(strings.Join(answer.header.Values(ResourcePolicy), ", "), origin),
		allows: allows,
		object: object,
	}
}

// problem is what keeps files of a kind local.
type problem uint8

const (
	noProblem problem = iota
	noAnswer
	embeddingForbidden
	corsRefused
)

// problems are what the log says of each.
var problems = [...]string{
	noAnswer: "the public URL could not be asked for a file that a page refers to: if visitors cannot either, they do not see it; " +
		stayLocal + "until it can",
	embeddingForbidden: "all media stay local on pages of the site, where they work: the public URL answers with a Cross-Origin-Resource-Policy " +
		"that forbids these pages to embed its files; it must be cross-origin, or not be sent (docs/pages.md: CORS)",
	corsRefused: stayLocal + "where they work, as the public URL was not seen to allow them: the bucket, or the CDN before it, must answer GET and HEAD " +
		"with the header Access-Control-Allow-Origin; if this module answers there, name the site by site_hosts; " +
		"if a proxy before this server speaks TLS, name it by trusted_proxies (docs/pages.md: CORS)",
}

// stayLocal begins a warning.
const stayLocal = "web fonts, what has a crossorigin attribute, and what scripts and JSON name stay local on pages of the site, "

// problem is what is wrong by an answer, wanted saying that a page needs CORS.
func (said verdict) problem(wanted bool) problem {
	switch {
	case said.err != nil:
		return noAnswer
	case said.embed == embedForbidden:
		return embeddingForbidden
	case !said.cors && wanted:
		return corsRefused
	}
	return noProblem
}

// complaint is what the log was told of the pages of an origin.
type complaint struct {
	problem problem
	files   string // of what sort
}

// judge notes what is wrong with a kind of files by the answer. c.mu is held.
func (c *Check) judge(k *kind, r *round, said *verdict) {
	k.problem = said.problem(k.wanted.Load())
	if k.problem != noProblem {
		c.count.Refused.Add(1)
	}
	if r.said[k.problem] == nil {
		r.said[k.problem] = said
	}
	r.left--
}

// tell logs what is wrong by the answers of a round, a line for each problem, unless
// that was said of others of the files' sorts: a site has many endings. It logs once
// when all is mended. c.mu is held.
func (c *Check) tell(v *view, r *round) {
	for p, said := range r.said {
		if said == nil || problem(p) == noProblem {
			continue
		}
		endings := v.untold(problem(p))
		if len(endings) == 0 {
			continue
		}
		attrs := []any{"endings", strings.Join(endings, " "), "url", said.object, "origin", v.origin}
		if said.err != nil {
			attrs = append(attrs, "error", said.err)
		} else {
			attrs = append(attrs, "access_control_allow_origin", said.allows)
		}
		c.log.Warn(problems[p], attrs...)
	}
	if said := r.said[noProblem]; said != nil && len(v.told) > 0 && v.works() {
		clear(v.told)
		c.log.Info("the public URL allows the site's pages to use its files", "url", said.object, "origin", v.origin)
	}
}

// untold returns the endings of the files with a problem, if the log was not told of
// that for files of one of their sorts. It now is.
func (v *view) untold(p problem) (endings []string) {
	news := false
	for _, k := range *v.kinds.Load() {
		if k.problem != p {
			continue
		}
		endings = append(endings, k.ending)
		about := complaint{p, sortOf(k.ending)}
		news = news || !v.told[about]
		v.told[about] = true
	}
	if !news {
		return nil
	}
	slices.Sort(endings)
	return endings
}

// works reports whether there is no problem with any files.
func (v *view) works() bool {
	for _, k := range *v.kinds.Load() {
		if k.problem != noProblem {
			return false
		}
	}
	return true
}

// sortOf is the sort of files that have an ending: the first part of their media
// type, as rules for buckets and CDNs are mostly for fonts, scripts, pictures, films
// or data.
func sortOf(ending string) string {
	t := media.ContentType("x."+ending, nil)
	sort, _, _ := strings.Cut(t, "/")
	switch {
	case media.IsScript(t):
		return t
	case sort == "audio":
		return "video"
	case media.IsFont(t):
		return "font"
	}
	return sort
}
