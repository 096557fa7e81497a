package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/media-offload/caddy-media-offload/integration/env"
)

// Ports of the servers are counted from the site's: the first server alone is
// at site port + 1.

func (o options) serverURL(i int) string { return fmt.Sprintf("http://127.0.0.1:%d", o.port+1+i) }

// startNodes starts a site on several web servers behind a load balancer, with
// one database and a bucket of MinIO.
func startNodes(ctx context.Context, e *env.Env, opts options) (*site, error) {
	if err := env.Setup("servers", "caddy"); err != nil {
		return nil, err
	}
	binary, err := new(env.Builder).Build()
	if err != nil {
		return nil, err
	}
	fmt.Printf("starting MariaDB, MinIO and %d web servers in %s ...\n", opts.nodes, e.Dir)
	db, err := e.MariaDB()
	if err != nil {
		return nil, err
	}
	minio, err := e.MinIO()
	if err != nil {
		return nil, err
	}
	bucket, err := minio.NewBucket("media", "site1/")
	if err != nil {
		return nil, err
	}
	publicURL, err := bucket.Publish()
	if err != nil {
		return nil, err
	}
	s := &site{mediaURL: publicURL}
	balancer := env.BalancerOptions{URL: opts.siteURL()}
	for i := range opts.nodes {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		address, err := s.addNode(e, db, binary, bucket, opts)
		if err != nil {
			return nil, err
		}
		balancer.Servers = append(balancer.Servers, address)
		balancer.Direct = append(balancer.Direct, opts.serverURL(i))
	}
	if balancer.Binary, err = env.Tool("caddy"); err != nil {
		return nil, err
	}
	if _, err := e.Balancer(balancer); err != nil {
		return nil, err
	}
	s.explain = func() { s.explainNodes(opts) }
	return s, nil
}

// addNode starts a web server with its own PHP-FPM, files and Caddy, and
// returns its address.
func (s *site) addNode(e *env.Env, db *env.MariaDB, binary string, bucket env.Bucket, opts options) (string, error) {
	php, err := e.PHP(env.PHPOptions{Workers: 4})
	if err != nil {
		return "", err
	}
	wordpress := s.Site
	if wordpress == nil {
		wordpress, err = e.WordPress(db, php, env.SiteOptions{URL: opts.siteURL(), Title: "Media offload demo", Cron: true})
		s.Site = wordpress
	} else {
		wordpress, err = s.Node(php)
	}
	if err != nil {
		return "", err
	}
	port, err := env.FreePort()
	if err != nil {
		return "", err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	name := fmt.Sprintf("header X-Server \"server %d\"\n", len(s.servers)+1)
	caddy, err := e.Caddy(env.CaddyOptions{
		Binary: binary,
		Sites:  wordpress.Serve(name+wordpress.MediaOffload(bucket, s.mediaURL), "http://"+address),
	})
	if err != nil {
		return "", err
	}
	s.servers = append(s.servers, server{caddy: caddy, php: php, uploads: wordpress.Uploads()})
	return address, nil
}

func (s *site) explainNodes(opts options) {
	var servers, disks strings.Builder
	for i, server := range s.servers {
		fmt.Fprintf(&servers, "  server %d   %s/   Caddy is process %d\n", i+1, opts.serverURL(i), server.caddy.PID())
		fmt.Fprintf(&disks, "    ls -R %s\n", server.uploads)
	}
	fmt.Printf(`
  site       %s/   through the load balancer
%s  article    %s
  admin      %s/wp-admin/   user %s, password %s
  public     %s

What to try
  - Upload a photo through one server (%s/wp-admin/upload.php) and look at
    the library of the other (%s/wp-admin/upload.php).
  - Upload two different photos of the same name through the two at the same
    time: both are kept, under two names.
  - Compare the disks:
%s  - Kill one server's Caddy in the middle of it: kill -9 %d
    It is started again, and nothing is missing anywhere.
  - The programs' logs: %s

Ctrl-C stops everything. The site stays in its folder for the next run.

`, s.URL, servers.String(), s.post, s.URL, s.User, s.Password, s.mediaURL,
		opts.serverURL(0), opts.serverURL(len(s.servers)-1), disks.String(), s.servers[0].caddy.PID(),
		filepath.Join(s.dir, "*.log"))
}
