//go:build integration

package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/check"
	"github.com/media-offload/caddy-media-offload/integration/env"
	"github.com/media-offload/caddy-media-offload/integration/wp"
)

// cluster is a site on several web servers. Each has its own copy of the app's
// files, its own media, PHP-FPM pool and Caddy; they share a database and a
// bucket, and nothing else. A load balancer is in front.
type cluster struct {
	t   *testing.T
	env *env.Env
	// url is the site's address, which is the balancer's.
	url      string
	balancer *env.Caddy
	bucket   *env.S3Bucket
	// publicURL is where the public objects are, without a slash at the end.
	publicURL string
	// mediaPath is the URL path below which files have the names of objects.
	mediaPath string
	nodes     []*node

	opts clusterOptions
	site *env.Site // the first node's WordPress, nil if the app is another
}

// clusterOptions say how a cluster is set up.
type clusterOptions struct {
	store store
	// nodes is how many there are at first. Default 3.
	nodes int
	// options are further lines of the media_offload blocks.
	options []string
	// app makes the app of a node instead of WordPress.
	app func(c *cluster, php *env.PHP) served
	// mediaPath is the one of app.
	mediaPath string
	// caddy returns the program of the n-th node. Default: the shared one.
	caddy func(n int) (binary string, environ []string)
}

// served is an app behind Caddy.
type served interface {
	Serve(directives string, addresses ...string) string
	MediaOffload(bucket env.Bucket, publicURL string, options ...string) string
}

// node is one of the web servers.
type node struct {
	name string
	// address is its own, "127.0.0.1:1234"; the site's is the balancer's.
	address string
	// media is the folder whose files have the names of objects.
	media string
	php   *env.PHP
	caddy *env.Caddy
	// faults stands between this node and the bucket.
	faults *env.FaultProxy
	check  *check.Checker
	// direct sends requests for the site to this node.
	direct *http.Transport
	client *http.Client
}

const (
	wordpressMedia = "/wp-content/uploads/"
	healthPath     = "/media-offload/health"
)

// newCluster starts one. Its nodes are up and the balancer sends to all.
func newCluster(t *testing.T, opts clusterOptions) *cluster {
	t.Helper()
	if opts.nodes == 0 {
		opts.nodes = 3
	}
	c := &cluster{t: t, env: newEnv(t), url: address(t), opts: opts, mediaPath: wordpressMedia}
	if opts.app != nil {
		c.mediaPath = opts.mediaPath
	}
	server := must1(s3Servers[opts.store]())(t)
	c.bucket = must1(server.NewBucket(bucketName(), "site1/"))(t)
	c.publicURL = must1(c.bucket.Publish())(t)
	for range opts.nodes {
		c.add()
	}
	c.balancer = must1(c.env.Balancer(c.balance(c.nodes...)))(t)
	return c
}

// add starts a further web server, with an empty disk. The balancer does not
// know it yet.
func (c *cluster) add() *node {
	c.t.Helper()
	number := len(c.nodes) + 1
	n := &node{name: fmt.Sprintf("node %d", number), address: strings.TrimPrefix(address(c.t), "http://")}
	n.php = must1(c.env.PHP(env.PHPOptions{Workers: 4}))(c.t)
	var app served
	if c.opts.app != nil {
		app = c.opts.app(c, n.php)
		n.media = app.(*env.App).Dir
	} else {
		site := c.wordpress(n.php)
		app, n.media = site, site.Uploads()
	}
	n.faults = must1(c.env.FaultProxy(c.bucket.Server.Endpoint))(c.t)
	bucket := *c.bucket
	bucket.Endpoint = n.faults.Endpoint
	n.check = &check.Checker{Root: n.media, Bucket: c.bucket}
	var dialer net.Dialer
	n.direct = &http.Transport{MaxIdleConnsPerHost: 16, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, n.address)
	}}
	n.client = &http.Client{Transport: n.direct, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	c.t.Cleanup(n.direct.CloseIdleConnections)

	binary, environ := must1(shared.caddy.Build())(c.t), []string(nil)
	if c.opts.caddy != nil {
		binary, environ = c.opts.caddy(number)
	}
	n.caddy = must1(c.env.Caddy(env.CaddyOptions{
		Binary: binary, Environ: append(environ, "GORACE=halt_on_error=0"),
		Sites: app.Serve(app.MediaOffload(&bucket, c.publicURL, append([]string{"health " + healthPath}, c.opts.options...)...), "http://"+n.address),
	}))(c.t)
	c.t.Cleanup(func() {
		if races := n.caddy.DataRaces(); races != "" {
			c.t.Error(races)
		}
	})
	c.nodes = append(c.nodes, n)
	return n
}

// wordpress makes the first or a further copy of the site.
func (c *cluster) wordpress(php *env.PHP) *env.Site {
	c.t.Helper()
	if c.site != nil {
		return must1(c.site.Node(php))(c.t)
	}
	c.site = must1(c.env.WordPress(shared.db, php, env.SiteOptions{URL: c.url, Name: databaseName(c.t)}))(c.t)
	return c.site
}

// balance is the setting of a balancer that sends to these nodes.
func (c *cluster) balance(nodes ...*node) env.BalancerOptions {
	c.t.Helper()
	opts := env.BalancerOptions{Binary: must1(env.Tool("caddy"))(c.t), URL: c.url, Health: healthPath}
	for _, n := range nodes {
		opts.Servers = append(opts.Servers, n.address)
	}
	return opts
}

// anyNode sends each request to a node of its own choosing.
type anyNode struct {
	mu     sync.Mutex
	random *rand.Rand
	nodes  []*node
	last   *node
}

// anyNode returns a transport to random nodes.
func (c *cluster) anyNode(nodes ...*node) *anyNode {
	seed := rand.Uint64()
	c.t.Logf("seed %d", seed)
	return &anyNode{random: rand.New(rand.NewPCG(seed, 0)), nodes: nodes}
}

// RoundTrip implements http.RoundTripper.
func (a *anyNode) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	n := a.nodes[a.random.IntN(len(a.nodes))]
	a.last = n
	a.mu.Unlock()
	return n.direct.RoundTrip(r)
}

// latest is the node that the last request went to.
func (a *anyNode) latest() *node {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

// login returns a client of WordPress whose requests go through transport; nil
// stands for the balancer.
func (c *cluster) login(ctx context.Context, transport http.RoundTripper) *wp.Client {
	c.t.Helper()
	if transport == nil {
		balanced := &http.Transport{MaxIdleConnsPerHost: 32}
		c.t.Cleanup(balanced.CloseIdleConnections)
		transport = balanced
	}
	client := wp.New(c.url, transport)
	must(c.t, client.Login(ctx, c.site.User, c.site.Password))
	return client
}

// equalWithin fails the test unless every disk comes to equal the bucket
// within d.
func (c *cluster) equalWithin(ctx context.Context, what string, d time.Duration, nodes ...*node) {
	c.t.Helper()
	if len(nodes) == 0 {
		nodes = c.nodes
	}
	start := time.Now()
	for _, n := range nodes {
		if _, err := n.check.Eventually(ctx, d-time.Since(start)); err != nil {
			c.t.Errorf("%s, %s: %v", what, n.name, err)
		}
	}
	if took := time.Since(start); took > time.Second {
		c.t.Logf("%s: all disks equal after %s", what, took.Round(time.Millisecond))
	}
}
