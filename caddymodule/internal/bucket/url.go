package bucket

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
)

// Options are what a bucket's URL does not say.
type Options struct {
	// S3 holds endpoint, region, credentials and so on of an s3:// bucket;
	// its Bucket must be empty, the URL names it.
	S3 S3Config
	// Log gets the few things that no error can tell; nil: none of them.
	Log *slog.Logger
}

// Open returns the store that spec names and the prefix for all keys in it,
// which is empty or ends with a slash:
//
//	s3://bucket          any S3-compatible store, the whole bucket
//	s3://bucket/a/b      the part of it whose keys begin with "a/b/"
//	file:///srv/media    the directory /srv/media; see OpenDir
//
// A store knows nothing of the prefix: its keys are whole keys. Open does no
// network I/O and does not look at the directory; Store.Probe does. A spec that
// is none of the above, or has credentials or options in it, is an error that
// says what to write instead and does not repeat the spec.
func Open(spec string, opts Options) (Store, string, error) {
	loc, err := parseSpec(spec)
	if err != nil {
		return nil, "", fmt.Errorf("opening the bucket: %w", err)
	}
	if loc.dir != "" {
		store, err := OpenDir(loc.dir, opts.Log)
		return store, "", err
	}
	if opts.S3.Bucket != "" && opts.S3.Bucket != loc.bucket {
		return nil, "", fmt.Errorf("opening the bucket: it is named twice, %s in its URL and %s beside it", loc.bucket, opts.S3.Bucket)
	}
	opts.S3.Bucket = loc.bucket
	store, err := OpenS3(opts.S3, opts.Log)
	return store, loc.prefix, err
}

// Dir returns the directory that a file:// spec names, "" for any other.
func Dir(spec string) string {
	loc, err := parseSpec(spec)
	if err != nil {
		return ""
	}
	return loc.dir
}

// location is a parsed spec: a directory, or a bucket with a prefix.
type location struct {
	dir            string
	bucket, prefix string
}

const specForms = "write s3://bucket, s3://bucket/prefix or file:///directory"

// parseSpec never repeats spec in an error: it may hold a secret.
func parseSpec(spec string) (location, error) {
	scheme, rest, ok := strings.Cut(spec, "://")
	if !ok {
		if strings.HasPrefix(spec, "/") {
			return location{}, errors.New("for a directory write file:// before its path")
		}
		return location{}, errors.New("this is no bucket's URL: " + specForms)
	}
	if strings.ContainsFunc(rest, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return location{}, errors.New("the URL has control characters")
	}
	if strings.ContainsAny(rest, "?#") {
		return location{}, errors.New("the URL has ? or #: give options beside it, not in it, and write these characters of a name as %3F and %23")
	}
	path, err := url.PathUnescape(rest)
	if err != nil {
		return location{}, errors.New("the URL has a % that begins no escape: write it as %25")
	}
	switch scheme {
	case "s3":
		return parseS3Spec(path)
	case "file":
		return parseFileSpec(path)
	}
	return location{}, errors.New("only s3:// and file:// are known: " + specForms)
}

func parseS3Spec(path string) (location, error) {
	bucket, prefix, _ := strings.Cut(path, "/")
	switch {
	case strings.Contains(bucket, "@"):
		return location{}, errors.New("credentials do not belong in the URL, which gets logged: use the options access_key and secret_key, or the environment")
	case bucket == "":
		return location{}, errors.New("the bucket's name is missing: " + specForms)
	case strings.Contains(bucket, ":"):
		return location{}, errors.New("the URL has a port: give the server as the option endpoint, and the bucket's name in the URL")
	}
	if !isBucketName(bucket) {
		return location{}, fmt.Errorf("%.80q is no bucket's name: 3 to 63 of a-z, 0-9, . and -", bucket)
	}
	prefix = strings.TrimSuffix(prefix, "/")
	if prefix == "" {
		return location{bucket: bucket}, nil
	}
	if fault := keyFault(prefix); fault != "" {
		return location{}, errors.New("the prefix cannot begin a key: " + fault)
	}
	return location{bucket: bucket, prefix: prefix + "/"}, nil
}

// isBucketName takes what any store takes: old buckets have capitals and
// underscores.
func isBucketName(s string) bool {
	for _, c := range []byte(s) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return len(s) >= 3 && len(s) <= 255 && s[0] != '.' && s[0] != '-' && !strings.Contains(s, "..")
}

func parseFileSpec(path string) (location, error) {
	if !strings.HasPrefix(path, "/") {
		return location{}, errors.New("file:// takes an absolute path: write three slashes, file:///srv/media")
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == ".." || segment == "." {
			return location{}, errors.New("the path has . or .. in it: write it without")
		}
	}
	dir := filepath.Clean(filepath.FromSlash(path))
	if dir == string(filepath.Separator) {
		return location{}, errors.New("the root directory cannot be a bucket: name a directory in it")
	}
	return location{dir: dir}, nil
}
