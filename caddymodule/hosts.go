package caddymodule

import (
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/net/idna"
)

// siteHosts returns, for each engine of this config, the hosts that the config names
// for it: the addresses of the sites that its handlers stand in, and site_hosts. To be
// called when all apps are provisioned.
func (a *App) siteHosts() map[*sharedEngine][]string {
	at := make(map[*Handler][]string)
	if app, err := a.ctx.AppIfConfigured("http"); err == nil {
		for _, server := range app.(*caddyhttp.App).Servers {
			hostsOf(server.Routes, nil, at)
		}
	}
	hosts := make(map[*sharedEngine][]string)
	for _, s := range a.handlers {
		hosts[s.engine] = slices.Concat(hosts[s.engine], at[s.handler], configuredHosts(s.handler.SiteHosts))
	}
	return hosts
}

// hostsOf notes for each handler below routes for which hosts it is reached; above are
// those that the routes themselves are for, none if for all. A handler that is reached
// in another way (named routes) has the hosts of site_hosts alone.
func hostsOf(routes caddyhttp.RouteList, above []string, at map[*Handler][]string) {
	for i := range routes {
		hosts := matchedHosts(routes[i].MatcherSets)
		if len(hosts) == 0 {
			hosts = above
		}
		for _, handler := range routes[i].Handlers {
			switch handler := handler.(type) {
			case *Handler:
				at[handler] = append(at[handler], hosts...)
			case *caddyhttp.Subroute:
				hostsOf(handler.Routes, hosts, at)
			}
		}
	}
}

// matchedHosts are the hosts that matchers name.
func matchedHosts(sets caddyhttp.MatcherSets) (hosts []string) {
	for _, set := range sets {
		for _, matcher := range set {
			switch m := matcher.(type) {
			case *caddyhttp.MatchHost:
				hosts = append(hosts, *m...)
			case caddyhttp.MatchHost:
				hosts = append(hosts, m...)
			}
		}
	}
	return hosts
}

// configuredHosts are hosts of site_hosts as requests name them.
func configuredHosts(list []string) []string {
	hosts := make([]string, len(list))
	for i, host := range list {
		hosts[i] = hostname(host)
		if ascii, err := idna.ToASCII(hosts[i]); err == nil {
			hosts[i] = ascii
		}
	}
	return hosts
}

// hostname returns a host without its port, in lower case.
func hostname(host string) string {
	u := url.URL{Host: strings.ToLower(host)}
	return u.Hostname()
}
