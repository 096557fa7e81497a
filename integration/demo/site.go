package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/env"
	"github.com/media-offload/caddy-media-offload/integration/sample"
	"github.com/media-offload/caddy-media-offload/integration/wp"
)

// site is the running demo.
type site struct {
	*env.Site
	dir      string // of everything
	servers  []server
	mediaURL string
	post     string // address of the article with the gallery
	explain  func() // tells the user what there is
}

// server is one of the web servers.
type server struct {
	caddy   *env.Caddy
	php     *env.PHP
	uploads string
}

// start starts the programs, one after the other; ctx ends the wait.
func start(ctx context.Context, e *env.Env, opts options) (s *site, err error) {
	for _, port := range opts.ports() {
		if err := portFree(port); err != nil {
			return nil, err
		}
	}
	fmt.Println("building Caddy with the module ...")
	if opts.nodes > 1 {
		s, err = startNodes(ctx, e, opts)
	} else {
		s, err = startOne(ctx, e, opts)
	}
	if err != nil {
		return nil, err
	}
	s.dir = e.Dir
	return s, nil
}

// startOne starts a site on one web server, with a file:// bucket.
func startOne(ctx context.Context, e *env.Env, opts options) (*site, error) {
	binary, err := new(env.Builder).Build()
	if err != nil {
		return nil, err
	}
	fmt.Println("starting MariaDB, PHP-FPM, WordPress and Caddy in", e.Dir, "...")
	db, err := e.MariaDB()
	if err != nil {
		return nil, err
	}
	php, err := e.PHP(env.PHPOptions{Workers: 6})
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	wordpress, err := e.WordPress(db, php, env.SiteOptions{URL: opts.siteURL(), Title: "Media offload demo", Cron: true})
	if err != nil {
		return nil, err
	}
	bucket, err := e.DirBucket("bucket")
	if err != nil {
		return nil, err
	}
	directive := wordpress.MediaOffload(bucket, opts.mediaURL())
	caddy, err := e.Caddy(env.CaddyOptions{
		Binary: binary,
		Sites:  wordpress.Serve(directive, opts.siteURL()) + "\n" + bucket.ServeMedia(opts.mediaURL(), "header Access-Control-Allow-Origin *"),
	})
	if err != nil {
		return nil, err
	}
	s := &site{Site: wordpress, mediaURL: opts.mediaURL(), servers: []server{{caddy, php, wordpress.Uploads()}}}
	s.explain = func() { s.explainOne(bucket) }
	return s, nil
}

func portFree(port int) error {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return fmt.Errorf("%w; choose other ports by -port and -media-port ($DEMO_PORT, $DEMO_MEDIA_PORT)", err)
	}
	return listener.Close()
}

// seedFile keeps the address of the article that an earlier run made.
const seedFile = "demo-post"

// seed uploads pictures as a visitor of the admin screens would, and publishes
// an article with a gallery of them.
func (s *site) seed(ctx context.Context) error {
	note := filepath.Join(s.dir, seedFile)
	if made, err := os.ReadFile(note); err == nil {
		s.post = string(made)
		return nil
	}
	fmt.Println("uploading pictures ...")
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := wp.New(s.URL, transport)
	if err := client.Login(ctx, s.User, s.Password); err != nil {
		return err
	}
	var images []*wp.Attachment
	for i, name := range []string{"Mountain lake.jpg", "Föhn über Zürich.jpg", "Harbour 😀.jpg", "Old town.jpg"} {
		id, err := client.UploadGrid(ctx, sample.JPEG(name, 3, uint64(i)))
		if err != nil {
			return err
		}
		image, err := client.Attachment(ctx, id)
		if err != nil {
			return err
		}
		images = append(images, image)
	}
	post, err := client.Publish(ctx, "A gallery from the bucket", wp.Gallery(images), images[0].ID)
	if err != nil {
		return err
	}
	s.post = post.Link
	if err := os.WriteFile(note, []byte(s.post), 0o644); err != nil {
		return fmt.Errorf("noting the article: %w", err)
	}
	return nil
}

func (s *site) explainOne(bucket *env.DirBucket) {
	fmt.Printf(`
  site       %s/
  article    %s
  admin      %s/wp-admin/   user %s, password %s
  bucket     %s
  public     %s   serves the bucket's media/ and nothing else

What to try
  - Look at the article's source: every size of every picture comes from
    %s.
  - Upload a photo in wp-admin, or into an article. When the upload is done,
    all its sizes are in the bucket:   ls -R %s
  - Remove a picture at the shell: two seconds later its object is in the trash,
    %s/trash:   rm %s/20*/*/*-150x150.jpg
  - Edit or delete a picture in the media library and look at the bucket again.
  - Pull the plug in the middle of it:   kill -9 %d
    Caddy is started again and nothing is missing.
  - The configuration: %s
    The programs' logs: %s

Ctrl-C stops everything. The site stays in its folder for the next run.

`, s.URL, s.post, s.URL, s.User, s.Password, bucket.Dir, s.mediaURL, s.mediaURL,
		filepath.Join(bucket.Dir, "media"), filepath.Join(bucket.Dir, "offload"), s.Uploads(), s.servers[0].caddy.PID(),
		filepath.Join(s.dir, "caddy", "Caddyfile"), filepath.Join(s.dir, "*.log"))
}

// supervise starts a server's Caddy again when it is killed, until ctx ends or
// another program does.
func (s *site) supervise(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error)
	watch := func(f func() error) {
		go func() {
			ended <- f()
		}()
	}
	watch(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-s.DB.Done():
			return errors.New("MariaDB ended:\n" + strings.TrimSpace(s.DB.Log()))
		}
	})
	for i, server := range s.servers {
		watch(func() error { return server.supervise(ctx, i+1) })
	}
	var errs []error
	for range len(s.servers) + 1 {
		errs = append(errs, <-ended)
		cancel()
	}
	return errors.Join(errs...)
}

func (s server) supervise(ctx context.Context, number int) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.php.Done():
			return errors.New("PHP-FPM ended:\n" + strings.TrimSpace(s.php.Log()))
		case <-s.caddy.Done():
		}
		select {
		case <-ctx.Done(): // it ended with all the rest
			return nil
		default:
		}
		fmt.Printf("Caddy of server %d ended; starting it again ...\n", number)
		if err := s.caddy.Start(); err != nil {
			return err
		}
		fmt.Println("Caddy is back, process", s.caddy.PID())
	}
}
