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
)

// warn tells of directories that may be mistyped, and of media roots that hold more
// than media.
func (s *engineSettings) warn(log *slog.Logger) {
	if dir := s.Media.DocRoot; dir != "" && !findLocation(filepath.Join(dir, "index.php")).exists {
		log.Warn("the app's directory has no index.php: if the app is installed, name the directory that holds it", "directory", dir)
	}
	for _, root := range s.Media.Roots {
		if !findLocation(root.Dir).exists {
			log.Warn("the media root does not exist: nothing is stored until the app has made it; if the app has made it elsewhere, its path is mistyped",
				"root", root.Dir, "url", root.URL)
		}
		var holds string
		switch {
		case root.URL == "/":
			holds = "its URL is the whole site's"
		case findLocation(filepath.Join(root.Dir, "index.php")).size() > emptyIndex:
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

// checkRoots finds roots whose URL and directory stand in each other's place, or are
// far too much. public tells whether pages name a public URL.
func (s *engineSettings) checkRoots(public bool) error {
	for _, root := range s.Media.Roots {
		dir := filepath.Clean(root.Dir)
		switch {
		case strings.ContainsAny(root.URL, "*?#{"):
			return fmt.Errorf("root %s: the URL %q must be a plain path, as /images/", root.Dir, root.URL)
		case swapped(root.Dir, root.URL):
			url := filepath.Clean(root.URL)
			return fmt.Errorf("root: %s is no directory of uploads on this server, and the URL %s is a path of its disk: are the two swapped? "+
				"write `root %s %s/`, or make the directory %s first", dir, root.URL, url, dir, dir)
		case slices.Contains(systemsOwn, dir):
			return fmt.Errorf("root: %s is the system's own, and all files below it would be media: name the directory that the app writes uploads to", dir)
		case root.URL == "/" && public:
			return fmt.Errorf("root: with a public_url every URL of the site would be one of media: name the path of the uploads, as `root %s/images /images/`", dir)
		}
	}
	return nil
}

// systemsOwn are directories that no app writes uploads to; sharedPlaces are such as
// have a directory for each purpose below them, and exist on a bare system.
var (
	systemsOwn = []string{
		"/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib32", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/usr", "/var",
	}
	sharedPlaces = []string{"/media", "/mnt", "/opt", "/srv", "/tmp"}
)

// swapped reports whether dir is rather a URL path, and url a directory. A
// directory that does not exist yet is none to be sure of, nor is a URL that is
// the path of a directory by chance, as /media/ and /tmp/ are.
func swapped(dir, url string) bool {
	if !filepath.IsAbs(dir) || !filepath.IsAbs(url) {
		return false // that is refused anyway
	}
	dir, url = filepath.Clean(dir), filepath.Clean(url)
	at, above := findLocation(dir), filepath.Dir(url)
	switch {
	case dir == url || strings.HasSuffix(dir, url):
		return false
	case at.exists:
		return slices.Contains(sharedPlaces, dir) && above != string(filepath.Separator) && findLocation(above).exists
	case strings.HasSuffix(url, dir): // as that of images in /var/www/html/images
		return findLocation(above).exists
	}
	return len(at.chain) == 1 && findLocation(url).exists // nothing of it exists but /
}
