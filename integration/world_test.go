//go:build integration

package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/check"
	"github.com/media-offload/caddy-media-offload/integration/env"
	"github.com/media-offload/caddy-media-offload/integration/wp"
)

// store is a kind of bucket that the tests run on.
type store string

const (
	onVersitygw store = "versitygw"
	onMinIO     store = "MinIO"
	onFile      store = "file"
)

var allStores = []store{onVersitygw, onMinIO, onFile}

// s3Servers are started when a test first needs them.
var s3Servers = map[store]func() (*env.S3Server, error){
	onVersitygw: sync.OnceValues(func() (*env.S3Server, error) { return shared.env.Versitygw() }),
	onMinIO:     sync.OnceValues(func() (*env.S3Server, error) { return shared.env.MinIO() }),
}

// worldOptions say how the site of a test is set up.
type worldOptions struct {
	store store
	php   env.PHPOptions
	// dir is the folder of a file:// bucket. Default: one of the environment.
	dir string
	// faults puts a FaultProxy before the S3 server.
	faults bool
	// options are further lines of the media_offload block.
	options []string
	// directives are further lines of the site's block.
	directives []string
	// straight serves the app at a second address, without the module.
	straight bool
	// sameURL leaves public_url out.
	sameURL bool
	// mediaSite makes the public URL a second address of this Caddy.
	mediaSite bool
	// https serves the site at an https address too.
	https bool
	// global are lines for Caddy's global options.
	global string
	// config is added to wp-config.php.
	config string
	// newest takes the newest WordPress, not Debian's.
	newest bool
	// host is the name of the site's host. Default 127.0.0.1.
	host string
}

// world is an app behind this repository's Caddy, with a bucket.
type world struct {
	t   *testing.T
	env *env.Env
	app *env.App
	// site is the app if it is a WordPress.
	site   *env.Site
	caddy  *env.Caddy
	bucket env.Bucket
	faults *env.FaultProxy
	check  *check.Checker
	// addresses are further ones of the app.
	addresses []string
	// assets are paths of the app's own pictures, which are no media.
	assets []string
	// caddyfile are the sites that Caddy was started with.
	caddyfile string
	// publicURL is where the public objects are, without a slash at the end;
	// empty with sameURL.
	publicURL string
	// settled counts the calls of settle.
	settled int
	// direct is the address of the app without the module, if there is one.
	direct string
	// secure is the https address of the site, if it has one.
	secure string
}

var bucketCount atomic.Int64

// bucketName is a new name for a bucket.
func bucketName() string { return fmt.Sprintf("media-%d", bucketCount.Add(1)) }

// newWorld makes a world with a WordPress.
func newWorld(t *testing.T, opts worldOptions) *world {
	t.Helper()
	return newAppWorld(t, opts, func(w *world, php *env.PHP) {
		w.site = must1(w.env.WordPress(shared.db, php, env.SiteOptions{
			URL: addressOf(t, opts.host), Name: databaseName(t), Config: opts.config, Newest: opts.newest,
		}))(t)
		w.app = w.site.App
		w.check.Root = w.site.Uploads()
	})
}

// newAppWorld makes a world. install sets its app and says which media the
// checker compares.
func newAppWorld(t *testing.T, opts worldOptions, install func(w *world, php *env.PHP)) *world {
	t.Helper()
	w := &world{t: t, env: newEnv(t)}
	w.makeBucket(opts)
	w.check = &check.Checker{Bucket: w.bucket}
	install(w, must1(w.env.PHP(opts.php))(t))
	w.caddyfile = w.sites(opts)
	w.caddy = must1(w.env.Caddy(env.CaddyOptions{
		Binary: must1(shared.caddy.Build())(t), Global: opts.global, Sites: w.caddyfile,
		Environ: []string{"GORACE=halt_on_error=0"},
	}))(t)
	t.Cleanup(func() {
		if races := w.caddy.DataRaces(); races != "" {
			t.Error(races)
		}
	})
	return w
}

func (w *world) makeBucket(opts worldOptions) {
	w.t.Helper()
	if opts.store == onFile {
		bucket := &env.DirBucket{Dir: opts.dir}
		if opts.dir == "" {
			bucket = must1(w.env.DirBucket("bucket"))(w.t)
		}
		w.bucket = bucket
		w.publicURL = address(w.t)
		return
	}
	server := must1(s3Servers[opts.store]())(w.t)
	bucket := must1(server.NewBucket(bucketName(), "site1/"))(w.t)
	w.publicURL = must1(bucket.Publish())(w.t)
	if opts.faults {
		w.faults = must1(w.env.FaultProxy(server.Endpoint))(w.t)
		bucket.Endpoint = w.faults.Endpoint
	}
	w.bucket = bucket
}

// sites is the Caddyfile of the world.
func (w *world) sites(opts worldOptions) string {
	w.t.Helper()
	if opts.sameURL {
		w.publicURL = ""
	}
	addresses := append([]string{w.app.URL}, w.addresses...)
	if opts.mediaSite {
		second := address(w.t)
		addresses = append(addresses, second)
		w.publicURL = second + "/wp-content/uploads"
	}
	directive := w.app.MediaOffload(w.bucket, w.publicURL, opts.options...) + strings.Join(opts.directives, "\n")
	sites := w.app.Serve(directive, addresses...)
	if opts.https {
		w.secure = strings.Replace(address(w.t), "http:", "https:", 1)
		sites += "\n" + w.app.Serve("tls internal\n"+directive, w.secure)
	}
	if opts.straight {
		w.direct = addressOf(w.t, opts.host)
		sites += "\n" + w.app.Serve("", w.direct)
	}
	if bucket, ok := w.bucket.(*env.DirBucket); ok && !opts.sameURL {
		sites += "\n" + bucket.ServeMedia(w.publicURL)
	}
	return sites
}

// databases counts the sites by the names of their tests.
var databases struct {
	sync.Mutex
	count map[string]int
}

// databaseName is a name for the test's site, unique in the shared database, also if
// the test runs again (-count): what it saved the first time must not be found.
func databaseName(t *testing.T) string {
	databases.Lock()
	defer databases.Unlock()
	if databases.count == nil {
		databases.count = make(map[string]int)
	}
	name := databasePrefix(t)
	databases.count[name]++
	if n := databases.count[name]; n > 1 {
		return fmt.Sprintf("%s_%d", name, n)
	}
	return name
}

func databasePrefix(t *testing.T) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.TrimPrefix(t.Name(), "Test"))
	return strings.ToLower(name[max(0, len(name)-50):])
}

// login returns a client that after each answer to a request that may write
// finds the disk and the bucket equal.
//
// Promise 1: "When the client has the last byte of the answer to a request
// […] wrote media, every file that was written,
// renamed or deleted in a media root while it ran is committed".
func (w *world) login(ctx context.Context) *wp.Client {
	w.t.Helper()
	client := login(w.t, ctx, w.site)
	client.AfterWrite = w.equalAfter(ctx)
	return client
}

// equalAfter fails the test if disk and bucket differ after a request.
func (w *world) equalAfter(ctx context.Context) func(request string) {
	var before []string
	return func(request string) {
		problems, err := w.check.Compare(ctx)
		if err != nil {
			w.t.Errorf("after %s: %v", request, err)
		}
		var news []string // what lasts is told once
		for _, problem := range problems {
			if !slices.Contains(before, problem) {
				news = append(news, problem)
			}
		}
		before = problems
		if len(news) > 0 {
			w.t.Errorf("after %s disk and bucket differ:\n%s", request, strings.Join(news, "\n"))
		}
	}
}

// equalWithin fails the test unless disk and bucket become equal within d.
func (w *world) equalWithin(ctx context.Context, what string, d time.Duration) {
	w.t.Helper()
	took, err := w.check.Eventually(ctx, d)
	if err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
	w.t.Logf("%s: equal after %s", what, took.Round(time.Millisecond))
}

// noLeftovers fails the test if unfinished uploads or temporary files stay.
func (w *world) noLeftovers(ctx context.Context) {
	w.t.Helper()
	var left []string
	waitFor(w.t, 10*time.Second, "end of unfinished uploads", func() bool {
		left = must1(w.bucket.Uploads(ctx))(w.t)
		return len(left) == 0
	})
	if len(left) > 0 {
		w.t.Errorf("unfinished uploads are left: %v", left)
	}
}
