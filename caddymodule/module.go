package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/publiccheck"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/web"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

const handlerID = "http.handlers.media_offload"

// Handler keeps a bucket equal to the media that an app writes to disk, makes
// the URLs of media in the app's pages public, and serves media that are not on
// this server's disk. It stands before the handler that runs the app.
type Handler struct {
	// The app whose media are kept in the bucket. Default: none; then `roots`
	// says where media lie.
	App *AppConfig `json:"app,omitempty"`

	// Media roots: directories that the app writes media to, with the URL path
	// of each, besides those that the app's preset knows. Default: none.
	Roots []RootConfig `json:"roots,omitempty"`

	// Further URL paths of roots. Default: none.
	Aliases []AliasConfig `json:"aliases,omitempty"`

	// The bucket that media are kept in. Required.
	Bucket *BucketConfig `json:"bucket,omitempty"`

	// The URL of the folder that holds the public objects, for example
	// `https://cdn.example.com`; a file's key is appended to it. Pages get it in
	// place of local media URLs. Placeholders such as `{env.PUBLIC_URL}` are
	// replaced when the config is loaded. Default: empty, pages stay as they
	// are and media are served under their local URLs.
	PublicURL string `json:"public_url,omitempty"`

	// Host names of the site besides the one of the request, whose media URLs
	// in pages are the site's own, too. Ports are ignored. A server whose config
	// names one of the hosts that the bucket's identity knows, here or as the
	// address of the site, is one of the site's; others are guests, which change
	// nothing in the bucket. Default: none.
	SiteHosts []string `json:"site_hosts,omitempty"`

	// Whether what needs CORS (web fonts, pictures and scripts with
	// `crossorigin`) may come from the public URL: `on` asks it, now and then,
	// and logs what is wrong; `off` does not ask, and leaves such URLs local;
	// `allowed` does not ask, and takes it for allowed. Default: `on`.
	CORSCheck string `json:"cors_check,omitempty"`

	// Whose media are on this server's disk: `all`, those of every server that
	// shares the bucket, so that each has a full copy and no two let the app
	// give one name to two files; `own`, what this server's app wrote, for one
	// server, or several on one shared directory. Default: `all`.
	Local string `json:"local,omitempty"`

	// The URL path that tells a load balancer whether this server is ready:
	// status 200 or 503, by whether it can serve media and, with the query
	// `for=uploads`, whether it can take uploads. Default: empty, none.
	Health string `json:"health,omitempty"`

	// How a media file is served that is in the bucket but not on disk:
	// `proxy` streams it, `redirect` sends the client to the public URL,
	// `presign` sends it to a URL that expires. A file that names others, as a
	// style sheet, is streamed where its URLs would lead elsewhere from there.
	// Default: `proxy`.
	Serve string `json:"serve,omitempty"`

	// How long a presigned URL is valid, at most 7 days. Default: `15m`.
	PresignTTL caddy.Duration `json:"presign_ttl,omitempty"`

	// What answers a request for a media file that neither the disk nor the
	// bucket has: `404` this module, if the app is known never to make a file
	// because it is asked for (WordPress; not if a plugin of it does), `app`
	// always the app. Default: `404`.
	Missing string `json:"missing,omitempty"`

	// How long the answer to a request that wrote media is held back at most,
	// until the files are in the bucket. An answer that takes the app longer than
	// this is passed on as it comes from then on, except for its last byte. If the server has a `write_timeout` it
	// should be longer. Default: `10s`; negative values are refused.
	Hold caddy.Duration `json:"hold,omitempty"`

	// How many bytes of such an answer are kept in memory; what is longer is
	// streamed, except for its end. Default: 1048576 (1 MiB); negative values
	// are refused.
	HoldBuffer int64 `json:"hold_buffer,omitempty"`

	// What the client gets if the files are not in the bucket by then: `pass`
	// sends the app's answer, `reject` status 503, or the end of the connection if
	// a part of the answer is out. The files stay queued either way. Default:
	// `pass`.
	OnFailure string `json:"on_failure,omitempty"`

	// How long a request that may write is kept from the app at most, until this
	// server knows what others wrote and the names of the request's files are
	// its own. Then `on_failure` decides: `pass` lets it go on (files that
	// collide are both kept, and the client of the second is told a failure),
	// `reject` answers an upload with status 503 before the app runs. The names of
	// a server that was killed are free after up to 15 seconds; a shorter wait
	// logs a warning. Default: `30s`; negative values are refused.
	ReadyWait caddy.Duration `json:"ready_wait,omitempty"`

	// How many requests from one client (an IPv4 address or the /64 of an IPv6 one;
	// behind a proxy, set the server's `trusted_proxies`) claim the names of files at
	// the same time, on this server. Further ones wait for one of these, at most for
	// `ready_wait`. A peer with a private, loopback or link-local address that is not
	// a trusted proxy is most likely one all the same, and has no such limit.
	// Default: 16; negative values are refused.
	UploadsPerClient int `json:"uploads_per_client,omitempty"`

	// How many bytes a second must come of the body of a request other than a POST
	// (a PUT, whose file the app may name before the body is there) that is larger than
	// 32 MiB, or found no room, so that the app gets it as it comes, in the time that
	// `slow_body_after` says. A slower one loses the names of its files; at its end it
	// claims them again, and is refused with status 503 if another request had them
	// meanwhile. (All others have the names of their files when they are all there,
	// and keep them from nobody before.) Default: 1024; negative values are refused.
	SlowBody int64 `json:"slow_body,omitempty"`

	// See `slow_body`. Default: `10s`; negative values are refused.
	SlowBodyAfter caddy.Duration `json:"slow_body_after,omitempty"`

	// Which deletes on disk are passed on to the bucket: `always`, all that are
	// seen; `requests`, those that happen while a request that may write is
	// running; `never`. Default: `always`.
	Deletes string `json:"deletes,omitempty"`

	// How long an object stays in the trash whose file was deleted outside a
	// request, or with many others. Default: 30 days. Negative: such deletes do
	// without the trash.
	Trash caddy.Duration `json:"trash,omitempty"`

	// Patterns of files, as in .gitignore, that are kept in the bucket but are
	// never public, besides the preset's. Default: none.
	Private []string `json:"private,omitempty"`

	// Patterns of files that are public although the preset says otherwise.
	// What a server might execute never leaves the disk. Default: none.
	Public []string `json:"public,omitempty"`

	// Patterns of files that stay on the disk, besides the preset's. Default:
	// none.
	Ignore []string `json:"ignore,omitempty"`

	// What answers a read of a private file by its own URL: `deny` this module,
	// with status 404, `app` the next handler, which knows who may have it. A
	// file that the app hands out by X-Accel-Redirect or the like, or by an
	// address of its own, is not meant by this. Default: `deny`.
	PrivateReads string `json:"private_reads,omitempty"`

	// Patterns of URL paths whose answers are not rewritten, besides the
	// preset's. Default: none.
	NoRewrite []string `json:"no_rewrite,omitempty"`

	// Patterns of URL paths of GET requests that may write or delete media,
	// besides the preset's. Default: none.
	MayWrite []string `json:"may_write,omitempty"`

	// Whether public URLs in pages get a query that changes with the file's
	// content, `?v=mo0123456789`, so that caches never show an old picture.
	// Default: false.
	URLVersion bool `json:"url_version,omitempty"`

	// The Cache-Control header of public media, stored with each object and
	// sent by this module. Default: empty, none.
	CacheControl string `json:"cache_control,omitempty"`

	// The Cache-Control header of some public media, in place of that. The
	// first rule that fits counts. Default: none.
	CacheControlRules []CacheControlRule `json:"cache_control_rules,omitempty"`

	// The Cache-Control header of private media, stored with each object and
	// sent where the app lets this module send one and says nothing of caches.
	// Default: empty, `private`.
	CacheControlPrivate string `json:"cache_control_private,omitempty"`

	// How many files are sent to the bucket at the same time. Default: 16;
	// negative values are refused.
	Workers int `json:"workers,omitempty"`

	// Of how many files the state is kept in memory, at about 200 bytes each.
	// Default: 262144; negative values are refused.
	IndexSize int `json:"index_size,omitempty"`

	site      *media.Site
	public    *publiccheck.Check // nil without a public URL
	engine    *sharedEngine      // nil: not acquired
	web       *web.Handler
	givenBack bool // by Cleanup
}

// AppConfig names an app that is known.
type AppConfig struct {
	// The app, for example `wordpress`. Required.
	Preset string `json:"preset,omitempty"`

	// The absolute path of the directory that holds the app. Placeholders are
	// replaced when the config is loaded. Required.
	DocRoot string `json:"docroot,omitempty"`

	// The URL path of an app that lies in a subdirectory of the site, for
	// example `/blog`. Default: empty, the app has the whole site.
	BasePath string `json:"base_path,omitempty"`

	// The URL paths, below the base path, of further sites of the same app, as
	// in a WordPress network in subdirectories. Default: none.
	Subsites []string `json:"subsites,omitempty"`
}

// RootConfig is a media root.
type RootConfig struct {
	// The absolute path of the directory. Placeholders are replaced when the
	// config is loaded. It may not exist yet. Required.
	Dir string `json:"dir,omitempty"`

	// The URL path of the directory, not percent-encoded, for example
	// `/images/`. Required.
	URL string `json:"url,omitempty"`

	// What the keys of this root begin with. Required if the site has several
	// roots; with one root it is not used. Default: empty.
	Name string `json:"name,omitempty"`
}

// AliasConfig is a further URL path of a media root, or of a directory below it.
type AliasConfig struct {
	// The URL path, not percent-encoded, for example `/shop/files/`. Required.
	URL string `json:"url,omitempty"`

	// The name of the root. Required if the site has several. Default: empty.
	Root string `json:"root,omitempty"`

	// The directory below the root, for example `2/files`. Default: empty, the
	// root itself.
	Dir string `json:"dir,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  handlerID,
		New: func() caddy.Module { return new(Handler) },
	}
}

// Ways to serve an object, see Handler.Serve.
const (
	serveProxy    = string(web.ServeProxy)
	serveRedirect = string(web.ServeRedirect)
	servePresign  = string(web.ServePresign)
)

// What to do when the bucket does not answer in time, see Handler.OnFailure.
const (
	onFailurePass   = "pass"
	onFailureReject = "reject"
)

// What answers for a media file that is nowhere, see Handler.Missing.
const (
	missing404 = "404"
	missingApp = "app"
)

// What answers a read of a private file by its own URL, see
// Handler.PrivateReads.
const (
	privateDeny = "deny"
	privateApp  = "app"
)

// Provision checks the config and gets an engine for it. It does no I/O but
// look whether the app's directory exists, and where media roots and a bucket's
// directory are: the engine is started by the app module (or the first request),
// so that `caddy validate` touches nothing.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.setDefaults()
	if err := h.check(); err != nil {
		return err
	}
	settings, err := h.engineSettings()
	if err != nil {
		return err
	}
	if err := settings.Bucket.check(h.Serve); err != nil {
		return err
	}
	if err := settings.checkDocRoot(); err != nil {
		return err
	}
	if err := settings.checkRoots(h.PublicURL != ""); err != nil {
		return err
	}
	if h.site, err = media.New(settings.Media); err != nil {
		return err
	}
	cache, err := settings.cachePolicy()
	if err != nil {
		return err
	}
	logger := ctx.Slogger()
	h.warn(logger)
	settings.warn(logger)
	if h.PublicURL != "" {
		if h.PublicURL, err = publicURL(h.PublicURL); err != nil {
			return fmt.Errorf("public_url: %w", err)
		}
		if web.IsPlainPublic(h.PublicURL) {
			logger.Warn("public_url begins with http: pages that visitors get by https stay as they are, as browsers block such files there",
				"public_url", h.PublicURL)
		}
	}
	app, err := ctx.App(appID)
	if err != nil {
		return err
	}
	if h.engine, err = acquireEngine(settings, h.site, logger); err != nil {
		return err
	}
	if err := h.engine.engine.CheckKeys(); err != nil {
		return err
	}
	if h.PublicURL != "" {
		if h.public, err = h.newCheck(logger); err != nil {
			return err
		}
	}
	if h.web, err = h.newWeb(cache); err != nil {
		return err
	}
	return app.(*App).add(h, logger)
}

// newCheck returns the check of the public URL.
func (h *Handler) newCheck(logger *slog.Logger) (*publiccheck.Check, error) {
	check, err := publiccheck.New(publiccheck.Config{
		PublicURL: h.PublicURL, CORS: publiccheck.CORS(h.CORSCheck), Count: &h.engine.cors,
		Hidden: h.engine.engine.HiddenObjects, Log: logger,
	})
	if err != nil {
		return nil, fmt.Errorf("public_url: %w", err)
	}
	return check, nil
}

// publicURL resolves placeholders in a public URL, checks it, and makes it end
// with a slash.
func publicURL(value string) (string, error) {
	value, err := replacePlaceholders(value)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return "", notPublicURL(value)
	}
	if port, err := strconv.ParseUint(cmp.Or(u.Port(), "443"), 10, 16); err != nil || port == 0 {
		return "", fmt.Errorf("%s is no port", u.Port())
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", errors.New("user information, query and fragment are not possible: a key is appended to the URL")
	}
	return strings.TrimSuffix(u.String(), "/") + "/", nil
}

// notPublicURL says what is wrong with a public URL. It repeats none that may hold a
// secret.
func notPublicURL(value string) error {
	const is = "is not an absolute http or https URL"
	if strings.Contains(value, "@") {
		return fmt.Errorf("the value %s, as https://cdn.example.com/media", is)
	}
	if u, err := url.Parse("https://" + value); err == nil && u.Host != "" && !strings.Contains(value, "//") && (u.Port() != "" || strings.Contains(u.Host, ".")) {
		return fmt.Errorf("%q %s: write the scheme, as https://%s", value, is, value)
	}
	return fmt.Errorf("%q %s, as https://cdn.example.com/media", value, is)
}

func replacePlaceholders(value string) (string, error) {
	return caddy.NewReplacer().ReplaceOrErr(value, true, true)
}

// Cleanup gives the engine back, once, and only if this instance got it: a
// config that failed to load must not take the engine from the one that runs.
func (h *Handler) Cleanup() error {
	h.public.Close()
	if h.engine == nil || h.givenBack {
		return nil
	}
	h.givenBack = true // h.engine stays: requests of this config may go on
	return h.engine.giveBack(h)
}

var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
