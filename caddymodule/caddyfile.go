package caddymodule

import (
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/dustin/go-humanize"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("media_offload", parseCaddyfile)
	// After encode in the order of directives means inside of it: encode then
	// compresses what was rewritten.
	httpcaddyfile.RegisterDirectiveOrder("media_offload", httpcaddyfile.After, "encode")
}

func parseCaddyfile(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return handler, nil
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	media_offload [<matcher>] {
//		app <preset> <docroot> {
//			base_path <path>
//			subsites <path...>
//		}
//		root          <dir> <url-path> [<name>]
//		alias         <url-path> <root name> [<dir below it>]
//		bucket <url> {
//			endpoint       <url>
//			region         <name>
//			path_style     [true|false]
//			access_key     <key>
//			secret_key     <secret>
//			session_token  <token>
//			sse            AES256|aws:kms|aws:kms:dsse
//			kms_key        <id>
//			storage_class  <class>
//			acl            <acl>
//			checksum       crc32|md5
//			public_prefix  <prefix>
//			private_prefix <prefix>
//			control_prefix <prefix>
//		}
//		public_url    <url>
//		site_hosts    <host...>
//		cors_check    on|off|allowed
//		local         all|own
//		serve         proxy|redirect|presign [<ttl>]
//		missing       404|app
//		private_reads deny|app
//		hold          <duration>
//		hold_buffer   <size>
//		on_failure    pass|reject
//		ready_wait    <duration>
//		slow_body     <bytes per second> [<after>]
//		uploads_per_client <n>
//		health        <path>
//		deletes       always|requests|never
//		trash         <duration>|off
//		private       <pattern...>
//		public        <pattern...>
//		ignore        <pattern...>
//		no_rewrite    <pattern...>
//		may_write     <pattern...>
//		url_version   on|off
//		cache_control [public|private|<pattern>] <value>
//		workers       <n>
//		index_size    <n>
//	}
//
// root, alias, cache_control and the lists may be repeated; all else may stand once.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if seen[option] && !repeatable[option] {
			return d.Errf("%s is given twice", option)
		}
		seen[option] = true
		if err := h.unmarshalOption(d, option); err != nil {
			return err
		}
	}
	return nil
}

// repeatable are the options that add to a list.
var repeatable = map[string]bool{
	"root": true, "alias": true, "site_hosts": true, "private": true, "public": true, "ignore": true,
	"no_rewrite": true, "may_write": true, "cache_control": true,
}

func (h *Handler) unmarshalOption(d *caddyfile.Dispenser, option string) error {
	switch option {
	case "app":
		return h.unmarshalApp(d)
	case "root":
		return h.unmarshalRoot(d)
	case "alias":
		return h.unmarshalAlias(d)
	case "bucket":
		return h.unmarshalBucket(d)
	case "public_url":
		return oneArg(d, &h.PublicURL)
	case "site_hosts":
		return someArgs(d, &h.SiteHosts)
	case "cors_check":
		return wordArg(d, &h.CORSCheck, wordOn, wordOff, wordAllowed)
	case "local":
		return wordArg(d, &h.Local, string(offload.LocalAll), string(offload.LocalOwn))
	case "health":
		return oneArg(d, &h.Health)
	case "serve":
		return h.unmarshalServe(d)
	case "missing":
		return wordArg(d, &h.Missing, missing404, missingApp)
	case "hold":
		return durationArg(d, &h.Hold)
	case "hold_buffer":
		return sizeArg(d, &h.HoldBuffer)
	case "private_reads":
		return wordArg(d, &h.PrivateReads, privateDeny, privateApp)
	case "on_failure":
		return wordArg(d, &h.OnFailure, onFailurePass, onFailureReject)
	case "ready_wait":
		return durationArg(d, &h.ReadyWait)
	case "slow_body":
		return h.unmarshalSlowBody(d)
	case "uploads_per_client":
		return countArg(d, &h.UploadsPerClient)
	case "deletes":
		return wordArg(d, &h.Deletes, "always", "requests", "never")
	case "trash":
		return h.unmarshalTrash(d)
	case "private":
		return someArgs(d, &h.Private)
	case "public":
		return someArgs(d, &h.Public)
	case "ignore":
		return someArgs(d, &h.Ignore)
	case "no_rewrite":
		return someArgs(d, &h.NoRewrite)
	case "may_write":
		return someArgs(d, &h.MayWrite)
	case "url_version":
		return onOffArg(d, &h.URLVersion)
	case "cache_control":
		return h.unmarshalCacheControl(d)
	case "workers":
		return countArg(d, &h.Workers)
	case "index_size":
		return countArg(d, &h.IndexSize)
	}
	return d.Errf("unknown option %q", option)
}

func (h *Handler) unmarshalTrash(d *caddyfile.Dispenser) error {
	text := ""
	if err := oneArg(d, &text); err != nil {
		return err
	}
	if text == wordOff {
		h.Trash = -1
		return nil
	}
	if err := parseDuration(d, "trash", text, &h.Trash); err != nil {
		return d.Errf("trash: %q is neither off nor a positive duration, as 30d", text)
	}
	return nil
}

func (h *Handler) unmarshalApp(d *caddyfile.Dispenser) error {
	h.App = new(AppConfig)
	if !d.AllArgs(&h.App.Preset, &h.App.DocRoot) {
		return d.Errf("app takes a preset and the app's directory, as `app wordpress /var/www/html`")
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if seen[option] && option != "subsites" {
			return d.Errf("app: %s is given twice", option)
		}
		seen[option] = true
		var err error
		switch option {
		case "base_path":
			err = oneArg(d, &h.App.BasePath)
		case "subsites":
			err = someArgs(d, &h.App.Subsites)
		default:
			err = d.Errf("app: unknown option %q", option)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *Handler) unmarshalRoot(d *caddyfile.Dispenser) error {
	var root RootConfig
	args := d.RemainingArgs()
	switch len(args) {
	case 3:
		root.Name = args[2]
		fallthrough
	case 2:
		root.Dir, root.URL = args[0], args[1]
	default:
		return d.Errf("root takes a directory, its URL path and perhaps a name, as `root /var/www/html/images /images/`")
	}
	h.Roots = append(h.Roots, root)
	return nil
}

func (h *Handler) unmarshalAlias(d *caddyfile.Dispenser) error {
	var a AliasConfig
	args := d.RemainingArgs()
	switch len(args) {
	case 3:
		a.Dir = args[2]
		fallthrough
	case 2:
		a.URL, a.Root = args[0], args[1]
	default:
		return d.Errf("alias takes a URL path, the name of a root and perhaps a directory below it, as `alias /shop/files/ blogs.dir 2/files`")
	}
	h.Aliases = append(h.Aliases, a)
	return nil
}

func (h *Handler) unmarshalBucket(d *caddyfile.Dispenser) error {
	h.Bucket = new(BucketConfig)
	if !d.AllArgs(&h.Bucket.URL) {
		return d.Errf("bucket takes a URL, as `bucket s3://my-bucket/site1` or `bucket file:///var/lib/media-bucket`")
	}
	options := h.Bucket.strings()
	delete(options, "url")
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if seen[option] {
			return d.Errf("bucket: %s is given twice", option)
		}
		seen[option] = true
		if option == "path_style" {
			if err := boolArg(d, &h.Bucket.PathStyle); err != nil {
				return err
			}
			continue
		}
		value, ok := options[option]
		if !ok {
			return d.Errf("bucket: unknown option %q", option)
		}
		if err := oneArg(d, value); err != nil {
			return err
		}
	}
	return nil
}

func (h *Handler) unmarshalServe(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 || len(args) > 2 || len(args) == 2 && args[0] != servePresign {
		return d.Errf("serve takes proxy, redirect, or presign with perhaps a time, as `serve presign 15m`")
	}
	h.Serve = args[0]
	switch h.Serve {
	case serveProxy, serveRedirect, servePresign:
	default:
		return d.Errf("serve: %q is none of proxy, redirect, presign", h.Serve)
	}
	if len(args) < 2 {
		return nil
	}
	ttl, err := caddy.ParseDuration(args[1])
	if err != nil || ttl <= 0 {
		return d.Errf("serve presign: %q is not a positive duration, as 15m", args[1])
	}
	h.PresignTTL = caddy.Duration(ttl)
	return nil
}

func (h *Handler) unmarshalSlowBody(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 || len(args) > 2 {
		return d.Errf("slow_body takes bytes per second and perhaps a time, as `slow_body 1KiB 10s`")
	}
	if err := parseSize(d, "slow_body", args[0], &h.SlowBody); err != nil || len(args) == 1 {
		return err
	}
	return parseDuration(d, "slow_body", args[1], &h.SlowBodyAfter)
}

// oneArg takes the only argument of an option, which must not be empty.
func oneArg(d *caddyfile.Dispenser, value *string) error {
	option := d.Val()
	if !d.AllArgs(value) || *value == "" {
		return d.Errf("%s takes one value", option)
	}
	return nil
}

func someArgs(d *caddyfile.Dispenser, values *[]string) error {
	option := d.Val()
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.Errf("%s takes at least one value", option)
	}
	*values = append(*values, args...)
	return nil
}

func wordArg(d *caddyfile.Dispenser, value *string, words ...string) error {
	option := d.Val()
	if err := oneArg(d, value); err != nil {
		return err
	}
	list := ""
	for i, word := range words {
		if *value == word {
			return nil
		}
		if i > 0 {
			list += ", "
		}
		list += word
	}
	return d.Errf("%s: %q is none of %s", option, *value, list)
}

func durationArg(d *caddyfile.Dispenser, value *caddy.Duration) error {
	option, text := d.Val(), ""
	if err := oneArg(d, &text); err != nil {
		return err
	}
	return parseDuration(d, option, text, value)
}

func parseDuration(d *caddyfile.Dispenser, option, text string, value *caddy.Duration) error {
	duration, err := caddy.ParseDuration(text)
	if err != nil || duration <= 0 {
		return d.Errf("%s: %q is not a positive duration, as 10s", option, text)
	}
	*value = caddy.Duration(duration)
	return nil
}

func sizeArg(d *caddyfile.Dispenser, value *int64) error {
	option, text := d.Val(), ""
	if err := oneArg(d, &text); err != nil {
		return err
	}
	return parseSize(d, option, text, value)
}

func parseSize(d *caddyfile.Dispenser, option, text string, value *int64) error {
	size, err := humanize.ParseBytes(text)
	if err != nil || size == 0 || size > maxHoldBuffer {
		return d.Errf("%s: %q is not a size between 1 byte and 1GiB, as 1MiB", option, text)
	}
	*value = int64(size)
	return nil
}

func countArg(d *caddyfile.Dispenser, value *int) error {
	option, text := d.Val(), ""
	if err := oneArg(d, &text); err != nil {
		return err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return d.Errf("%s: %q is not a positive number", option, text)
	}
	*value = n
	return nil
}

func onOffArg(d *caddyfile.Dispenser, value *bool) error {
	word := ""
	if err := wordArg(d, &word, wordOn, wordOff); err != nil {
		return err
	}
	*value = word == wordOn
	return nil
}

func boolArg(d *caddyfile.Dispenser, value **bool) error {
	option := d.Val()
	args := d.RemainingArgs()
	on := true
	if len(args) == 1 {
		var err error
		if on, err = strconv.ParseBool(args[0]); err != nil {
			return d.Errf("%s: %q is neither true nor false", option, args[0])
		}
	}
	if len(args) > 1 {
		return d.Errf("%s takes at most one value", option)
	}
	*value = &on
	return nil
}

var _ caddyfile.Unmarshaler = (*Handler)(nil)
