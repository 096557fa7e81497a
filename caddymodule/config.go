package caddymodule

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
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
	case h.App == nil && len(h.Roots) == 0:
		return errors.New("no media root: write, for example, `app wordpress /var/www/html`, or `root /var/www/html/images /images/`")
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

// warn tells of media roots that hold more than media.
func (s *engineSettings) warn(log *slog.Logger) {
	for _, root := range s.Media.Roots {
		var holds string
		switch {
		case filepath.Clean(root.Dir) == string(filepath.Separator):
			holds = "its directory is the whole disk"
		case root.URL == "/":
			holds = "its URL is the whole site's"
		case findPlace(filepath.Join(root.Dir, "index.php")).size() > emptyIndex:
			holds = "its directory has an app's index.php"
		default:
			continue
		}
		log.Warn("a media root is more than a directory that the app writes uploads to: all files below it are media, go to the bucket and "+
			"have public URLs, but for those that a rule keeps; name the directories of uploads alone", "root", root.Dir, "url", root.URL, "why", holds)
	}
}

// emptyIndex is what an index.php has at most that only keeps a directory from
// being listed, as some plugins put into directories of uploads.
const emptyIndex = 256

// maxHoldBuffer is the largest Handler.HoldBuffer.
const maxHoldBuffer = 1 << 30

// checkDocRoot finds a mistyped directory early. A missing media root is no
// mistake: the app makes it with the first upload.
func (s *engineSettings) checkDocRoot() error {
	dir := s.Media.DocRoot
	if dir == "" {
		return nil
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("app: the directory %s does not exist: name the one that holds the app's index.php", dir)
	case err != nil:
		return fmt.Errorf("app: looking for the app: %w", err)
	case !info.IsDir():
		return fmt.Errorf("app: %s is not a directory: name the one that holds the app's index.php", dir)
	}
	return nil
}

// checkRoots finds roots whose URL and directory stand in each other's place.
func (s *engineSettings) checkRoots() error {
	for _, root := range s.Media.Roots {
		if swapped(root.Dir, root.URL) {
			dir, url := filepath.Clean(root.Dir), filepath.Clean(root.URL)
			return fmt.Errorf("root: the directory %s does not exist, and the URL %s is a path of this server's disk: are the two swapped? "+
				"write `root %s %s/`, or make the directory %s first", dir, root.URL, url, dir, dir)
		}
	}
	return nil
}

// swapped reports whether dir is rather a URL path, and url a directory. A
// directory that does not exist yet is none to be sure of, nor is a URL that is
// the path of a directory by chance, as /media/ and /tmp/ are.
func swapped(dir, url string) bool {
	if !filepath.IsAbs(dir) || !filepath.IsAbs(url) {
		return false // that is refused anyway
	}
	dir, url = filepath.Clean(dir), filepath.Clean(url)
	at := findPlace(dir)
	switch {
	case at.exists || dir == url || strings.HasSuffix(dir, url):
		return false
	case strings.HasSuffix(url, dir): // as that of images in /var/www/html/images
		return findPlace(filepath.Dir(url)).exists
	}
	return len(at.chain) == 1 && findPlace(url).exists // nothing of it exists but /
}
