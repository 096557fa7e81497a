package env

import "strings"

// BalancerOptions says how a load balancer is set up.
type BalancerOptions struct {
	// Binary is the path of a Caddy. Required.
	Binary string
	// URL is the address to listen at. Required.
	URL string
	// Servers are the addresses of the web servers, "127.0.0.1:1234". Required.
	Servers []string
	// Direct are further addresses to listen at, one for each server, that lead
	// to this server alone: to see what it serves as the site.
	Direct []string
	// Health is the path that each server is asked for twice a second; one that
	// does not answer 2xx gets no requests. Empty: nobody asks.
	Health string
}

// Balancer starts a Caddy that hands requests to web servers by turns. One that
// refuses connections is passed over.
func (e *Env) Balancer(opts BalancerOptions) (*Caddy, error) {
	return e.Caddy(CaddyOptions{Binary: opts.Binary, Sites: opts.sites()})
}

func (o BalancerOptions) sites() string {
	lines := []string{"lb_policy round_robin", "lb_try_duration 5s", "lb_try_interval 50ms"}
	if o.Health != "" {
		lines = append(lines, "health_uri "+o.Health, "health_interval 500ms", "health_timeout 2s")
	}
	sites := block(o.URL, "bind 127.0.0.1", block("reverse_proxy "+strings.Join(o.Servers, " "), lines...))
	for i, address := range o.Direct {
		sites += "\n" + block(address, "bind 127.0.0.1", block("reverse_proxy "+o.Servers[i], "header_up Host "+hostOf(o.URL)))
	}
	return sites
}

// SetServers has the balancer hand requests to these servers from now on.
func (c *Caddy) SetServers(opts BalancerOptions) error {
	c.SetSites(opts.sites())
	return c.Reload()
}
