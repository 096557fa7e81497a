package env

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Bucket is what a test sees of a bucket, past the module.
type Bucket interface {
	// Caddyfile is the bucket option of the media_offload directive.
	Caddyfile() string
	// Objects lists the keys of all objects: "media/2026/11/a.jpg".
	Objects(ctx context.Context) ([]string, error)
	// Read opens an object; the caller closes its body.
	Read(ctx context.Context, key string) (*Object, error)
	// Uploads lists what is left of unfinished uploads: keys of multipart
	// uploads, names of temporary files.
	Uploads(ctx context.Context) ([]string, error)
}

// Object is an open object.
type Object struct {
	Body io.ReadCloser
	// ContentType is empty where the bucket has no way to tell it.
	ContentType string
}

// DirBucket is a file:// bucket.
type DirBucket struct{ Dir string }

// DirBucket makes a folder for a file:// bucket.
func (e *Env) DirBucket(name string) (*DirBucket, error) {
	dir, err := e.Folder(name, nil)
	if err != nil {
		return nil, err
	}
	return &DirBucket{Dir: dir}, nil
}

// Caddyfile is the bucket option of the media_offload directive.
func (b *DirBucket) Caddyfile() string { return "bucket file://" + b.Dir + "\n" }

// ServeMedia is a site of a Caddyfile that serves the public objects.
func (b *DirBucket) ServeMedia(address string) string {
	return fmt.Sprintf("%s {\n\tbind 127.0.0.1\n\troot * %s\n\tfile_server\n}\n", address, filepath.Join(b.Dir, "media"))
}

// Objects lists the plain files of the folder. What the store notes beside
// them has names that begin with a dot.
func (b *DirBucket) Objects(context.Context) ([]string, error) {
	return b.walk(func(name string) bool { return !strings.HasPrefix(name, ".") })
}

// walk lists the files below the folder, slash-separated, whose own name and
// whose folders' names satisfy want.
func (b *DirBucket) walk(want func(name string) bool) ([]string, error) {
	var keys []string
	err := filepath.WalkDir(b.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			if os.IsNotExist(err) {
				return nil // removed while we look
			}
			return err
		}
		if path == b.Dir {
			return nil
		}
		if !want(entry.Name()) {
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if entry.Type().IsRegular() {
			keys = append(keys, filepath.ToSlash(path[len(b.Dir)+1:]))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", b.Dir, err)
	}
	return keys, nil
}

// Read opens an object.
func (b *DirBucket) Read(_ context.Context, key string) (*Object, error) {
	f, err := os.Open(filepath.Join(b.Dir, filepath.FromSlash(key)))
	if err != nil {
		return nil, fmt.Errorf("reading object %s: %w", key, err)
	}
	return &Object{Body: f}, nil
}

// Uploads lists temporary files.
func (b *DirBucket) Uploads(context.Context) ([]string, error) {
	all, err := b.walk(func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	var left []string
	for _, key := range all {
		if strings.Contains(key, ".tmp") || strings.Contains(key, "/tmp/") {
			left = append(left, key)
		}
	}
	return left, nil
}
