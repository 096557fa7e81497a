package bucket

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// Location is what a bucket's URL names: a directory, or an S3 bucket.
type Location struct {
	// Dir is the directory; empty for an S3 bucket.
	Dir string
	// Bucket is the S3 bucket's name; empty for a directory.
	Bucket string
	// Prefix begins all keys in it: empty, or it ends with a slash. A store knows
	// nothing of it: its keys are whole keys.
	Prefix string
}

const specForms = "write s3://bucket, s3://bucket/prefix or file:///directory"

// ParseURL reads a bucket's URL:
//
//	s3://bucket          any S3-compatible store, the whole bucket
//	s3://bucket/a/b      the part of it whose keys begin with "a/b/"
//	file:///srv/media    the directory /srv/media
//
// One that is none of these, or has credentials or options in it, is an error that
// says what to write instead. It never repeats the URL, which may hold a secret.
func ParseURL(spec string) (Location, error) {
	scheme, rest, ok := strings.Cut(spec, "://")
	if !ok {
		if strings.HasPrefix(spec, "/") {
			return Location{}, errors.New("for a directory write file:// before its path")
		}
		return Location{}, errors.New("this is no bucket's URL: " + specForms)
	}
	if strings.ContainsFunc(rest, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return Location{}, errors.New("the URL has control characters")
	}
	if strings.ContainsAny(rest, "?#") {
		return Location{}, errors.New("the URL has ? or #: give options beside it, not in it, and write these characters of a name as %3F and %23")
	}
	path, err := url.PathUnescape(rest)
	if err != nil {
		return Location{}, errors.New("the URL has a % that begins no escape: write it as %25")
	}
	switch scheme {
	case "s3":
		return parseS3Spec(path)
	case "file":
		return parseFileSpec(path)
	}
	return Location{}, errors.New("only s3:// and file:// are known: " + specForms)
}

func parseS3Spec(path string) (Location, error) {
	bucket, prefix, _ := strings.Cut(path, "/")
	switch {
	case strings.Contains(bucket, "@"):
		return Location{}, errors.New("credentials do not belong in the URL, which gets logged: use the options access_key and secret_key, or the environment")
	case bucket == "":
		return Location{}, errors.New("the bucket's name is missing: " + specForms)
	case strings.Contains(bucket, ":"):
		return Location{}, errors.New("the URL has a port: give the server as the option endpoint, and the bucket's name in the URL")
	}
	if !IsBucketName(bucket) {
		return Location{}, fmt.Errorf("%.80q is no bucket's name: 3 to 63 of a-z, 0-9, . and -", bucket)
	}
	prefix = strings.TrimSuffix(prefix, "/")
	if prefix == "" {
		return Location{Bucket: bucket}, nil
	}
	if fault := KeyFault(prefix); fault != "" {
		return Location{}, errors.New("the prefix cannot begin a key: " + fault)
	}
	return Location{Bucket: bucket, Prefix: prefix + "/"}, nil
}

// IsBucketName takes what any store takes: old buckets have capitals and
// underscores.
func IsBucketName(s string) bool {
	for _, c := range []byte(s) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return len(s) >= 3 && len(s) <= 255 && s[0] != '.' && s[0] != '-' && !strings.Contains(s, "..")
}

func parseFileSpec(path string) (Location, error) {
	if !strings.HasPrefix(path, "/") {
		return Location{}, errors.New("file:// takes an absolute path: write three slashes, file:///srv/media")
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == ".." || segment == "." {
			return Location{}, errors.New("the path has . or .. in it: write it without")
		}
	}
	dir := filepath.Clean(filepath.FromSlash(path))
	if dir == string(filepath.Separator) {
		return Location{}, errors.New("the root directory cannot be a bucket: name a directory in it")
	}
	return Location{Dir: dir}, nil
}
