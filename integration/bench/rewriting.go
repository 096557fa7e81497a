package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/env"
)

const (
	rewritingBudget = 60 * time.Second
	rewritingBlock  = 400
)

// rewriting is what making the media URLs of a page public costs, beside
// nginx's sub_filter, which replaces literals wherever they stand. Each is
// compared with its own server passing the page on.
func (b *bench) rewriting() error {
	site, err := b.typicalSite()
	if err != nil {
		return err
	}
	nginx, passURL, subURL, err := b.nginxBefore(site)
	if err != nil {
		return err
	}
	// What is compared must do the same.
	for _, address := range []string{site.thisURL + "/", site.thisURL + changingPath, subURL + "/"} {
		page, err := fetch(b.ctx, address, pageHost)
		if err != nil {
			return err
		}
		if left := localURLs(string(page)); left > 0 {
			return fmt.Errorf("%s leaves %d local URLs in the page", address, left)
		}
	}
	of := func(address string) load { return load{address: address, host: pageHost, n: rewritingBlock} }
	all, err := b.compare(rewritingBudget,
		contender{of(site.plainURL + "/"), site.plain.Process}, contender{of(site.thisURL + "/"), site.this.Process},
		contender{of(passURL + "/"), nginx}, contender{of(subURL + "/"), nginx},
		contender{of(site.plainURL + changingPath), site.plain.Process}, contender{of(site.thisURL + changingPath), site.this.Process},
		contender{of(subURL + changingPath), nginx})
	if err != nil {
		return err
	}
	b.reportRewriting(site.page, all)
	return b.profileLoad("rewriting", site.this, of(site.thisURL+changingPath))
}

func (b *bench) reportRewriting(page *typicalPage, all []samples) {
	plain, this, pass, sub := all[0], all[1], all[2], all[3]
	plainChanging, thisChanging, subChanging := all[4], all[5], all[6]

	b.report.heading("rewriting a page of %d KB with %d media URLs; the upstream is a Go server; %d rounds of %d requests",
		len(page.html)/1000, localURLs(page.html), len(plain.cpu), rewritingBlock)
	rows := [][]string{{"", "CPU, ms per page", "added to its own passthrough, ms", "requests/s, ratio to its own passthrough"}}
	for _, row := range []struct {
		name       string
		s, through samples
	}{
		{"plain Caddy, reverse_proxy", plain, plain},
		{"Caddy with media_offload", this, plain},
		{"nginx, proxy_pass", pass, pass},
		{"nginx, sub_filter of 3 literals", sub, pass},
		{"another page each time: plain Caddy", plainChanging, plainChanging},
		{"Caddy with media_offload", thisChanging, plainChanging},
		{"nginx, sub_filter of 3 literals", subChanging, pass},
	} {
		rows = append(rows, []string{
			row.name, row.s.cpu.text("%.3f"), row.s.cpu.minus(row.through.cpu).text("%.3f"), row.s.perSecond.over(row.through.perSecond).text("%.3f"),
		})
	}
	b.report.table(rows)
	// Not the median of the rounds' ratios: nginx's share is so small that its
	// noise, as a divisor, would move that.
	ratio := this.cpu.minus(plain.cpu).median() / sub.cpu.minus(pass.cpu).median()
	changing := thisChanging.cpu.minus(plainChanging.cpu).median() / subChanging.cpu.minus(pass.cpu).median()
	b.report.note("  added in Caddy ÷ added in nginx: %.2f; for a page that is another each time, and so never remembered: %.2f", ratio, changing)
	b.report.table(rivalRewriters)
	b.report.target("rewriting: CPU added per typical page ÷ nginx sub_filter ×3", fmt.Sprintf("%.2f", ratio), "≤ 1.00", ratio <= 1)
}

// nginxBefore starts an nginx with two servers before the site's upstream: one passes
// on, one replaces the beginnings of media URLs.
func (b *bench) nginxBefore(site *typicalSite) (nginx *env.Process, passURL, subURL string, err error) {
	var ports [2]int
	for i := range ports {
		if ports[i], err = env.FreePort(); err != nil {
			return nil, "", "", err
		}
	}
	var filter strings.Builder
	filter.WriteString("sub_filter_once off;")
	for i, public := range publicMedia(site.publicURL) {
		fmt.Fprintf(&filter, " sub_filter '%s' '%s';", localMedia[i], public)
	}
	var servers strings.Builder
	// The defaults would close connections after 1,000 requests and put what
	// exceeds 64 KB into a file.
	fmt.Fprintf(&servers, "keepalive_requests 10000000;\nupstream app { server %s; keepalive 8; keepalive_requests 10000000; }\n", hostPort(site.upstream))
	for i, directives := range []string{"", filter.String()} {
		fmt.Fprintf(&servers, "server { listen 127.0.0.1:%d; location / { proxy_pass http://app; proxy_http_version 1.1; "+
			"proxy_set_header Connection ''; proxy_set_header Host $host; proxy_buffers 32 8k; %s } }\n", ports[i], directives)
	}
	nginx, err = b.env.Nginx(servers.String(), fmt.Sprintf("127.0.0.1:%d", ports[1]))
	return nginx, fmt.Sprintf("http://127.0.0.1:%d", ports[0]), fmt.Sprintf("http://127.0.0.1:%d", ports[1]), err
}
