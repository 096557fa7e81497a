package caddymodule

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload"
)

// Words of options that are one or the other.
const (
	wordOn      = "on"
	wordOff     = "off"
	wordAllowed = "allowed"
)

func (h *Handler) setDefaults() {
	setDefault(&h.Local, string(offload.LocalAll))
	setDefault(&h.Serve, serveProxy)
	setDefault(&h.PresignTTL, caddy.Duration(15*time.Minute))
	setDefault(&h.Hold, caddy.Duration(10*time.Second))
	setDefault(&h.HoldBuffer, 1<<20)
	setDefault(&h.OnFailure, onFailurePass)
	setDefault(&h.PrivateReads, privateDeny)
	setDefault(&h.ReadyWait, caddy.Duration(30*time.Second))
	setDefault(&h.UploadsPerClient, 16)
	setDefault(&h.SlowBody, 1<<10)
	setDefault(&h.SlowBodyAfter, caddy.Duration(10*time.Second))
	setDefault(&h.Missing, missing404)
	setDefault(&h.CORSCheck, wordOn)
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// check refuses values that make no sense. The engine and package media check
// their own.
func (h *Handler) check() error {
	for _, option := range []struct {
		name, value string
		words       []string
	}{
		{"serve", h.Serve, []string{serveProxy, serveRedirect, servePresign}},
		{"local", h.Local, []string{string(offload.LocalAll), string(offload.LocalOwn)}},
		{"on_failure", h.OnFailure, []string{onFailurePass, onFailureReject}},
		{"private_reads", h.PrivateReads, []string{privateDeny, privateApp}},
		{"missing", h.Missing, []string{missing404, missingApp}},
		{"cors_check", h.CORSCheck, []string{wordOn, wordOff, wordAllowed}},
	} {
		if !slices.Contains(option.words, option.value) {
			return fmt.Errorf("%s: %q is none of %s", option.name, option.value, strings.Join(option.words, ", "))
		}
	}
	for _, host := range h.SiteHosts {
		if err := checkSiteHost(host); err != nil {
			return fmt.Errorf("site_hosts: %w", err)
		}
	}
	switch {
	case h.Hold < 0:
		return errors.New("hold: must be positive, for example 10s")
	case h.ReadyWait < 0:
		return errors.New("ready_wait: must be positive, for example 30s")
	case h.UploadsPerClient < 0:
		return errors.New("uploads_per_client: must be positive, for example 16")
	case h.SlowBody < 0 || h.SlowBodyAfter < 0:
		return errors.New("slow_body: must be positive, for example 1KiB 10s")
	case h.HoldBuffer < 0:
		return errors.New("hold_buffer: must be positive, for example 1MiB")
	case h.HoldBuffer > maxHoldBuffer:
		return errors.New("hold_buffer: must not be above 1GiB: so much may be kept in memory for each upload")
	case h.PresignTTL < caddy.Duration(time.Second) || h.PresignTTL > caddy.Duration(7*24*time.Hour):
		return errors.New("serve presign: the time must be between 1s and 7d")
	case h.Workers < 0 || h.IndexSize < 0:
		return errors.New("workers and index_size must be positive")
	case h.Health != "" && (h.Health[0] != '/' || strings.ContainsAny(h.Health, "?#{")):
		return fmt.Errorf("health: %q is not a URL path, as /media-offload/health", h.Health)
	case h.Serve == serveRedirect && h.PublicURL == "":
		return errors.New("serve redirect needs a public_url to redirect to")
	case h.Bucket == nil || h.Bucket.URL == "":
		return errors.New("no bucket: write, for example, `bucket s3://my-bucket/site1`, or `bucket file:///var/lib/media-bucket` for a directory")
	case h.App != nil && filepath.IsAbs(h.App.Preset):
		return fmt.Errorf("app: the preset comes first: write `app %s %s`", h.App.DocRoot, h.App.Preset)
	case h.App == nil && len(h.Roots) == 0:
		return errors.New("no media root: write, for example, `app wordpress /var/www/html`, or `root /var/www/html/images /images/`")
	}
	return nil
}

// checkSiteHost refuses what no request's Host is.
func checkSiteHost(host string) error {
	_, after, isURL := strings.Cut(host, "://")
	if !isURL {
		after = host
	}
	name, _, isPath := strings.Cut(after, "/")
	switch {
	case strings.Contains(host, ","):
		return fmt.Errorf("%q is no name of a host: separate several by spaces", host)
	case strings.Contains(host, "*"):
		return fmt.Errorf("%q is no name of a host: write each name, as www.example.com", host)
	case isURL || isPath:
		return fmt.Errorf("%q is no name of a host: write %s", host, name)
	case hostname(host) == "" || strings.ContainsAny(host, " {}?#@"):
		return fmt.Errorf("%q is no name of a host, as www.example.com", host)
	}
	return nil
}

// leaseWait is how long it may take until names are free that a killed server had
// claimed: its leases' ten seconds, the margin between two servers' clocks, and
// the looks in between.
const leaseWait = 15 * time.Second

// warn tells of values that are allowed, and mostly no good.
func (h *Handler) warn(log *slog.Logger) {
	if h.Local == string(offload.LocalAll) && time.Duration(h.ReadyWait) < leaseWait {
		log.Warn("ready_wait is shorter than the names of a killed server stay claimed: until they are free, uploads with such names go on "+
			"without a claim (or are refused, with on_failure reject), and two servers may give one name; the second client is told a failure then",
			"ready_wait", time.Duration(h.ReadyWait), "at_least", leaseWait)
	}
}

// maxHoldBuffer is the largest Handler.HoldBuffer.
const maxHoldBuffer = 1 << 30
