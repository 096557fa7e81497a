package main

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/env"
	"github.com/media-offload/caddy-media-offload/integration/wp"
)

// wordpressPair are two WordPress sites of one PHP-FPM pool: one behind a plain
// Caddy, one behind this one with a bucket that can be made a distant one, as a
// single server. With the option -plugin there is a third, behind a plain Caddy
// and with that plugin.
type wordpressPair struct {
	php         *env.PHP
	plain, this *wordpressSite
	plugin      *wordpressSite // nil without the option
	store       *env.DelayProxy
	// publicURL is where the second site's media are, without a slash at the
	// end.
	publicURL string
}

type wordpressSite struct {
	*env.Site
	caddy     *env.Caddy
	client    *wp.Client
	tag       *tag
	accessLog string
}

// tag puts a number into the header of requests, by which the access log's
// lines are found again.
type tag struct {
	http.Transport
	number int
	// slow is how long the last byte of an upload comes after the first ones.
	slow time.Duration
	hook float64 // what the last answer that had a hookHeader said
}

const tagHeader = "X-Bench"

// RoundTrip implements http.RoundTripper.
func (t *tag) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(tagHeader, strconv.Itoa(t.number))
	if t.slow > 0 && r.ContentLength > smallestUpload {
		r.Body = &slowBody{ReadCloser: r.Body, early: r.ContentLength - 1, last: time.Now().Add(t.slow)}
	}
	resp, err := t.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if ms, err := strconv.ParseFloat(resp.Header.Get(hookHeader), 64); err == nil {
		t.hook = ms
	}
	return resp, nil
}

// smallestUpload is the size of a body from which it is one of a file.
const smallestUpload = 10_000

// slowBody has its last byte come at a time.
type slowBody struct {
	io.ReadCloser
	early int64 // how many bytes are left that come at once
	last  time.Time
}

// Read implements io.Reader.
func (b *slowBody) Read(p []byte) (int, error) {
	if b.early == 0 {
		time.Sleep(time.Until(b.last))
		return b.ReadCloser.Read(p)
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.early)])
	b.early -= int64(n)
	return n, err
}

func (p *wordpressPair) sites() []*wordpressSite {
	if p.plugin == nil {
		return []*wordpressSite{p.plain, p.this}
	}
	return []*wordpressSite{p.plain, p.this, p.plugin}
}

// wordpressPair starts it, once.
func (b *bench) wordpressPair() (*wordpressPair, error) {
	if b.wordpress != nil {
		return b.wordpress, nil
	}
	db, err := b.env.MariaDB()
	if err != nil {
		return nil, err
	}
	p := new(wordpressPair)
	if p.php, err = b.env.PHP(env.PHPOptions{Workers: connections}); err != nil {
		return nil, err
	}
	server, err := b.env.Versitygw()
	if err != nil {
		return nil, err
	}
	bucket, err := server.NewBucket("wordpress", "site1/")
	if err != nil {
		return nil, err
	}
	if p.publicURL, err = bucket.Publish(); err != nil {
		return nil, err
	}
	if p.store, err = b.env.DelayProxy(server.Endpoint); err != nil {
		return nil, err
	}
	bucket.Endpoint = p.store.Endpoint
	if p.plain, err = b.wordpressSite(db, p.php, "plain", b.plainCaddy, noDirective); err != nil {
		return nil, err
	}
	p.this, err = b.wordpressSite(db, p.php, "this", b.thisCaddy, func(dir string) string {
		return fmt.Sprintf("media_offload {\n\tapp wordpress %s\n\tlocal own\n\t%s\tpublic_url %s\n}\n", dir, bucket.Caddyfile(), p.publicURL)
	})
	if err != nil {
		return nil, err
	}
	if b.options.plugin != "" {
		if p.plugin, err = b.pluginSite(db, p.php, p.store, server); err != nil {
			return nil, err
		}
	}
	b.wordpress = p
	return p, nil
}

func noDirective(string) string { return "" }

func (b *bench) wordpressSite(db *env.MariaDB, php *env.PHP, name, binary string, directive func(dir string) string, config ...string) (*wordpressSite, error) {
	port, err := env.FreePort()
	if err != nil {
		return nil, err
	}
	s := &wordpressSite{tag: new(tag), accessLog: filepath.Join(b.env.Dir, name+"-access.json")}
	if s.Site, err = b.env.WordPress(db, php, env.SiteOptions{URL: fmt.Sprintf("http://127.0.0.1:%d", port), Name: name, Config: strings.Join(config, "")}); err != nil {
		return nil, err
	}
	accessLog := fmt.Sprintf("log {\n\toutput file %s {\n\t\troll_disabled\n\t}\n\tformat json\n}\n", s.accessLog)
	if s.caddy, err = b.env.Caddy(env.CaddyOptions{Binary: binary, Sites: s.Serve(accessLog+directive(s.Dir), s.URL)}); err != nil {
		return nil, err
	}
	b.env.OnClose(func() error {
		s.tag.CloseIdleConnections()
		return nil
	})
	s.client = wp.New(s.URL, s.tag)
	return s, s.client.Login(b.ctx, s.User, s.Password)
}
